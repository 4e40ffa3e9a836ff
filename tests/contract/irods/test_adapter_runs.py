"""Runs beside each other, runs after killed ones, lost answers, servers that are away."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from facility_site import Site
from irods.connection import Connection
from irods.exception import NetworkException
from zone_under_test import open_session

from controlplane.reconcile.port import ChangeError, SystemDownError
from controlplane.state import Action, Change, Key
from controlplane.systems.irods import apply, calls, claims
from controlplane.systems.irods.apply import Applier
from controlplane.systems.irods.claims import Claim
from controlplane.systems.irods.client import Client
from controlplane.systems.irods.resources import USER

GENERAL_ADMIN, SET_AVU, ATOMIC_AVU, SET_ACCESS = 701, 706, 20002, 707


def claimed(site: Site) -> list[Claim]:
    """The claims of the site's platform in the zone."""
    with open_session(site.server) as session:
        return claims.read(session, site.server.user, site.server.zone, site.id)


def creations(site: Site) -> dict[str, Change]:
    """What a first apply creates, by name."""
    return {change.key.name: change for change in site.plan().changes}


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    with Client(site.endpoint) as made:
        yield made


def test_two_runs_share_the_accounts_of_people_in_both(site: Site, client: Client) -> None:
    shared = creations(site)[f"{site.id}.pi"]
    one, two = Applier(client, site.id), Applier(client, site.id)
    one.begin([shared])
    two.begin([shared])
    assert len(claimed(site)) == 2
    assert one.apply(shared) == ""
    one.finish()
    # The other run has not ended: what it claims is its own affair until its work is known to be marked.
    assert two.apply(shared) == ""
    two.finish()
    assert claimed(site) == []


def test_a_run_that_ends_leaves_the_claims_of_one_at_work(site: Site, client: Client) -> None:
    changes = creations(site)
    mine, theirs = changes[f"{site.id}.pi"], changes[f"{site.id}.ref"]
    one, two = Applier(client, site.id), Applier(client, site.id)
    one.begin([mine])
    two.begin([theirs])
    one.apply(mine)
    one.finish()
    assert [claim.names for claim in claimed(site)] == [(f"{site.id}.ref",)]


def test_what_another_run_makes_and_marks_a_moment_later_is_ours(
    site: Site, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = creations(site)[f"{site.id}.pi"]
    with open_session(site.server) as session:
        session.users.create(f"{site.id}.pi", "rodsuser")

    def mark_later() -> None:
        with open_session(site.server) as session:
            calls.set_mark(session, calls.ACCOUNT, f"{site.id}.pi", ("bic:managed", site.id, ""))

    timer = threading.Timer(0.7, mark_later)
    timer.start()
    try:
        applier = Applier(client, site.id)
        applier.begin([change])
        assert applier.apply(change) == ""
        applier.finish()
    finally:
        timer.join()
    assert claimed(site) == []


def test_a_stranger_s_account_does_not_become_ours_by_a_failed_creation(
    site: Site, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "MARKED_WITHIN", 0.2)
    change = creations(site)[f"{site.id}.pi"]
    with open_session(site.server) as session:
        session.users.create(f"{site.id}.pi", "rodsuser")
    applier = Applier(client, site.id)
    applier.begin([change])
    with pytest.raises(ChangeError, match="somebody made it"):
        applier.apply(change)
    applier.finish()
    assert claimed(site) == []
    assert [note.key for note in site.plan().conflicts] == [Key(USER, f"{site.id}.pi")]


def test_claims_of_a_killed_run_go_when_its_work_is_done(site: Site, client: Client) -> None:
    Applier(client, site.id).begin(site.plan().changes)
    assert {key for claim in claimed(site) for key in claim.keys} == {c.key for c in site.plan().changes}
    site.settle()
    assert claimed(site) == []


def test_claims_on_what_nobody_wants_any_more_go_as_well(site: Site, client: Client) -> None:
    gone = Change(Action.CREATE, Key(USER, f"{site.id}.gone"), ())
    Applier(client, site.id).begin([gone])
    site.settle()
    assert claimed(site) == []


def test_claims_outlive_no_week(site: Site, client: Client) -> None:
    long_ago = (datetime.now(UTC) - timedelta(days=8)).strftime("%Y%m%dT%H%M%S")
    wanted = creations(site)[f"{site.id}.pi"]
    old = Claim(site.id, f"{long_ago}-00000000", USER, (f"{site.id}.reader",))
    with open_session(site.server) as session:
        calls.change_avus(session, site.server.user, add=[old.avu])
    applier = Applier(client, site.id)
    applier.begin([wanted])
    applier.apply(wanted)
    applier.finish()
    assert claimed(site) == []


@pytest.mark.parametrize("api", [GENERAL_ADMIN, SET_AVU, ATOMIC_AVU, SET_ACCESS])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_answer_that_is_lost_is_no_failure(
    site: Site, monkeypatch: pytest.MonkeyPatch, api: int, number: int
) -> None:
    plan = site.plan()
    lose_answer(monkeypatch, api, number)
    report = site.apply(plan)
    assert (report.failed, report.error) == ([], "")
    monkeypatch.undo()
    plan = site.plan()
    assert (plan.changes, plan.conflicts) == ((), ())
    assert claimed(site) == []


def lose_answer(monkeypatch: pytest.MonkeyPatch, api: int, number: int) -> None:
    """Let the `number`th request of an API reach the server, and its answer nobody."""
    lock = threading.Lock()
    asked: set[int] = set()
    seen = 0
    send, recv = Connection.send, Connection.recv

    def sent(self: Connection, message: object) -> None:
        nonlocal seen
        if getattr(message, "int_info", 0) == api:
            with lock:
                seen += 1
                if seen == number:
                    asked.add(id(self))
        send(self, message)

    def received(self: Connection, *arguments: object, **keywords: object) -> object:
        answer = recv(self, *arguments, **keywords)
        if id(self) in asked:
            asked.discard(id(self))
            raise NetworkException("the answer is lost")
        return answer

    monkeypatch.setattr(Connection, "send", sent)
    monkeypatch.setattr(Connection, "recv", received)


def test_a_server_that_is_gone_stops_the_run(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = site.plan()
    monkeypatch.setattr(apply, "PATIENCE", 0.3)
    with Client(site.endpoint) as client:
        applier = Applier(client, site.id)
        applier.begin(plan.changes)
        applier.client = Client(replace(site.endpoint, port=1))
        with pytest.raises(SystemDownError):
            applier.apply(plan.changes[0])
        # The others are told at once.
        with pytest.raises(SystemDownError):
            applier.apply(plan.changes[1])
        applier.finish()
        assert len(claimed(site)) == len({change.key.kind for change in plan.changes})


def test_an_account_that_is_refused_stops_the_run_without_patience(site: Site) -> None:
    plan = site.plan()
    system = site.system()
    system._client = Client(replace(site.endpoint, password="wrong"))
    try:
        with pytest.raises(ChangeError, match="CAT_INVALID_AUTHENTICATION"):
            system.begin(plan.changes)
    finally:
        system.close()
