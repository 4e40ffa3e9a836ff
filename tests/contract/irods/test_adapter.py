"""The control plane's adapter for zones: what it plans, what it makes, what it leaves alone."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest
from irods.access import iRODSAccess
from irods.connection import Connection
from irods.exception import NetworkException, PycommandsException, iRODSException
from irods.models import Collection, User
from irods.session import iRODSSession
from throwaway_pki import create_authority
from zone_under_test import IrodsServer, open_session

from controlplane.health.port import CheckFailedError
from controlplane.model import Platform, load_platform
from controlplane.reconcile.port import ObservationError
from controlplane.reconcile.run import Outcome, Report, apply_plan, plan_all
from controlplane.state import Action, Key, Plan
from controlplane.systems.irods import metrics, observe, probes
from controlplane.systems.irods.apply import Applier
from controlplane.systems.irods.client import Client, Endpoint, IrodsError
from controlplane.systems.irods.resources import GROUP, STORAGE_RESOURCE, USER
from controlplane.systems.irods.system import ZoneSystem

PASSWORD = "a throw-away one"

PLATFORM = """
name: {platform}
title: Contract test
environment: sandbox
domain: {domain}
data_centres: {{dc1: {{title: One, city: Nantes}}}}
hosts:
  {host}: {{data_centre: dc1, address: 127.0.0.1, services: [irods_catalog_provider]}}
zones:
  {zone}:
    catalog_provider: {host}
    port: {port}
    administrator: {{user: {user}, password: {{env: CONTRACT_PASSWORD}}}}
    ca_file: {ca_file}
"""

FACILITY = """
id: {id}
title: Facility
institution: Institution
city: Nantes
data_centre: dc1
zone: {zone}
referents: [{{user: {id}.ref, name: Referent, email: r@x.example}}]
storage_resources:
  {id}-raw: {{host: {host}, vault: /var/lib/irods/{id}}}
teams:
  - id: cells
    title: Cells
    pi: {{user: {id}.pi, name: Investigator, email: p@x.example}}
    members:
      - {{user: {id}.writer, name: Writer, email: w@x.example, role: contributor}}
      - {{user: {id}.reader, name: Reader, email: c@x.example, role: collaborator}}
  - id: roots
    title: Roots
    pi: {{user: {id}.pi, name: Investigator, email: p@x.example}}
"""

WRITER = "      - {{user: {id}.writer, name: Writer, email: w@x.example, role: contributor}}\n"
ROOTS = """  - id: roots
    title: Roots
    pi: {{user: {id}.pi, name: Investigator, email: p@x.example}}
"""


@dataclass
class Site:
    """A facility of its own in the zone under test, and the control plane's way in."""

    server: IrodsServer
    folder: Path
    id: str

    @property
    def platform(self) -> Platform:
        return load_platform(self.folder)

    @property
    def endpoint(self) -> Endpoint:
        assert self.server.ca_file is not None
        server = self.server
        return Endpoint(server.host, server.port, server.zone, server.user, server.password, server.ca_file)

    def system(self) -> ZoneSystem:
        platform = self.platform
        return ZoneSystem(platform, platform.zones[self.server.zone], Client(self.endpoint))

    def outcome(self, *, adopt: bool = False) -> Outcome:
        (outcome,) = plan_all([self.system()], lambda label: lambda done, total: None, adopt=adopt)
        return outcome

    def plan(self, *, adopt: bool = False) -> Plan:
        outcome = self.outcome(adopt=adopt)
        assert outcome.plan is not None, outcome.error
        return outcome.plan

    def apply(self, plan: Plan) -> Report:
        return apply_plan(self.system(), plan, lambda label: lambda done, total: None)

    def settle(self) -> None:
        report = self.apply(self.plan())
        assert report.ok, (report.failed, report.error)
        plan = self.plan()
        assert plan.changes == ()
        assert plan.conflicts == ()

    def edit(self, old: str, new: str) -> None:
        file = self.folder / "facilities" / f"{self.id}.yml"
        text = file.read_text("utf-8")
        old, new = old.format(id=self.id), new.format(id=self.id)
        assert old in text
        file.write_text(text.replace(old, new, 1), "utf-8")

    def session_of(self, user: str) -> AbstractContextManager[iRODSSession]:
        return open_session(self.server, user=f"{self.id}.{user}", password=PASSWORD)

    def home(self, group: str) -> str:
        return f"/{self.server.zone}/home/{group}"


@pytest.fixture
def site(irods_server: IrodsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A facility that exists only in its files; what a test makes of it is removed afterwards."""
    if irods_server.ca_file is None:
        pytest.skip("the control plane enters a zone only over TLS, which the server under test does not use")
    name = f"t{uuid4().hex[:8]}"
    # A real server must know the storage resource's host: one that does not resolve slows every login.
    host, _, domain = irods_server.host.partition(".")
    names = {
        "id": name,
        "platform": name,
        "zone": irods_server.zone,
        "port": irods_server.port,
        "user": irods_server.user,
        "ca_file": irods_server.ca_file,
        "host": host,
        "domain": domain or "example",
    }
    monkeypatch.setenv("CONTRACT_PASSWORD", irods_server.password)
    (tmp_path / "facilities").mkdir()
    (tmp_path / "platform.yml").write_text(PLATFORM.format(**names), "utf-8")
    (tmp_path / "facilities" / f"{name}.yml").write_text(FACILITY.format(**names), "utf-8")
    yield Site(irods_server, tmp_path, name)
    remove(irods_server, name)


def remove(server: IrodsServer, name: str) -> None:
    """Remove all that exists of a facility, data included."""
    with open_session(server) as session:
        for group in (name, f"{name}-cells", f"{name}-roots"):
            home = f"/{server.zone}/home/{group}"
            with suppress(iRODSException, PycommandsException):
                access = iRODSAccess("own", home, server.user, server.zone)
                session.acls.set(access, recursive=True, admin=True)
                for child in [
                    *session.collections.get(home).subcollections,
                    *session.collections.get(home).data_objects,
                ]:
                    child.remove(force=True) if hasattr(child, "subcollections") else child.unlink(force=True)
            with suppress(iRODSException, PycommandsException):
                session.groups.remove(group)
        for user in ("ref", "pi", "writer", "reader"):
            with suppress(iRODSException, PycommandsException):
                session.users.remove(f"{name}.{user}")
        with suppress(iRODSException, PycommandsException):
            session.resources.remove(f"{name}-raw")


def described(plan: Plan) -> list[tuple[str, str, tuple[str, ...]]]:
    """What a plan updates: action, name and fields."""
    return [
        (change.action.value, change.key.name, tuple(item.name for item in change.fields))
        for change in plan.changes
    ]


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
    assert [(change.action.value, change.key.name) for change in plan.changes] == [
        ("delete", f"{site.id}-roots")
    ]
    report = site.apply(plan)
    assert report.ok
    assert "holds data" in report.remarks[0][1]
    with open_session(site.server) as session:
        assert session.groups.getmembers(f"{site.id}-roots") == []
        assert session.data_objects.exists(f"{home}/kept")
    plan = site.plan()
    assert plan.changes == ()
    assert [(note.key.name, note.reason) for note in plan.kept] == [
        (f"{site.id}-roots", "its home collection holds data")
    ]
    with open_session(site.server) as session:
        session.data_objects.unlink(f"{home}/kept", force=True)
    assert [change.action for change in site.plan().changes] == [Action.DELETE]
    site.settle()


def test_what_is_not_ours_is_a_conflict_and_adopted_only_on_request(site: Site) -> None:
    with open_session(site.server) as session:
        session.users.create(f"{site.id}.pi", "rodsuser")
        session.resources.create(f"{site.id}-raw", "unixfilesystem", "localhost", "/elsewhere")
    plan = site.plan()
    assert {note.key.name for note in plan.conflicts} == {f"{site.id}.pi", f"{site.id}-raw"}
    assert all(change.action is Action.CREATE for change in plan.changes)
    assert site.apply(plan).ok
    assert site.plan().changes == ()
    plan = site.plan(adopt=True)
    assert [(change.action, change.key.name) for change in plan.changes] == [
        (Action.ADOPT, f"{site.id}-raw"),
        (Action.ADOPT, f"{site.id}.pi"),
    ]
    assert all("cannot be changed" in note.reason for note in plan.conflicts)
    assert site.apply(plan).ok
    assert site.plan().changes == ()


def test_what_an_apply_made_before_it_was_killed_is_finished_by_the_next(site: Site) -> None:
    with Client(site.endpoint) as client:
        Applier(client, site.id).begin(site.plan())
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


class Killed(BaseException):
    """What a process that was killed would not have had the time to raise."""


@pytest.mark.parametrize("messages", range(1, 64, 4))
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
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "send", send_until_killed)
        with pytest.raises(Killed):
            site.apply(plan)
    assert site.plan().conflicts == ()
    site.settle()


def test_one_object_that_fails_does_not_stop_the_others(site: Site) -> None:
    plan = site.plan()
    with open_session(site.server) as session:
        session.users.create(f"{site.id}.reader", "rodsuser")
    report = site.apply(plan)
    assert [(change.key.name, "-809000" in reason) for change, reason in report.failed] == [
        (f"{site.id}.reader", True)
    ]
    assert len(report.done) == len(plan.changes) - 1


def test_reading_takes_the_same_number_of_queries_whatever_the_zone_holds(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries: list[object] = []
    rows = Client.rows

    def counted(self: Client, *columns: object, where: tuple[object, ...] = ()) -> object:
        queries.append(columns)
        return rows(self, *columns, where=where)

    monkeypatch.setattr(Client, "rows", counted)
    site.plan()
    assert len(queries) == observe.QUERIES
    site.settle()
    queries.clear()
    site.plan()
    assert len(queries) == observe.QUERIES


def test_a_zone_that_cannot_be_read_has_no_plan(site: Site, tmp_path: Path) -> None:
    stranger = create_authority(tmp_path / "stranger", "stranger")
    cases = {
        "certificate is not accepted": replace(site.endpoint, ca_file=stranger.ca_file),
        "cannot be read": replace(site.endpoint, ca_file=tmp_path / "missing.crt"),
        "CAT_INVALID_AUTHENTICATION": replace(site.endpoint, password="wrong"),
        "Could not connect|no answer within": replace(site.endpoint, port=1),
    }
    for expected, endpoint in cases.items():
        system = ZoneSystem(site.platform, site.platform.zones[site.server.zone], Client(endpoint))
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


def test_metrics_count_what_the_zone_holds(site: Site) -> None:
    site.settle()
    home = site.home(site.id)
    with open_session(site.server) as session:
        session.acls.set(iRODSAccess("own", home, site.server.user, site.server.zone), admin=True)
        with session.data_objects.open(f"{home}/sized", "w") as file:
            file.write(b"x" * 1234)
        groups = len(list(session.query(User.id).filter(User.type == "rodsgroup")))
        collections = len(list(session.query(Collection.id)))
    with Client(site.endpoint) as client:
        values = metrics.usage_of(client, [site.id])
        assert values[site.id] == (1.0, 1234.0)
        counts = metrics.counts(client)
    assert counts["groups"] == groups
    assert counts["collections"] == collections
    assert counts["users"] >= 5
