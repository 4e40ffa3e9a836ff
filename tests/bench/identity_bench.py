"""How long people take to follow: `.venv/bin/python tests/bench/identity_bench.py`.

One nation, one login server and one zone (the stand-ins), one run. **bic sync** is the whole command, over
TLS, the zone included. **per person** is a client as user clerks are written: it asks for each person by user
name and for each of their groups by name, one after the other, and sets the members of a group as a list; the
zone is not even in it. Its figures are measured on a sample and extrapolated. Requests are those to the login
server.

These are no tests: a busy machine changes the seconds, and hardly the ratios.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "harness"))

import httpx
from identity_site import IdentitySite, identity_site
from table import Results, Row, Target

from controlplane.generate.nation import Nation, files
from controlplane.systems.authentik.client import Client

WORKERS = 6
"""Requests at a time by which the nation is made."""

BASE_AIM = 10.0
"""How many times fewer requests and seconds a sync should need."""


class Requests:
    """Counts what the control plane sends to the login server."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count from zero while the block runs."""
        send = Client._send

        def counting(client: Client, *arguments: Any, **given: Any) -> object:
            self.count += 1
            return send(client, *arguments, **given)

        self.count = 0
        Client._send = counting  # type: ignore[method-assign]
        try:
            yield
        finally:
            Client._send = send  # type: ignore[method-assign]


class IdentityBench:
    """The measurements, one after the other, on one site."""

    def __init__(self, site: IdentitySite, nation: Nation, sample: int, results: Results) -> None:
        """Know what is to be measured; nothing is made yet."""
        self.site, self.nation, self.sample, self.results = site, nation, sample, results
        self.requests = Requests()
        self.members: dict[str, list[str]] = {}
        """User names of contributors by group, of the teams whose people come from the login server."""
        self.names: dict[str, str] = {}
        for name, file in files(nation):
            if name.startswith("facilities/"):
                for index, team in enumerate(file["teams"]):
                    people = [team["pi"], *team.get("members", ())]
                    self.names |= {person["user"]: person["name"] for person in people}
                    if index:
                        users = [member["user"] for member in team.get("members", ())]
                        self.members[f"{file['id']}-{team['id']}"] = users

    def make(self) -> None:
        """Everybody and the whole tree, and everybody in their teams."""
        with ThreadPoolExecutor(WORKERS) as workers:
            list(workers.map(self._make_person, sorted(self.names)))
        self._measure("first apply", "bic apply", lambda: self._bic("apply", "--yes"))
        groups = self._groups()
        with ThreadPoolExecutor(WORKERS) as workers:
            list(workers.map(lambda team: self._fill(groups, team), self.members))
        # More than the limits let a sync do by itself.
        self._measure("first members", "bic apply", lambda: self._bic("apply", "--yes", "--exceed-limits"))

    def measure(self, changes: int) -> None:
        """A sync with nothing to do and one with changes, and the same by asking for each person."""
        self._measure("nothing to do", "bic sync", lambda: self._bic("sync"))
        self._per_person("nothing to do", [])
        groups = self._groups()
        moved = self._change(groups, changes)
        self._measure(f"{changes} changes", "bic sync", lambda: self._bic("sync"))
        self._per_person(f"{changes} changes", moved)
        for work in ("nothing to do", f"{changes} changes"):
            ours, theirs = (
                next(row for row in self.results.rows if (row.work, row.arm) == (work, arm))
                for arm in ("bic sync", "per person")
            )
            for what, times in (
                ("requests", theirs.requests / max(1, ours.requests)),
                ("seconds", theirs.seconds / ours.seconds),
            ):
                target = Target(
                    f"{work}: {what} of a client that asks per person, by those of bic sync",
                    f"{BASE_AIM:.0f} times or more",
                    f"{times:.1f} times",
                    times >= BASE_AIM,
                )
                self.results.targets.append(target)

    def _make_person(self, user: str) -> None:
        self.site.admin.user(user, self.names[user], bic_account=user)

    def _fill(self, groups: dict[str, str], team: str) -> None:
        keys = [self.site.admin.keys[user] for user in self.members[team]]
        self.site.admin.call("PATCH", f"core/groups/{groups[f'{team}.contributors']}/", {"users": keys})

    def _groups(self) -> dict[str, str]:
        """Keys of all groups by name."""
        found: dict[str, str] = {}
        page = 1
        while page:
            answer = self.site.admin.call(
                "GET", "core/groups/", page=page, page_size=100, include_users="false"
            )
            found |= {group["name"]: group["pk"] for group in answer["results"]}
            page = answer["pagination"]["next"]
        return found

    def _change(self, groups: dict[str, str], changes: int) -> list[str]:
        """Take people out of teams and put others in, as PIs do; the teams that are touched."""
        teams = sorted(team for team in self.members if self.members[team])
        touched = []
        for number in range(changes):
            team = teams[number % len(teams)]
            if number % 2 or not self.members[team]:
                verb, user = (
                    "add",
                    next(name for name in sorted(self.names) if name not in self.members[team]),
                )
            else:
                verb, user = "remove", self.members[team][0]
            key = groups[f"{team}.contributors"]
            self.site.admin.call(
                "POST", f"core/groups/{key}/{verb}_user/", {"pk": self.site.admin.keys[user]}
            )
            if verb == "add":
                self.members[team].append(user)
            else:
                self.members[team].remove(user)
            touched.append(team)
        return touched

    def _bic(self, *arguments: str) -> None:
        ran = self.site.bic(*arguments)
        if ran.code:
            raise RuntimeError(f"bic {' '.join(arguments)}: {ran.out[-2000:]}{ran.err[-2000:]}")

    def _measure(self, work: str, arm: str, run: Callable[[], None]) -> None:
        begun, cpu = time.perf_counter(), time.process_time()
        with self.requests.counted():
            run()
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        self._row(work, arm, self.requests.count, seconds, cpu=cpu)

    def _row(
        self, work: str, arm: str, requests: int, seconds: float, *, cpu: float, note: str = "measured"
    ) -> None:
        facilities, people = self.nation.facilities, len(self.names)
        self.results.rows.append(Row(facilities, people, work, arm, requests, 0, seconds, cpu, note))

    def _per_person(self, work: str, changed: list[str]) -> None:
        """Ask for some people and their groups one by one, and write the lists of changed groups."""
        groups_of: dict[str, list[str]] = {}
        for team, users in self.members.items():
            for user in users:
                groups_of.setdefault(user, []).append(f"{team}.contributors")
        some = sorted(self.names)[: self.sample]
        requests, begun, cpu = 0, time.perf_counter(), time.process_time()
        url, key = f"https://localhost:{self.site.front.port}/api/v3/", self.site.login.token
        ca_file = str(self.site.folder / "pki" / "ca.crt")
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=url, headers=headers, verify=_context(ca_file), timeout=60) as http:
            for user in some:
                for path, name in (("users", user), *(("groups", name) for name in groups_of.get(user, ()))):
                    query = {"username" if path == "users" else "name": name}
                    http.get(f"core/{path}/", params=query).raise_for_status()
                    requests += 1
            asked = time.perf_counter() - begun
            times = len(self.names) / len(some)
            written = time.perf_counter()
            for team in sorted(set(changed)):
                found = http.get("core/groups/", params={"name": f"{team}.contributors"}).json()["results"][0]
                body = {"users": [self.site.admin.keys[user] for user in self.members[team]]}
                http.patch(f"core/groups/{found['pk']}/", json=body).raise_for_status()
            writing = time.perf_counter() - written
        writes = 2 * len(set(changed))
        whole = len(some) == len(self.names)
        self._row(
            work,
            "per person",
            round(requests * times) + writes,
            asked * times + writing,
            cpu=(time.process_time() - cpu) * times,
            note="measured" if whole else f"EXTRAPOLATED from {len(some)} people",
        )


def _context(ca_file: str) -> Any:
    import ssl

    return ssl.create_default_context(cafile=ca_file)


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
        tempfile.TemporaryDirectory(prefix="bic-identity-bench-") as folder,
        identity_site(Path(folder), nation) as site,
    ):
        bench = IdentityBench(site, nation, options.sample, results)
        bench.make()
        bench.measure(options.changes)
    if options.json:
        json.dump(results.document(), sys.stdout, indent=2)
        print()
    else:
        results.show()


if __name__ == "__main__":
    main()
