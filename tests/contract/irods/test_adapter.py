"""The control plane's adapter for zones: what it plans, what it makes, what it leaves alone."""

import itertools
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from facility_site import PASSWORD, ROOTS, TODAY, WRITER, Site, described
from irods.access import iRODSAccess
from irods.connection import Connection
from irods.exception import NetworkException, PycommandsException, iRODSException
from irods.models import User
from throwaway_pki import create_authority
from zone_under_test import open_session

from controlplane.health.port import CheckFailedError
from controlplane.reconcile.port import ObservationError
from controlplane.state import Action, Key
from controlplane.systems.irods import apply, observe, probes
from controlplane.systems.irods.apply import Applier
from controlplane.systems.irods.client import Client, IrodsError
from controlplane.systems.irods.resources import GROUP, STORAGE_RESOURCE, USER
from controlplane.systems.irods.system import ZoneSystem


def test_a_facility_is_made_and_then_nothing_is_left_to_do(site: Site) -> None:
    plan = site.plan()
    assert {change.action for change in plan.changes} == {Action.CREATE}
    assert sorted(change.key for change in plan.changes) == sorted(
        [
            *(Key(USER, f"{site.id}.{name}") for name in ("ref", "pi", "writer", "reader")),
            *(Key(GROUP, name) for name in (site.id, f"{site.id}-cells", f"{site.id}-roots")),
            Key(STORAGE_RESOURCE, f"{site.id}-raw"),
        ]
    )
    site.settle()
    with open_session(site.server) as session:
        members = {user.name for user in session.groups.getmembers(f"{site.id}-cells")}
        assert members == {f"{site.id}.{name}" for name in ("pi", "writer", "reader")}
        storage = session.resources.get(f"{site.id}-raw")
        assert (storage.type, storage.vault_path) == ("unixfilesystem", f"/var/lib/irods/{site.id}")
        marks = [(m.name, m.value, m.units) for m in session.metadata.get(User, f"{site.id}-cells")]
        assert marks == [("bic:managed", site.id, site.id)]
        claims = {m.value for m in session.metadata.get(User, site.server.user) if m.name == "bic:claim"}
        assert not any(site.id in claim for claim in claims)


def test_the_roles_of_a_team_give_the_access_that_they_promise(site: Site) -> None:
    site.settle()
    home = site.home(f"{site.id}-cells")
    with open_session(site.server) as session:
        for name in ("pi", "writer", "reader", "ref"):
            session.users.modify(f"{site.id}.{name}", "password", PASSWORD)

    def write(user: str, path: str) -> None:
        with site.session_of(user) as session, session.data_objects.open(path, "w") as file:
            file.write(b"pixels")

    def read(user: str, path: str) -> bytes:
        with site.session_of(user) as session, session.data_objects.open(path, "r") as file:
            return bytes(file.read())

    write("writer", f"{home}/one")
    write("pi", f"{home}/two")
    assert read("reader", f"{home}/one") == read("pi", f"{home}/one") == b"pixels"
    with pytest.raises(iRODSException):
        write("reader", f"{home}/three")
    with pytest.raises((iRODSException, PycommandsException)):
        read("ref", f"{home}/one")

    # Who leaves loses what was given, on the data that exist as well.
    site.edit(WRITER, "")
    plan = site.plan()
    assert described(plan) == [
        ("update", site.id, ("members",)),
        ("update", f"{site.id}-cells", ("acl", "members")),
    ]
    assert [note.key.name for note in plan.kept] == [f"{site.id}.writer"]
    site.settle()
    with pytest.raises((iRODSException, PycommandsException)):
        read("writer", f"{home}/one")
    assert read("reader", f"{home}/one") == b"pixels"


def test_a_group_removed_by_hand_is_exactly_one_creation(site: Site) -> None:
    site.settle()
    with open_session(site.server) as session:
        session.groups.remove(f"{site.id}-cells")
    plan = site.plan()
    assert [(change.action, change.key) for change in plan.changes] == [
        (Action.CREATE, Key(GROUP, f"{site.id}-cells"))
    ]
    site.settle()


def test_what_was_changed_by_hand_is_changed_back_field_by_field(site: Site) -> None:
    site.settle()
    group, home = f"{site.id}-cells", site.home(f"{site.id}-cells")
    with open_session(site.server) as session:
        session.groups.removemember(group, f"{site.id}.reader", group_admin=False)
        session.groups.addmember(group, f"{site.id}.ref", group_admin=False)
        session.acls.set(iRODSAccess("write", home, f"{site.id}.reader", site.server.zone), admin=True)
        session.acls.set(iRODSAccess("noinherit", home), admin=True)
        # The administrator's own access is its tool, not drift.
        session.acls.set(iRODSAccess("own", home, site.server.user, site.server.zone), admin=True)
    plan = site.plan()
    assert described(plan) == [("update", group, ("acl", "inheritance", "members"))]
    members = plan.changes[0].field("members")
    assert members is not None
    assert (members.added, members.removed) == ((f"{site.id}.reader",), (f"{site.id}.ref",))
    site.settle()


def test_a_home_removed_by_hand_comes_back(site: Site) -> None:
    site.settle()
    home = site.home(f"{site.id}-roots")
    with open_session(site.server) as session:
        session.acls.set(iRODSAccess("own", home, site.server.user, site.server.zone), admin=True)
        session.collections.remove(home, recurse=True, force=True)
    assert [name for _, name, _ in described(site.plan())] == [f"{site.id}-roots"]
    site.settle()


def test_a_team_that_leaves_is_removed_and_its_data_are_not(site: Site) -> None:
    site.settle()
    home = site.home(f"{site.id}-roots")
    site.edit(ROOTS, "")
    with open_session(site.server) as session:
        session.acls.set(iRODSAccess("own", home, site.server.user, site.server.zone), admin=True)
        with session.data_objects.open(f"{home}/kept", "w") as file:
            file.write(b"pixels")
    plan = site.plan()
    assert described(plan) == [("update", f"{site.id}-roots", ("acl", "members"))]
    assert plan.changes[0].retires
    assert [(note.key.name, note.reason) for note in plan.kept] == [
        (f"{site.id}-roots", "its home collection holds data")
    ]
    assert site.apply(plan).ok
    with open_session(site.server) as session:
        assert session.groups.getmembers(f"{site.id}-roots") == []
        assert session.data_objects.exists(f"{home}/kept")
    plan = site.plan()
    assert plan.changes == ()
    assert [note.key.name for note in plan.kept] == [f"{site.id}-roots"]
    with open_session(site.server) as session:
        session.data_objects.unlink(f"{home}/kept", force=True)
    assert [change.action for change in site.plan().changes] == [Action.DELETE]
    site.settle()


def test_data_that_come_after_the_plan_keep_a_team_that_leaves(site: Site) -> None:
    site.settle()
    home = site.home(f"{site.id}-roots")
    site.edit(ROOTS, "")
    plan = site.plan()
    assert [change.action for change in plan.changes] == [Action.DELETE]
    with open_session(site.server) as session:
        session.acls.set(iRODSAccess("own", home, site.server.user, site.server.zone), admin=True)
        session.collections.create(f"{home}/new")
    report = site.apply(plan)
    assert report.ok
    assert "holds data" in report.remarks[0][1]
    with open_session(site.server) as session:
        assert session.collections.exists(f"{home}/new")
        assert session.groups.getmembers(f"{site.id}-roots") == []


def test_what_is_not_ours_is_a_conflict_and_adopted_only_on_request(site: Site) -> None:
    with open_session(site.server) as session:
        session.users.create(f"{site.id}.pi", "rodsuser")
        session.resources.create(f"{site.id}-raw", "unixfilesystem", "localhost", "/elsewhere")
    plan = site.plan()
    assert {note.key.name for note in plan.conflicts} == {f"{site.id}.pi", f"{site.id}-raw"}
    assert all(change.action is Action.CREATE for change in plan.changes)
    report = site.apply(plan)
    assert (report.failed, report.error) == ([], "")
    assert site.plan().changes == ()
    plan = site.plan(adopt=True)
    assert [(change.action, change.key.name) for change in plan.changes] == [
        (Action.ADOPT, f"{site.id}-raw"),
        (Action.ADOPT, f"{site.id}.pi"),
    ]
    assert all("cannot be changed" in note.reason for note in plan.conflicts)
    report = site.apply(plan)
    assert (report.failed, report.error) == ([], "")
    assert site.plan().changes == ()


def test_what_an_apply_made_before_it_was_killed_is_finished_by_the_next(site: Site) -> None:
    with Client(site.endpoint) as client:
        Applier(client, site.id).begin(site.plan().changes)
    with open_session(site.server) as session:
        session.users.create(f"{site.id}.pi", "rodsuser")
        session.groups.create(f"{site.id}-cells", group_admin=False)
    plan = site.plan()
    assert plan.conflicts == ()
    fields = {name: fields for action, name, fields in described(plan) if action == "update"}
    assert fields == {
        f"{site.id}.pi": ("mark",),
        f"{site.id}-cells": ("acl", "collection_mark", "inheritance", "mark", "members"),
    }
    site.settle()


@pytest.mark.parametrize("messages", range(1, 41, 3))
def test_an_apply_killed_after_any_message_is_finished_by_the_next(
    site: Site, monkeypatch: pytest.MonkeyPatch, messages: int
) -> None:
    plan = site.plan()
    sent = itertools.count(1)
    send = Connection.send

    def send_until_killed(self: Connection, message: object) -> None:
        number = next(sent)
        if number > messages:
            raise NetworkException("killed")
        send(self, message)
        if number == messages:
            # This one reaches the server, and its answer reaches nobody.
            raise NetworkException("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "send", send_until_killed)
        patch.setattr(apply, "PATIENCE", 0.0)
        assert not site.apply(plan).ok
    assert site.plan().conflicts == ()
    site.settle()


def test_one_object_that_fails_does_not_stop_the_others(site: Site) -> None:
    plan = site.plan()
    with open_session(site.server) as session:
        session.users.create(f"{site.id}.reader", "rodsuser")
    report = site.apply(plan)
    assert [(change.key.name, "somebody made it" in reason) for change, reason in report.failed] == [
        (f"{site.id}.reader", True)
    ]
    # What needs the account waits for it; nothing else does.
    waiting = {change.key.name for change, _ in report.skipped}
    assert waiting == {site.id, f"{site.id}-cells"}
    assert len(report.done) == len(plan.changes) - 3
    # It was not ours before, and the failure has not made it so.
    assert [note.key.name for note in site.plan().conflicts] == [f"{site.id}.reader"]


def test_a_zone_that_cannot_be_read_has_no_plan(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "PATIENCE", 0.5)
    stranger = create_authority(tmp_path / "stranger", "stranger")
    cases = {
        "certificate is not accepted": replace(site.endpoint, ca_file=stranger.ca_file),
        "cannot be read": replace(site.endpoint, ca_file=tmp_path / "missing.crt"),
        "CAT_INVALID_AUTHENTICATION": replace(site.endpoint, password="wrong"),
        "Could not connect|no answer within": replace(site.endpoint, port=1),
    }
    for expected, endpoint in cases.items():
        system = ZoneSystem(site.platform, site.platform.zones[site.server.zone], TODAY, Client(endpoint))
        with pytest.raises(ObservationError, match=expected):
            system.observe(lambda done, total: None)


def test_no_connection_stays_open(site: Site) -> None:
    client = Client(site.endpoint, connections=2)
    sessions = []

    def use() -> None:
        with client.session() as session:
            session.users.get(site.server.user)
            sessions.append(session)

    threads = [threading.Thread(target=use) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sessions) == 5
    assert len({id(session) for session in sessions}) <= 2
    client.close()
    assert all(not session.pool.idle and not session.pool.active for session in sessions)


def test_the_probes_find_a_server_well_and_say_what_is_not(site: Site) -> None:
    if site.server.is_standin:
        # Its throw-away certificate lasts a day.
        with pytest.raises(CheckFailedError, match="the certificate ends on"):
            probes.check_certificate(site.endpoint)
    else:
        assert "good for" in probes.check_certificate(site.endpoint)
    assert probes.check_login(site.endpoint).startswith("iRODS 5.")
    assert "write, read and checksum" in probes.check_write(site.endpoint)
    assert probes.check_plaintext(site.endpoint) == "plaintext is refused"
    folder = f"/{site.server.zone}/home/{site.server.user}/{probes.PROBE_COLLECTION}"
    with open_session(site.server) as session:
        assert session.collections.get(folder).data_objects == []
    with pytest.raises(IrodsError, match="CAT_INVALID_AUTHENTICATION"):
        probes.check_login(replace(site.endpoint, password="wrong"))
    with pytest.raises((IrodsError, CheckFailedError)):
        probes.check_write(replace(site.endpoint, port=1))
