"""A game day: faults on a nation, and what the monitoring says of each.

The waiting times of alert rules are shortened, so that a day fits into minutes; thresholds, routes and
inhibition are those of the platform.
"""

import contextlib
import json
import math
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from nation import BIN, Nation

from sandbox.fleet import host as hosts
from sandbox.fleet import network

MONITOR = "dc1-monitor"
HASTE = 10
"""How many times shorter an alert waits than it does for the platform."""
LONGEST_WAIT = 30
"""Seconds that an alert waits at most; what waits for days waits twice as long, so that it comes later."""
KEPT = 45
"""Seconds that an alert is kept after its cause: collectors ask every 30."""
PAUSE = 5.0
"""Seconds between two questions to `bic health`."""
CLEARED = 360.0
"""Seconds until all has cleared after a mend, at most."""
SCRAPE_INTERVAL = 5
"""Seconds from scrape to scrape."""
SHORTEST_RANGE = 6 * SCRAPE_INTERVAL
"""Seconds of samples that a rate needs at least."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ALWAYS = ("Watchdog", "OperationBudgetBurns")
"""Alerts that a game day has anyway: one always fires, and a day of outages spends what a month may have."""
_LABELS = ("host", "zone", "outpost", "feed", "system", "collector")


def hastened(rules: str) -> str:
    """Rule files whose alerts wait for seconds, and whose rates look back less far."""

    def wait(match: re.Match[str]) -> str:
        seconds = int(match[1]) * _SECONDS[match[2]]
        longest = LONGEST_WAIT if seconds < _SECONDS["d"] else 2 * LONGEST_WAIT
        return f"for: {max(2, min(longest, seconds // HASTE))}s"

    def look_back(match: re.Match[str]) -> str:
        return f"[{max(SHORTEST_RANGE, int(match[1]) * _SECONDS[match[2]] // HASTE)}s]"

    shorter = re.sub(r"(?<!_)for: (\d+)([smhd])\b", wait, rules)
    shorter = re.sub(r"keep_firing_for: \w+", f"keep_firing_for: {KEPT}s", shorter)
    return re.sub(r"\[(\d+)([smhd])\]", look_back, shorter)


@dataclass(frozen=True, eq=False)
class Fault:
    """Something that goes wrong, and what has to be said of it within so many seconds."""

    title: str
    break_: Callable[[], object]
    mend: Callable[[], object]
    said: Mapping[str, str]
    """The alerts that people are told of, as `HostDown dc2-irods`, each with what `bic health` names as a
    cause beside it, as `host dc2-irods`. Either is empty where there is none."""
    within: float = 120.0

    @property
    def alerts(self) -> frozenset[str]:
        """All alerts that have to be told."""
        return frozenset(filter(None, self.said))

    @property
    def targets(self) -> frozenset[str]:
        """All that `bic health` has to name."""
        return frozenset(filter(None, self.said.values()))


@dataclass
class Verdict:
    """What was said of a fault."""

    fault: Fault
    alert_after: float | None = None
    """Seconds until all its alerts were told."""
    probe_after: float | None = None
    """Seconds until `bic health` named all its targets."""
    others: set[str] = field(default_factory=set)
    """Alerts that were told in its wave beside what had to be."""
    clear_after: float | None = None
    """Seconds from the mend of its wave until nothing was told any more, and `bic health` named nothing."""

    @property
    def passed(self) -> bool:
        """Whether the cause was named in time, nothing else was told, and all cleared."""
        times = (self.alert_after, self.probe_after)
        return (
            all(t is not None and t <= self.fault.within for t in times)
            and not self.others
            and self.clear_after is not None
        )

    def row(self) -> str:
        """The verdict as a row of the table."""
        times = [
            f"{t:5.0f} s" if t is not None else "      -"
            for t in (self.alert_after, self.probe_after, self.clear_after)
        ]
        verdict = (
            "passed"
            if self.passed
            else "FAILED" + (f", also told: {', '.join(sorted(self.others))}" if self.others else "")
        )
        return f"{self.fault.title:44} {times[0]}  {times[1]}  {times[2]}  {verdict}"


HEADING = f"{'fault':44} {'alert':>7}  {'probe':>7}  {'clear':>7}  verdict"


class GameDay:
    """Breaks a nation, wave by wave."""

    def __init__(self, nation: Nation, folder: Path) -> None:
        """Give the nation's Prometheus the hastened rules, from `folder`."""
        self.nation = nation
        self.verdicts: list[Verdict] = []
        rules = folder / "rules"
        rules.mkdir()
        for path in (Path(__file__).parents[2] / "monitoring" / "rules").glob("*.yml"):
            (rules / path.name).write_text(hastened(path.read_text()))
        words = {"prometheus_rules_dir": str(rules), "prometheus_scrape_interval": f"{SCRAPE_INTERVAL}s"}
        done = nation.ansible("--limit", MONITOR, "--tags", "prometheus", "-e", json.dumps(words))
        if done.code != 0:
            raise RuntimeError(done.output[-3000:])

    def inside(self, host: str, script: str) -> str:
        """Run a shell script in a host, network or not; what it prints."""
        done = self.run(host, "sh", "-ec", script)
        if done.returncode:
            raise RuntimeError(f"{host}: {script}: {done.stdout}{done.stderr}")
        return done.stdout

    def run(self, host: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a host, network or not."""
        return self.nation.in_host(host, *words)

    def power(self, host: str) -> tuple[Callable[[], object], Callable[[], object]]:
        """How to cut a host's power, and how to give it back."""
        fleet = self.nation.fleet
        return lambda: hosts.stop(fleet, fleet.host(host)), lambda: hosts.start(fleet, fleet.host(host))

    def cable(self, *names: str) -> tuple[Callable[[], object], Callable[[], object]]:
        """How to take hosts off the network, and how to put them back."""
        fleet = self.nation.fleet
        chosen = [fleet.host(name) for name in names]
        return (
            lambda: [network.cut(host) for host in chosen],
            lambda: [network.mend(fleet, host) for host in chosen],
        )

    def told(self) -> set[str]:
        """The alerts that people are told of now: neither inhibited nor silenced.

        Nothing while the Alertmanager is away.
        """
        url = f"https://{self.nation.address(MONITOR)}:9093/api/v2/alerts"
        context = ssl.create_default_context(cafile=str(self.nation.authority))
        only = {"active": "true", "silenced": "false", "inhibited": "false", "unprocessed": "false"}
        try:
            answer = httpx.get(url, params=only, verify=context, timeout=10, trust_env=False)
            labels = [alert["labels"] for alert in answer.raise_for_status().json()]
        except httpx.HTTPError:
            return set()
        return {_name(each) for each in labels if not each["alertname"].startswith(_ALWAYS)}

    def causes(self) -> set[str]:
        """What `bic health` finds wrong now, without what only follows from it."""
        command = [BIN / "bic", "health", "--json", "--deadline", "20"]
        done = subprocess.run(
            command,
            cwd=BIN.parents[1],
            env=self.nation.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        checks = json.loads(done.stdout)["checks"]
        return {f"{check['system']} {check['target']}" for check in checks if check["status"] == "failed"}

    def quiet(self, seconds: float) -> float | None:
        """Wait until nothing is told and nothing found; the seconds that it took, or None."""
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            if not self.told() and not self.causes():
                return time.monotonic() - begun
            time.sleep(PAUSE)
        return None

    def play(self, *faults: Fault) -> list[Verdict]:
        """Break what does not hide each other, all at once; listen, and mend it in reverse."""
        verdicts = [Verdict(fault) for fault in faults]
        self.verdicts += verdicts
        awaited = frozenset[str]().union(*(fault.alerts for fault in faults))
        begun = dict.fromkeys(faults, math.inf)
        over = threading.Event()

        def since(verdict: Verdict) -> float:
            return time.monotonic() - begun[verdict.fault]

        def ask_health() -> None:
            while not over.is_set() and any(verdict.probe_after is None for verdict in verdicts):
                found = self.causes()
                for verdict in verdicts:
                    if verdict.probe_after is None and since(verdict) > 0 and found >= verdict.fault.targets:
                        verdict.probe_after = since(verdict)
                over.wait(PAUSE)

        def open_ones() -> list[Verdict]:
            return [
                verdict
                for verdict in verdicts
                if None in (verdict.alert_after, verdict.probe_after)
                and since(verdict) < verdict.fault.within
            ]

        with contextlib.ExitStack() as broken:
            asking = threading.Thread(target=ask_health)
            broken.callback(asking.join)
            broken.callback(over.set)
            asking.start()
            for fault in faults:
                begun[fault] = time.monotonic()
                broken.callback(fault.mend)
                fault.break_()
            noise: set[str] = set()
            while open_ones():
                told = self.told()
                noise |= told - awaited
                for verdict in verdicts:
                    if verdict.alert_after is None and told >= verdict.fault.alerts:
                        verdict.alert_after = since(verdict)
                time.sleep(1)
            # What would be told a little later is noise, too.
            end = time.monotonic() + LONGEST_WAIT
            while time.monotonic() < end:
                noise |= self.told() - awaited
                time.sleep(2)
        clear_after = self.quiet(CLEARED)
        for verdict in verdicts:
            verdict.others, verdict.clear_after = noise, clear_after
            print(verdict.row(), flush=True)
        return verdicts

    def table(self) -> str:
        """All verdicts so far."""
        return "\n".join([HEADING, *(verdict.row() for verdict in self.verdicts)])


def _name(labels: dict[str, str]) -> str:
    about = next((labels[label] for label in _LABELS if labels.get(label)), "")
    return f"{labels['alertname']} {about}".rstrip()
