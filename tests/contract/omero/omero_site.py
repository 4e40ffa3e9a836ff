"""A facility of its own on the server under test, and the control plane's way to it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import omero
from omero.rtypes import unwrap
from omero_under_test import OmeroServer, account_proxy, group_proxy, logged_in

from controlplane.membership import Membership
from controlplane.membership.roster import Roster
from controlplane.model import Platform, load_platform
from controlplane.reconcile.run import Outcome, Report, apply_plan, plan_all
from controlplane.state import Plan
from controlplane.systems.omero.client import Client
from controlplane.systems.omero.system import OmeroSystem

HOST = "dc1-omero"

PLATFORM = """
name: {id}
title: Contract test
environment: sandbox
domain: bic.example
data_centres: {{dc1: {{title: One, city: Nantes}}}}
hosts:
  dc1-icat: {{data_centre: dc1, address: 127.0.0.9, services: [irods_catalog_provider, postgresql]}}
  {host}: {{data_centre: dc1, address: {address}, services: [omero_server]}}
identity: {{url: "https://login.elsewhere.example", token: {{file: token}}}}
zones:
  oneZone:
    catalog_provider: dc1-icat
    administrator: {{user: rods, password: {{file: password}}}}
    ca_file: {ca_file}
omero_servers:
  {host}: {{port: {port}, password: {{file: password}}, database_host: dc1-icat, ca_file: {ca_file}}}
"""

FACILITY = """
id: {id}
title: Facility
institution: Institution
city: Nantes
data_centre: dc1
zone: oneZone
omero: {{host: {host}}}
referents: [{{user: {id}.ref, name: Referent, email: r@x.example}}]
teams:
  - id: cells
    title: Cells
    omero: true
    pi: {{user: {id}.pi, name: Ada Investigator, email: p@x.example}}
    members:
      - {{user: {id}.writer, name: Will Writer, email: w@x.example, role: contributor}}
      - {{user: {id}.reader, name: Rita Reader, email: c@x.example, role: collaborator}}
  - id: roots
    title: Roots
    omero: true
    pi: {{user: {id}.pi, name: Ada Investigator, email: p@x.example}}
    members:
      - {{user: {id}.writer, name: Will Writer, email: w@x.example, role: contributor}}
  - id: notes
    title: Notes
    pi: {{user: {id}.scribe, name: Scribe, email: s@x.example}}
"""

WRITER = "      - {{user: {id}.writer, name: Will Writer, email: w@x.example, role: contributor}}\n"
READER = "      - {{user: {id}.reader, name: Rita Reader, email: c@x.example, role: collaborator}}\n"


@dataclass
class Site:
    """A facility of its own on the server under test, and the control plane's way in."""

    server: OmeroServer
    folder: Path
    id: str
    closed: set[str] = field(default_factory=set)
    """Whose accounts the login server has closed."""

    @property
    def platform(self) -> Platform:
        return load_platform(self.folder)

    @property
    def ours(self) -> str:
        """The platform's group."""
        return f"bic:{self.id}"

    def name(self, user: str) -> str:
        return f"{self.id}.{user}"

    def names(self, *users: str) -> tuple[str, ...]:
        return tuple(sorted(self.name(user) for user in users))

    def group(self, team: str) -> str:
        return f"{self.id}-{team}"

    def system(self, client: Client | None = None) -> OmeroSystem:
        platform = self.platform
        roster = Roster(platform)
        roster.read_from(lambda: Membership(inactive=frozenset(self.name(user) for user in self.closed)))
        client = client or Client(self.server.endpoint)
        return OmeroSystem(platform, platform.omero_servers[HOST], client, roster)

    def outcome(self, *, adopt: bool = False) -> Outcome:
        (outcome,) = plan_all([self.system()], lambda label: lambda done, total: None, adopt=adopt)
        return outcome

    def plan(self, *, adopt: bool = False) -> Plan:
        outcome = self.outcome(adopt=adopt)
        assert outcome.plan is not None, outcome.error
        return outcome.plan

    def apply(self, plan: Plan, system: OmeroSystem | None = None) -> Report:
        return apply_plan(system or self.system(), plan, lambda label: lambda done, total: None)

    def settle(self, *, adopt: bool = False) -> Plan:
        """Plan and apply as a person does it, and find nothing left to do; gives what was done."""
        plan = self.plan(adopt=adopt)
        report = self.apply(plan)
        assert report.ok, (report.failed, report.error, report.conflicts)
        self.settled()
        return plan

    def settled(self) -> None:
        again = self.plan()
        assert (again.changes, again.conflicts) == ((), ())

    def edit(self, old: str, new: str, count: int = 1) -> None:
        """Change the facility's file."""
        file = self.folder / "facilities" / f"{self.id}.yml"
        text = file.read_text("utf-8")
        old, new = old.format(id=self.id), new.format(id=self.id)
        assert old in text
        file.write_text(text.replace(old, new, count), "utf-8")

    def members(self, group: str) -> dict[str, bool]:
        """Who is in a group, and whether they own it, as the server says without the control plane."""
        with logged_in(self.server) as root:
            found = root.sf.getAdminService().lookupGroup(group)
            return {
                unwrap(link.child.omeName): unwrap(link.owner)
                for link in found.copyGroupExperimenterMap()
                if link is not None
            }

    def account(self, user: str) -> Any:
        with logged_in(self.server) as root:
            return root.sf.getAdminService().lookupExperimenter(self.name(user))


@contextmanager
def omero_site(server: OmeroServer, folder: Path) -> Iterator[Site]:
    """A facility that exists only in its files; what a test makes of it is taken out of use afterwards."""
    name = f"t{uuid4().hex[:8]}"
    names = {
        "id": name,
        "host": HOST,
        "address": socket.gethostbyname(server.host),
        "port": server.port,
        "ca_file": server.ca_file,
    }
    (folder / "password").write_text(server.password, "utf-8")
    (folder / "facilities").mkdir()
    (folder / "platform.yml").write_text(PLATFORM.format(**names), "utf-8")
    (folder / "facilities" / f"{name}.yml").write_text(FACILITY.format(**names), "utf-8")
    yield Site(server, folder, name)
    if not server.is_standin:
        retire(server, name)


def retire(server: OmeroServer, name: str) -> None:
    """Leave nobody of a test with access: OMERO deletes neither accounts nor groups that were used."""
    with logged_in(server) as root:
        admin = root.sf.getAdminService()
        active = admin.lookupGroup("user")
        for found in admin.lookupExperimenters():
            if unwrap(found.omeName).startswith(f"{name}."):
                with suppress(omero.ServerError):
                    admin.removeGroups(account_proxy(unwrap(found.id)), [group_proxy(unwrap(active.id))])
