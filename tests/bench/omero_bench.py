"""How long people take to follow into an OMERO server: `.venv/bin/python tests/bench/omero_bench.py`.

One nation with all its teams on one server (the stand-in), one run. **the control plane** observes, plans and
applies as `bic sync` and `bic apply` do. **per person** is a client as user clerks are written: it looks each
person up by name, asks for their groups and, where they lack one, adds it; its figures are measured on a
sample and extrapolated. Requests are calls to the server, logins left out.

These are no tests: a busy machine changes the seconds, and hardly the ratios.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "harness"))
sys.path.insert(0, str(Path(__file__).parents[1] / "contract" / "irods"))
sys.path.insert(0, str(Path(__file__).parents[1] / "contract" / "omero"))

import pytest
from omero_calls import Calls, watch_calls
from omero_under_test import OmeroServer, standin_server
from table import Results, Row, Target

from controlplane.generate.nation import Nation, files
from controlplane.generate.write import write_inventory
from controlplane.model import Host, Platform, Team, load_platform
from controlplane.model import OmeroServer as Described
from controlplane.model.secrets import Secret
from controlplane.reconcile.run import apply_plan, plan_all
from controlplane.systems.omero.client import Client
from controlplane.systems.omero.objects import account_proxy
from controlplane.systems.omero.system import OmeroSystem

HOST = "dc1-omero"
AIM = 10.0
"""How many times fewer requests and seconds the control plane should need."""


def platform_of(nation: Nation, folder: Path, server: OmeroServer) -> Platform:
    """The nation with all its teams on one OMERO server."""
    write_inventory(folder, files(nation))
    platform = load_platform(folder)
    facilities = {
        name: replace(
            facility, omero_host=HOST, teams=tuple(replace(team, omero=True) for team in facility.teams)
        )
        for name, facility in platform.facilities.items()
    }
    example = next(iter(platform.hosts.values()))
    hosts = {**platform.hosts, HOST: Host(HOST, platform.domain, example.address, "dc1", ("omero_server",))}
    described = Described(HOST, server.port, HOST, Secret.from_environment("BENCH"), server.ca_file)
    return replace(
        platform,
        facilities=MappingProxyType(facilities),
        hosts=MappingProxyType(hosts),
        omero_servers=MappingProxyType({HOST: described}),
    )


class OmeroBench:
    """The measurements, one after the other, on one server."""

    def __init__(self, platform: Platform, server: OmeroServer, sample: int, results: Results) -> None:
        """Know what is to be measured; nothing is made yet."""
        self.platform, self.server, self.sample, self.results = platform, server, sample, results
        self.calls = Calls()

    def measure(self, changes: int) -> None:
        """Everybody comes, nothing changes, some change teams; and the same by asking for each person."""
        self._row("first apply", "the control plane", self._apply)
        for work, touched in (("nothing to do", 0), (f"{changes} changes", changes)):
            self.platform = self._moved(touched)
            self._row(work, "the control plane", self._apply)
            self._per_person(work)
            ours, theirs = self.results.rows[-2:]
            for what, times in (
                ("requests", theirs.requests / ours.requests),
                ("seconds", theirs.seconds / ours.seconds),
            ):
                self.results.targets.append(
                    Target(
                        f"{work}: {what} of a client that asks per person, by those of the control plane",
                        f"{AIM:.0f} times or more",
                        f"{times:.1f} times",
                        times >= AIM,
                    )
                )

    def _moved(self, count: int) -> Platform:
        """The platform with so many teams that lost a member."""
        left = count

        def shorter(team: Team) -> Team:
            nonlocal left
            if not left or not team.members:
                return team
            left -= 1
            return replace(team, members=team.members[1:])

        facilities = {
            name: replace(facility, teams=tuple(shorter(team) for team in facility.teams))
            for name, facility in self.platform.facilities.items()
        }
        return replace(self.platform, facilities=MappingProxyType(facilities))

    def _apply(self) -> None:
        described = self.platform.omero_servers[HOST]
        system = OmeroSystem(self.platform, described, Client(self.server.endpoint))
        (outcome,) = plan_all([system], lambda label: lambda done, total: None)
        if outcome.plan is None:
            raise RuntimeError(outcome.error)
        report = apply_plan(system, outcome.plan, lambda label: lambda done, total: None)
        if not report.ok:
            raise RuntimeError(f"{report.error} {report.failed[:3]}")

    def _row(self, work: str, arm: str, run: Callable[[], None], times: float = 1.0, note: str = "") -> None:
        self.calls.made.clear()
        begun, cpu = time.perf_counter(), time.process_time()
        run()
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        requests = round(sum(self.calls.made.values()) * times)
        people, facilities = len(self.platform.people), len(self.platform.facilities)
        row = Row(
            facilities, people, work, arm, requests, 0, seconds * times, cpu * times, note or "measured"
        )
        self.results.rows.append(row)

    def _per_person(self, work: str) -> None:
        groups: dict[str, set[str]] = {}
        for facility in self.platform.facilities.values():
            for team in facility.teams:
                for person in team.people:
                    groups.setdefault(person.user, set()).add(team.group)
        some = sorted(groups)[: self.sample]
        note = f"EXTRAPOLATED from {len(some)} people" if len(some) < len(groups) else "measured"

        def ask(connection: Any) -> None:
            for name in some:
                number = connection.admin.lookupExperimenter(name).id.val
                connection.admin.getMemberOfGroupIds(account_proxy(number))
                for group in sorted(groups[name]):
                    connection.admin.lookupGroup(group)

        with Client(self.server.endpoint, connections=1) as client:
            client.call(lambda connection: connection.version)
            self._row(work, "per person", lambda: client.call(ask), len(groups) / len(some), note)


@contextmanager
def watched(calls: Calls) -> Iterator[None]:
    """Count the calls of connections that are made while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        watch_calls(patch, calls)
        yield


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facilities", type=int, default=30)
    parser.add_argument("--people", type=int, default=8000)
    parser.add_argument("--teams", type=int, default=1600)
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument(
        "--sample", type=int, default=200, help="people whom the slow arm asks for (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="write the results as JSON")
    options = parser.parse_args()
    nation = Nation(options.facilities, options.people, options.teams)
    results = Results()
    with (
        tempfile.TemporaryDirectory(prefix="bic-omero-bench-") as folder,
        standin_server(Path(folder)) as server,
    ):
        os.environ["BENCH"] = server.password
        bench = OmeroBench(
            platform_of(nation, Path(folder) / "nation", server), server, options.sample, results
        )
        with watched(bench.calls):
            bench.measure(options.changes)
    if options.json:
        json.dump(results.document(), sys.stdout, indent=2)
        print()
    else:
        results.show()


if __name__ == "__main__":
    main()
