"""Runs after killed ones, lost answers, runs beside each other, servers that are away, and many people."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import Ice
import omero
import pytest
from omero.rtypes import rstring, unwrap
from omero_calls import READS, Calls, watch_calls
from omero_site import Site, omero_site
from omero_under_test import OmeroServer, account, group, group_proxy, is_open, logged_in, opened_for

from controlplane.reconcile.port import ChangeError, SystemDownError
from controlplane.state import Action, Change, Key
from controlplane.systems.omero import apply
from controlplane.systems.omero.client import Client
from controlplane.systems.omero.resources import GROUP, USER

PEOPLE, TEAMS = 200, 40


class Killed(BaseException):
    """The end of a process."""


class Faults:
    """Lets something happen at the `number`th call that changes something, before or after it is made.

    With a name, only calls of this name count.
    """

    def __init__(
        self, number: int, *, after: bool, fail: Callable[[], BaseException], name: str = ""
    ) -> None:
        self.number = number
        self.name = name
        self.after = after
        self.fail = fail
        self.calls = Calls()
        self.happened = ""

    def __call__(self, name: str, call: Callable[[], Any]) -> Any:
        if name in READS or self.name not in ("", name) or self.calls.count("") != self.number:
            return call()
        self.happened = name
        if self.after:
            call()
        raise self.fail()


def one_by_one(site: Site, changes: tuple[Change, ...]) -> None:
    """Apply changes in one thread, as a process does that may be killed at any time."""
    system = site.system()
    try:
        system.begin(changes)
        for change in changes:
            system.apply(change)
        system.finish()
    finally:
        system.close()


def test_an_apply_that_is_killed_at_any_call_is_finished_by_the_next(
    omero_server: OmeroServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not omero_server.is_standin:
        pytest.skip("it leaves hundreds of accounts, which OMERO does not delete")
    seen, number = [], 0
    while number == 0 or seen[-1]:
        number += 1
        for after in (False, True):
            folder = tmp_path / f"{number}-{after}"
            folder.mkdir()
            with omero_site(omero_server, folder) as site:
                faults = Faults(number, after=after, fail=Killed)
                with monkeypatch.context() as patch:
                    watch_calls(patch, faults)
                    try:
                        one_by_one(site, site.plan().changes)
                    except Killed:
                        assert faults.happened
                plan = site.settle()
                # What was made is known as ours: nothing is in the way.
                assert not any(change.action is Action.ADOPT for change in plan.changes)
                assert site.members(site.group("cells"))[site.name("pi")]
                assert all(unwrap(site.account(user).ldap) for user in ("pi", "writer", "reader"))
        seen.append(faults.happened)
    assert {"createGroup", "createExperimenterWithPassword", "setDN", "addGroups", "addGroupOwners"} <= set(
        seen
    )


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("call", "number"),
    [*(("removeGroups", number) for number in (1, 2, 3)), ("setDefaultGroup", 1), ("closeSession", 1)],
)
def test_a_closing_that_is_killed_is_finished_by_the_next(
    site: Site, monkeypatch: pytest.MonkeyPatch, call: str, number: int, after: bool
) -> None:
    site.settle()
    with logged_in(site.server) as root:
        session = opened_for(root, site.name("pi"))
    site.closed = {"pi"}
    faults = Faults(number, after=after, fail=Killed, name=call)
    with monkeypatch.context() as patch:
        watch_calls(patch, faults)
        with pytest.raises(Killed):
            one_by_one(site, site.plan().changes)
    site.settle()
    assert site.name("pi") not in site.members("user")
    assert site.name("pi") not in site.members(site.group("cells"))
    assert site.name("pi") not in site.members(site.group("roots"))
    assert not is_open(site.server, session)


def test_an_answer_that_is_lost_is_no_failure(
    omero_server: OmeroServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not omero_server.is_standin:
        pytest.skip("it leaves hundreds of accounts, which OMERO does not delete")
    seen, number = [], 0
    while number == 0 or seen[-1]:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        with omero_site(omero_server, folder) as site:
            faults = Faults(number, after=True, fail=Ice.ConnectionLostException)
            plan = site.plan()
            with monkeypatch.context() as patch:
                watch_calls(patch, faults)
                report = site.apply(plan)
            assert (report.failed, report.error) == ([], ""), faults.happened
            site.settled()
        seen.append(faults.happened)
    assert {"createGroup", "createExperimenterWithPassword", "setDN"} <= set(seen)


def test_two_applies_of_one_plan_beside_each_other_make_everything_once(site: Site) -> None:
    plan = site.plan()
    reports = []

    def run() -> None:
        reports.append(site.apply(plan))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(report.failed, report.error) for report in reports] == [([], ""), ([], "")]
    site.settled()


def test_what_somebody_makes_after_the_plan_is_not_taken_over(site: Site) -> None:
    plan = site.plan()
    with logged_in(site.server) as root:
        admin = root.sf.getAdminService()
        other = group_proxy(admin.createGroup(group(site.group("cells"), description="mine")))
        admin.createExperimenterWithPassword(account(site.name("pi")), rstring("x" * 40), other, [])
    report = site.apply(plan)
    assert {change.key: text for change, text in report.failed} == {
        Key(USER, site.name("pi")): "somebody made it since it was planned; plan again",
    }
    # What needs the account is not attempted.
    assert {change.key for change, _ in report.skipped} == {
        Key(GROUP, site.group("cells")),
        Key(GROUP, site.group("roots")),
    }
    again = site.plan()
    assert {note.key for note in again.conflicts} == {
        Key(USER, site.name("pi")),
        Key(GROUP, site.group("cells")),
    }
    assert site.members(site.group("cells")) == {site.name("pi"): False}


def test_a_server_that_is_gone_stops_the_run(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = site.plan()
    platform_group, team_group, *_ = [change for change in plan.changes if change.key.kind == GROUP]
    monkeypatch.setattr(apply, "PATIENCE", 0.3)
    system = site.system()
    system.begin(plan.changes)
    assert system._applier is not None
    system.close()
    system._applier.client = Client(replace(site.server.endpoint, port=1))
    with pytest.raises(SystemDownError, match="ConnectionRefused"):
        system.apply(platform_group)
    # The others are told at once.
    monkeypatch.setattr(apply, "PATIENCE", 60.0)
    with pytest.raises(SystemDownError):
        system.apply(team_group)


def test_a_server_that_goes_in_the_middle_of_a_change_stops_the_run(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.settle()
    site.closed = {"reader", "writer"}
    (change, *_) = [change for change in site.plan().changes if change.key == Key(GROUP, site.group("cells"))]
    monkeypatch.setattr(apply, "PATIENCE", 0.3)
    system = site.system()
    system.begin([change])
    assert system._applier is not None
    system.close()
    system._applier.client = Client(replace(site.server.endpoint, port=1))
    with pytest.raises(SystemDownError, match="ConnectionRefused"):
        system.apply(change)


def test_an_account_that_is_refused_stops_the_run_before_it_begins(site: Site) -> None:
    plan = site.plan()
    system = site.system(Client(replace(site.server.endpoint, password="wrong")))
    try:
        with pytest.raises(ChangeError, match="does not let root in"):
            system.begin(plan.changes)
    finally:
        system.close()


def test_a_change_of_the_same_rows_by_somebody_else_is_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = site.plan()
    calls = Calls()

    def collide(name: str, call: Callable[[], Any]) -> Any:
        if name in ("addGroups", "createExperimenterWithPassword") and calls.count(name) % 2:
            raise omero.OptimisticLockException(
                "", "", "Row was updated or deleted by another transaction", 1
            )
        return call()

    with monkeypatch.context() as patch:
        watch_calls(patch, collide)
        report = site.apply(plan)
    assert report.ok, report.failed
    assert calls.made["addGroups"] > 4
    site.settled()


def test_one_person_s_groups_are_changed_one_after_the_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = threading.Lock()
    at_work: Counter[int] = Counter()
    most: Counter[int] = Counter()

    def slow(name: str, call: Any) -> Any:
        if name not in ("addGroups", "addGroupOwners"):
            return call()
        account, *_ = call.args[1] if name == "addGroupOwners" else call.args
        person = unwrap(account.id)
        with lock:
            at_work[person] += 1
            most[person] = max(most[person], at_work[person])
        time.sleep(0.05)
        with lock:
            at_work[person] -= 1
        return call()

    with monkeypatch.context() as patch:
        watch_calls(patch, slow)
        assert site.apply(site.plan()).ok
    assert dict(most) == {unwrap(site.account(user).id): 1 for user in ("pi", "writer", "reader")}
    site.settled()


def test_many_people_are_read_in_few_requests_and_changed_in_no_more_than_needed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not site.server.is_standin:
        pytest.skip("it leaves hundreds of accounts, which OMERO does not delete")
    file = site.folder / "facilities" / f"{site.id}.yml"
    file.write_text(file.read_text("utf-8").partition("teams:\n")[0] + large_teams(site.id), "utf-8")
    reading, writing, again = Calls(), Calls(), Calls()
    with monkeypatch.context() as patch:
        watch_calls(patch, reading)
        plan = site.plan()
    assert len(plan.changes) == 1 + PEOPLE + TEAMS
    with monkeypatch.context() as patch:
        watch_calls(patch, writing)
        report = site.apply(plan)
    assert report.ok, (report.failed[:3], report.error)
    with monkeypatch.context() as patch:
        watch_calls(patch, again)
        assert site.plan().changes == ()
    memberships = sum(len(site_members) for site_members in teams_of(site.id).values())
    print(
        f"\n{PEOPLE} people, {TEAMS} groups, {memberships} memberships: read in {sum(reading.made.values())} "
        f"requests, made with {sum(writing.made.values())} in {report.seconds:.1f} s, "
        f"read again in {sum(again.made.values())}"
    )
    # A group and its owner, an account and its word that LDAP is asked, a membership, and where people begin.
    assert writing.writes <= 1 + 2 * TEAMS + 3 * PEOPLE + memberships
    assert sum(again.made.values()) <= 16
    assert again.made["projection"] == 3
    assert again.made["submit"] == 1


def teams_of(facility: str) -> dict[int, list[int]]:
    """The people of each team; the first is its PI."""
    return {team: [(team * 5 + step) % PEOPLE for step in range(8)] for team in range(TEAMS)}


def large_teams(facility: str) -> str:
    def person(number: int, role: str = "") -> str:
        return (
            f"{{user: {facility}.p{number}, name: Person {number}, email: p{number}@x.example"
            f"{f', role: {role}' if role else ''}}}"
        )

    return "teams:\n" + "".join(
        f"  - id: t{team}\n    title: Team {team}\n    omero: true\n    pi: {person(pi)}\n    members:\n"
        + "".join(f"      - {person(number, 'contributor')}\n" for number in others)
        for team, (pi, *others) in teams_of(facility).items()
    )
