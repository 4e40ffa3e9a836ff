"""Plan and apply of a synthetic nation, beside the same work done without the control plane.

Every arm has an empty zone of its own, on servers of the same program on this machine, one after the other.
"""

import contextlib
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from arms import BareCalls, Work, bare_reads, client_loop, iadmin_loop, work_of
from call_log import Call, CallLog
from local_zone import PASSWORD, PASSWORD_VARIABLE, Pki, make_pki, write_nation
from serve import server_process
from table import Results, Row, Target

from controlplane.generate.nation import Nation, default_teams
from controlplane.model import Platform, load_platform
from controlplane.reconcile.run import plan_all
from controlplane.state import State
from controlplane.systems import planned_systems
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import CONNECTIONS, Endpoint, endpoint
from controlplane.systems.irods.desired import desired_state

PEOPLE_PER_FACILITY = 8000 / 30
LOGIN = "AUTHENTICATION_APN"

MAX_REQUESTS = {"GenQuery1": 160, "GenQuery2": 10}
MAX_PLAN_RATIO = 1.5
MIN_APPLY_RATIO = 0.9
MAX_GROWTH = 1.1
"""How much the seconds for a person may grow with the nation: linear growth is 1, the rest is noise."""

REFERENCE = 30
"""The number of facilities that the targets are about."""

REPEATS = 3
"""How often reads, and applies of nations that are not large, are measured; the fastest counts."""


LOOPS = {"client loop": client_loop, "iadmin loop": iadmin_loop}


@dataclass
class Site:
    """A nation's inventory and the zone that it describes."""

    platform: Platform
    folder: Path
    calls: CallLog

    @property
    def endpoint(self) -> Endpoint:
        """How to enter the zone."""
        (zone,) = self.platform.zones.values()
        return endpoint(zone, self.platform.hosts[zone.catalog_provider])


@dataclass(frozen=True)
class Measured:
    """What something cost."""

    seconds: float
    cpu: float
    calls: list[Call]

    @property
    def logins(self) -> int:
        """Requests that were parts of logins."""
        return sum(call.name == LOGIN for call in self.calls)

    @property
    def changing(self) -> float:
        """Seconds from the first change to the last."""
        times = [call.time for call in self.calls if call.changed]
        return max(times) - min(times)

    @property
    def others(self) -> int:
        """All other requests."""
        return len(self.calls) - self.logins


class ZoneBench:
    """Measures one size of nation after the other."""

    def __init__(self, sample: int, results: Results) -> None:
        """Let the loops without the control plane do `sample` facilities of larger nations."""
        self.sample = sample
        self.results = results
        os.environ[PASSWORD_VARIABLE] = PASSWORD

    def measure(self, facilities: int, people: int | None = None) -> None:
        """Measure a nation of that many facilities."""
        people = people or round(facilities * PEOPLE_PER_FACILITY)
        self.facilities, self.people = facilities, people
        with tempfile.TemporaryDirectory(prefix="bic-bench-") as name:
            folder = Path(name)
            pki = make_pki(folder / "pki")
            nation = Nation(facilities, people, default_teams(facilities, people))
            # Both arms alternate, so that what else this machine does meets both.
            repeats = REPEATS if facilities <= REFERENCE else 1
            applied, bare = [], []
            for number in range(repeats):
                with self._site(folder / f"ours {number}", pki, nation) as site:
                    applied.append(self._bic(site, "apply", "--yes"))
                    with self._site(folder / f"bare {number}", pki, nation) as other, self._arm("bare calls"):
                        bare.append(self._bare_apply(other, applied[-1]))
                    if number == repeats - 1:
                        self._applies(applied, bare)
                        self._plans(site)
            for title, loop in LOOPS.items():
                with self._site(folder / title, pki, nation) as site:
                    self._loop("apply from empty", title, site, loop)

    @contextlib.contextmanager
    def _arm(self, name: str) -> Iterator[None]:
        """Keep why an arm could not be measured, and go on with the others."""
        try:
            yield
        except Exception as error:
            failure = f"{self.facilities} facilities, {name}: {type(error).__name__}: {error}"
            self.results.failures.append(failure)
            print(failure, file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def _site(self, folder: Path, pki: Pki, nation: Nation) -> Iterator[Site]:
        folder.mkdir()
        call_log = folder / "calls.jsonl"
        with server_process(folder / "server", pki, call_log) as port:
            write_nation(folder / "inventory", nation, pki.ca_file, {"bicZone": port})
            yield Site(load_platform(folder / "inventory"), folder, CallLog(call_log))

    def _bare_apply(self, site: Site, applied: Measured) -> Measured:
        calls = BareCalls(applied.calls)
        return self._timed(site, lambda: calls.run(site.endpoint, CONNECTIONS))

    def _applies(self, applied: Sequence[Measured], bare: Sequence[Measured]) -> None:
        ours = min(applied, key=lambda cost: cost.seconds)
        changing = min(cost.changing for cost in applied)
        note = f"fastest of {len(applied)}; {CONNECTIONS} connections"
        whole = f"{note}; the whole command, {changing:.2f} s of it for the changes"
        self._row("apply from empty", "bic apply", ours, whole)
        if not bare:
            return
        cost = min(bare, key=lambda cost: cost.seconds)
        self._row("apply from empty", "bare calls", cost, note)
        for what, seconds in (("whole command", ours.seconds), ("changes alone", changing)):
            ratio = cost.seconds / seconds
            self._target(
                f"apply from empty, {what}, speed in proportion to bare calls",
                f"at least {MIN_APPLY_RATIO}",
                f"{ratio:.2f}",
                ratio >= MIN_APPLY_RATIO,
            )

    def _plans(self, site: Site) -> None:
        with self._arm("bic plan"):
            self._row("plan of no change", "bic plan", self._bic(site, "plan"), "the whole command")
        for language, genquery2 in (("GenQuery2", True), ("GenQuery1", False)):
            with self._arm(f"plan, {language}"):
                self._plans_in(site, language, genquery2=genquery2)
        for title, loop in LOOPS.items():
            self._loop("plan of no change", title, site, loop)

    def _plans_in(self, site: Site, language: str, *, genquery2: bool) -> None:
        # The collector of garbage would walk through all calls that this process remembers, again and again.
        gc.collect()
        gc.freeze()
        # Both arms alternate, so that what else this machine does meets both.
        pairs = [
            (
                self._timed(site, lambda: bare_reads(site.endpoint, genquery2=genquery2)),
                self._timed(site, lambda: _plan(site.platform, genquery2=genquery2)),
            )
            for _ in range(REPEATS)
        ]
        bare, plan = (min(arm, key=lambda cost: cost.seconds) for arm in zip(*pairs, strict=True))
        work, fastest = "plan of no change", f"fastest of {REPEATS}"
        self._row(work, f"bare reads, {language}", bare, fastest)
        self._row(work, f"plan, {language}", plan, f"{fastest}; inventory loaded")
        limit, ratio = MAX_REQUESTS[language], plan.seconds / bare.seconds
        self._target(
            f"{work}, requests with {language} beside logins",
            f"at most {limit}",
            str(plan.others),
            plan.others <= limit,
        )
        self._target(
            f"{work}, seconds in proportion to bare reads with {language}",
            f"at most {MAX_PLAN_RATIO}",
            f"{ratio:.2f}",
            ratio <= MAX_PLAN_RATIO,
        )

    def _loop(self, work_title: str, title: str, site: Site, loop: Callable[[Endpoint, Work], None]) -> None:
        """Measure a loop on the sampled facilities, and say what it would take for all."""
        desired = _desired(site.platform)
        work = work_of(desired, list(site.platform.facilities)[: self.sample])
        share = work.size / work_of(desired, site.platform.facilities).size
        note = ""
        if share < 1:
            note = f"EXTRAPOLATED from {self.sample} of {self.facilities} facilities, {share:.1%} of the work"
        with self._arm(f"{work_title}, {title}"):
            cost = self._timed(site, lambda: loop(site.endpoint, work))
            self._row(work_title, title, cost, note, share)

    def _bic(self, site: Site, *arguments: str) -> Measured:
        """Run a command as a person does, Python's start included."""
        command = [sys.executable, "-m", "controlplane", "-i", str(site.folder / "inventory"), *arguments]

        def run() -> None:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"bic {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")

        return self._timed(site, run)

    def _timed(self, site: Site, work: Callable[[], object]) -> Measured:
        site.calls.new()
        begun, before = time.monotonic(), sum(os.times()[:4])
        work()
        seconds, cpu = time.monotonic() - begun, sum(os.times()[:4]) - before
        return Measured(seconds, cpu, site.calls.new())

    def _row(self, work: str, arm: str, cost: Measured, note: str, share: float = 1.0) -> None:
        """Keep a measurement that was made on a `share` of the work, and say so at once."""
        requests, logins = round(len(cost.calls) / share), round(cost.logins / share)
        row = Row(
            self.facilities,
            self.people,
            work,
            arm,
            requests,
            logins,
            cost.seconds / share,
            cost.cpu / share,
            note,
        )
        self.results.rows.append(row)
        print(
            f"{row.facilities} facilities, {work}, {arm}: {requests:,} requests, {row.seconds:.2f} s {note}",
            file=sys.stderr,
            flush=True,
        )

    def _target(self, what: str, aim: str, measured: str, met: bool) -> None:
        if self.facilities == REFERENCE:
            self.results.targets.append(Target(what, aim, measured, met))

    def growth(self) -> None:
        """Compare the seconds for a person of the largest nation with those of the reference."""
        for work, arm in (("apply from empty", "bic apply"), ("plan of no change", "bic plan")):
            rows = {row.facilities: row for row in self.results.rows if (row.work, row.arm) == (work, arm)}
            largest = max(rows)
            if REFERENCE not in rows or largest == REFERENCE:
                continue
            small, large = rows[REFERENCE], rows[largest]
            ratio = (large.seconds / large.people) / (small.seconds / small.people)
            self.results.targets.append(
                Target(
                    f"{work}, seconds for a person at {largest} facilities in proportion to {REFERENCE}",
                    f"at most {MAX_GROWTH}",
                    f"{ratio:.2f}",
                    ratio <= MAX_GROWTH,
                )
            )


def _desired(platform: Platform) -> State:
    (zone,) = platform.zones.values()
    return desired_state(platform, zone)


def _plan(platform: Platform, *, genquery2: bool) -> None:
    """What `bic plan` does once the inventory is loaded."""
    with mock.patch.object(calls, "has_genquery2", return_value=genquery2):
        (outcome,) = plan_all(planned_systems(platform), lambda label: lambda done, total: None)
    if not outcome.settled:
        raise RuntimeError(f"the zone is not as it should be: {outcome.error or outcome.plan}")
