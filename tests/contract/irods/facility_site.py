"""A facility of its own in the zone under test, and the control plane's way to it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import uuid4

from irods.access import iRODSAccess
from irods.exception import PycommandsException, iRODSException
from irods.session import iRODSSession
from zone_under_test import IrodsServer, open_session

from controlplane.model import Platform, load_platform
from controlplane.reconcile.run import Outcome, Report, apply_plan, plan_all
from controlplane.state import Plan
from controlplane.systems.irods.client import Client, Endpoint
from controlplane.systems.irods.system import ZoneSystem

PASSWORD = "a throw-away one"
TODAY = date(2026, 11, 20)

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
    administrator: {{user: {user}, password: {{file: password}}}}
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
    host: str = "icat"
    """The server's host as the platform calls it."""

    @property
    def platform(self) -> Platform:
        return load_platform(self.folder)

    @property
    def endpoint(self) -> Endpoint:
        assert self.server.ca_file is not None
        server = self.server
        return Endpoint(server.host, server.port, server.zone, server.user, server.password, server.ca_file)

    def system(self, today: date = TODAY) -> ZoneSystem:
        platform = self.platform
        return ZoneSystem(platform, platform.zones[self.server.zone], today, Client(self.endpoint))

    def outcome(self, *, adopt: bool = False, today: date = TODAY) -> Outcome:
        (outcome,) = plan_all([self.system(today)], lambda label: lambda done, total: None, adopt=adopt)
        return outcome

    def plan(self, *, adopt: bool = False, today: date = TODAY) -> Plan:
        outcome = self.outcome(adopt=adopt, today=today)
        assert outcome.plan is not None, outcome.error
        return outcome.plan

    def apply(self, plan: Plan) -> Report:
        return apply_plan(self.system(), plan, lambda label: lambda done, total: None)

    def settle(self) -> None:
        """Plan and apply as a person does it, and find nothing left to do."""
        outcome = self.outcome()
        assert isinstance(outcome.system, ZoneSystem)
        assert outcome.plan is not None, outcome.error
        report = apply_plan(outcome.system, outcome.plan, lambda label: lambda done, total: None)
        assert report.ok, (report.failed, report.error)
        plan = self.plan()
        assert plan.changes == ()
        assert plan.conflicts == ()

    def edit(self, old: str, new: str) -> None:
        """Change the facility's file."""
        self.change(self.folder / "facilities" / f"{self.id}.yml", old, new)

    def edit_platform(self, old: str, new: str) -> None:
        """Change the platform's file."""
        self.change(self.folder / "platform.yml", old, new)

    def change(self, file: Path, old: str, new: str) -> None:
        text = file.read_text("utf-8")
        old, new = old.format(id=self.id), new.format(id=self.id)
        assert old in text
        file.write_text(text.replace(old, new, 1), "utf-8")

    def session_of(self, user: str) -> AbstractContextManager[iRODSSession]:
        return open_session(self.server, user=f"{self.id}.{user}", password=PASSWORD)

    def home(self, group: str) -> str:
        return f"/{self.server.zone}/home/{group}"


@contextmanager
def facility_site(irods_server: IrodsServer, folder: Path) -> Iterator[Site]:
    """A facility that exists only in its files; what a test makes of it is removed afterwards."""
    name = f"t{uuid4().hex[:8]}"
    # A real server must know the storage resource's host: one that does not resolve slows every login.
    name_of_host = "icat.example" if irods_server.is_standin else irods_server.host
    host, _, domain = name_of_host.partition(".")
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
    (folder / "password").write_text(irods_server.password, "utf-8")
    (folder / "facilities").mkdir()
    (folder / "platform.yml").write_text(PLATFORM.format(**names), "utf-8")
    (folder / "facilities" / f"{name}.yml").write_text(FACILITY.format(**names), "utf-8")
    yield Site(irods_server, folder, name, host)
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
    """What a plan does: action, name and fields."""
    return [
        (change.action.value, change.key.name, tuple(item.name for item in change.fields))
        for change in plan.changes
    ]
