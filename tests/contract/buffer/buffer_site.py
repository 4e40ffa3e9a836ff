"""A facility with a buffer server that is a folder, and the control plane's way to it."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from controlplane.membership import Membership
from controlplane.membership.roster import Roster
from controlplane.model import Platform, load_platform
from controlplane.reconcile.run import Outcome, Report, apply_plan, plan_all
from controlplane.state import Plan
from controlplane.sync.part import people_part
from controlplane.systems.buffer.client import Client, Endpoint, endpoint
from controlplane.systems.buffer.contents import Contents
from controlplane.systems.buffer.system import BufferSystem, systems

PLATFORM = """
name: bic
title: Contract test
environment: sandbox
domain: bic.example
data_centres: {dc1: {title: One, city: Nantes}}
hosts:
  icat: {data_centre: dc1, address: 10.77.0.11, services: [irods_catalog_provider]}
zones:
  zone:
    catalog_provider: icat
    administrator: {user: rods, password: {file: password}}
identity: {url: "https://login.other.example", token: {file: token}}
buffers: {key_file: "{state_dir}/secrets/buffer key"}
"""

FACILITY = """
id: nantes
title: Facility
institution: Institution
city: Nantes
data_centre: dc1
zone: zone
buffer: {host: nantes-buffer, address: 10.77.0.21}
referents: [{user: rref, name: Referent, email: r@x.example}]
teams:
  - id: cells
    title: Cells
    pi: {user: ppi, name: Investigator, email: p@x.example}
    members:
      - {user: wwriter, name: Writer, email: w@x.example, role: contributor}
      - {user: creader, name: Reader, email: c@x.example, role: collaborator}
  - id: roots
    title: Roots
    pi: {user: ppi, name: Investigator, email: p@x.example}
    members:
      - {user: wwriter, name: Writer, email: w@x.example, role: contributor}
"""

WRITER = "      - {user: wwriter, name: Writer, email: w@x.example, role: contributor}\n"
READER = "      - {user: creader, name: Reader, email: c@x.example, role: collaborator}\n"
ROOTS = FACILITY[FACILITY.index("  - id: roots") :]

HOST_PASSWD = """root:x:0:0:root:/root:/bin/bash
backup:x:34:34:backup:/var/backups:/usr/sbin/nologin
bic:x:990:990::/var/lib/buffer-accounts:/bin/sh
"""
HOST_GROUP = """root:x:0:
backup:x:34:
bic:x:990:
buffer-people:x:19999:
nogroup:x:65534:
"""


def silent(label: str) -> Any:
    return lambda done, total: None


@dataclass
class Site:
    """A buffer server and the inventory in which it is."""

    folder: Path
    inactive: set[str] = field(default_factory=set)
    """Whose account is closed at the login server."""

    @property
    def root(self) -> Path:
        """What is the root folder of the buffer server."""
        return self.folder / "root"

    @property
    def platform(self) -> Platform:
        return load_platform(self.folder / "inventory")

    @property
    def endpoint(self) -> Endpoint:
        platform = self.platform
        assert platform.buffers is not None
        return endpoint(platform.buffers, platform.hosts["nantes-buffer"])

    def system(self) -> BufferSystem:
        platform = self.platform
        roster = Roster(platform)
        roster.read_from(lambda: Membership(inactive=frozenset(self.inactive)))
        (system,) = systems(platform, roster)
        return system

    def outcome(self, *, adopt: bool = False) -> Outcome:
        (outcome,) = plan_all([self.system()], silent, adopt=adopt)
        return outcome

    def plan(self, *, adopt: bool = False) -> Plan:
        outcome = self.outcome(adopt=adopt)
        assert outcome.plan is not None, outcome.error
        return outcome.plan

    def apply(self, plan: Plan) -> Report:
        return apply_plan(self.system(), plan, silent)

    def settle(self) -> None:
        """Plan and apply as a person does it, and find nothing left to do."""
        report = self.apply(self.plan())
        assert report.ok, (report.failed, report.error)
        plan = self.plan()
        assert (plan.changes, plan.conflicts) == ((), ())

    def sync(self) -> Report:
        """What follows from people, as the service does it."""
        outcome = self.outcome()
        assert outcome.plan is not None, outcome.error
        return apply_plan(outcome.system, people_part(outcome.system, outcome.plan), silent)

    def edit(self, old: str, new: str) -> None:
        """Change the facility's file."""
        file = self.folder / "inventory" / "facilities" / "nantes.yml"
        text = file.read_text("utf-8")
        assert old in text
        file.write_text(text.replace(old, new, 1), "utf-8")

    @property
    def contents(self) -> Contents:
        with Client(self.endpoint) as client:
            return client.read()

    def lines(self, file: str) -> list[str]:
        """The lines of one of the server's files."""
        return (self.root / file).read_text("utf-8").splitlines()

    def order(self, name: str, text: str) -> None:
        """Order a fault (see fake_ssh)."""
        (self.folder / name).write_text(text, "utf-8")

    def fault(self, text: str, request: int = 1) -> None:
        """Order a fault at a request from now on."""
        self.order(f"fault-{len(self.requests) + request}", text)

    def fails(self, text: str, code: int = 255, *, once: bool = False) -> None:
        """Let ssh end with this text."""
        self.order("code", str(code))
        self.order("says-once" if once else "says", text)

    @property
    def started(self) -> list[list[str]]:
        """The words of each start of ssh."""
        return [json.loads(line) for line in _lines(self.folder / "started")]

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in _lines(self.folder / "requests")]

    def running(self) -> list[str]:
        """The programs of this server that are still running."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(self.folder).encode() in words:
                found.append(process.name)
        return found


def _lines(file: Path) -> list[str]:
    return file.read_text("utf-8").splitlines() if file.exists() else []


@contextmanager
def buffer_site(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A buffer server that nobody has entered yet."""
    state = folder / "the state"
    files = {
        folder / "inventory/platform.yml": PLATFORM,
        folder / "inventory/facilities/nantes.yml": FACILITY,
        state / "secrets/buffer key": "",
        state / "pki/ssh_known_hosts": "",
        folder / "root/etc/passwd": HOST_PASSWD,
        folder / "root/etc/group": HOST_GROUP,
    }
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    for path in ("var/lib/extrausers", "srv/buffer", "proc"):
        (folder / "root" / path).mkdir(parents=True)
    programs = folder / "bin"
    programs.mkdir()
    command = f"'{sys.executable}' '{Path(__file__).with_name('fake_ssh.py')}' '{folder}'"
    (programs / "ssh").write_text(f'#!/bin/sh\nexec {command} "$@"\n', "utf-8")
    (programs / "ssh").chmod(0o755)
    patch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    patch.setenv("BIC_STATE_DIR", str(state))
    site = Site(folder)
    yield site
    assert site.running() == []


def described(plan: Plan) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """What a plan does: action, kind, name and fields."""
    return [
        (change.action.value, change.key.kind, change.key.name, tuple(item.name for item in change.fields))
        for change in plan.changes
    ]


def members(lines: Iterable[str], group: str) -> set[str]:
    """The members of a Unix group."""
    (found,) = (line.split(":")[3] for line in lines if line.split(":")[0] == group)
    return set(filter(None, found.split(",")))
