"""A game day: faults on a nation, and what the monitoring says of each.

The waiting times of alert rules are shortened, so that a day fits into minutes; thresholds, routes and
inhibition are those of the platform.
"""

import json
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
HASTE = 15
"""How many times shorter an alert waits than it does for the platform."""
LONGEST_WAIT = 20
"""Seconds that an alert waits at most; what waits for days waits twice as long, so that it comes later."""
KEPT = 45
"""Seconds that an alert is kept after its cause: collectors ask every 30."""
SHORTEST_RANGE = 12
"""Seconds of samples that a rate needs at least, at a scrape every two seconds."""

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


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, and what has to be said of it within so many seconds."""

    title: str
    break_: Callable[[], object]
    mend: Callable[[], object]
    said: Mapping[str, str]
    """The alerts that people are told of, as `HostDown dc2-irods`, each with what `bic health` names as a
    cause beside it, as `host dc2-irods`. Either is empty where there is none."""
    within: float = 60.0

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
    """Alerts that were told beside them."""
    clear_after: float | None = None
    """Seconds from the mend until nothing was told any more, and `bic health` named nothing."""

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
    """Breaks a nation, one fault at a time."""

    def __init__(self, nation: Nation, folder: Path) -> None:
        """Give the nation's Prometheus the hastened rules, from `folder`."""
        self.nation = nation
        self.verdicts: list[Verdict] = []
        rules = folder / "rules"
        rules.mkdir()
        for path in (Path(__file__).parents[2] / "monitoring" / "rules").glob("*.yml"):
            (rules / path.name).write_text(hastened(path.read_text()))
        words = {"prometheus_rules_dir": str(rules), "prometheus_scrape_interval": "2s"}
        done = nation.ansible("--limit", MONITOR, "--tags", "prometheus", "-e", json.dumps(words))
        if done.code != 0:
            raise RuntimeError(done.output[-3000:])

    def inside(self, host: str, script: str) -> str:
        """Run a shell script in a host, network or not; what it prints."""
        fleet = self.nation.fleet
        command = hosts.command_in(fleet, fleet.host(host), ["sh", "-ec", script])
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{host}: {script}: {done.stdout}{done.stderr}")
        return done.stdout

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

    def unit(self, host: str, unit: str) -> tuple[Callable[[], object], Callable[[], object]]:
        """How to stop a unit, and how to start it."""
        return lambda: self.inside(host, f"systemctl stop {unit}"), lambda: self.inside(
            host, f"systemctl start {unit}"
        )

    def told(self) -> set[str]:
        """The alerts that people are told of now: neither inhibited nor silenced.

        None while the Alertmanager is away.
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
            time.sleep(1)
        return None

    def play(self, fault: Fault) -> Verdict:
        """Break it, listen, and mend it."""
        verdict = Verdict(fault)
        self.verdicts.append(verdict)
        begun = time.monotonic()
        over = threading.Event()

        def ask_health() -> None:
            while not over.is_set():
                if self.causes() >= fault.targets:
                    verdict.probe_after = time.monotonic() - begun
                    return

        asking = threading.Thread(target=ask_health)
        try:
            asking.start()
            fault.break_()
            end = begun + fault.within
            while time.monotonic() < end and None in (verdict.alert_after, verdict.probe_after):
                told = self.told()
                verdict.others |= told - fault.alerts
                if verdict.alert_after is None and told >= fault.alerts:
                    verdict.alert_after = time.monotonic() - begun
                time.sleep(1)
            # What would be told a little later is noise, too.
            end = time.monotonic() + LONGEST_WAIT
            while time.monotonic() < end:
                verdict.others |= self.told() - fault.alerts
                time.sleep(2)
        finally:
            over.set()
            asking.join()
            fault.mend()
        # Some are looked at every five minutes only.
        verdict.clear_after = self.quiet(360)
        return verdict

    def table(self) -> str:
        """All verdicts so far."""
        return "\n".join([HEADING, *(verdict.row() for verdict in self.verdicts)])


def _name(labels: dict[str, str]) -> str:
    about = next((labels[label] for label in _LABELS if labels.get(label)), "")
    return f"{labels['alertname']} {about}".rstrip()
