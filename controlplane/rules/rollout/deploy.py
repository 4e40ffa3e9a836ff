"""Changing the rule bases of a zone's servers: wave after wave, one server at a time, each behind a gate.

A server takes an activation back by itself when nobody confirms it, so a run that dies leaves nothing half
done for long, and the next run settles what it finds pending.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Event as Flag
from typing import Any, Protocol

from controlplane.errors import BicError
from controlplane.rules.rollout.gate import GateResult
from controlplane.rules.rollout.plan import Pending, ServerState, server_state
from controlplane.rules.rollout.release import rule_base_of
from controlplane.rules.rollout.servers import ANSWER_TIMEOUT, RELOAD_TIMEOUT, Answer
from controlplane.rules.rollout.waves import Wave
from controlplane.store.rollouts import Event

TIME_LOCK = 240
"""Seconds after which a server takes back what is not confirmed: more than a gate and a reload need."""

RENEWAL = 60.0
"""Seconds after which the time lock of a wave's first servers is renewed while others are waited for."""

POLL = 2.0
"""Seconds between two looks at who is connected."""

SHOWN = 4
"""Connections that are named one by one."""

_CLOSED = re.compile(r"closed for ([0-9.]+) s")


class Asks(Protocol):
    """What asks servers: `servers.Servers`."""

    def ask(
        self,
        names: Sequence[str],
        *words: str,
        stdin: Mapping[str, Any] | None = None,
        timeout: int = ANSWER_TIMEOUT,
    ) -> dict[str, Answer]:
        """What the command on each of some servers answers."""


class Writes(Protocol):
    """What keeps the events: `store.rollouts.RolloutJournal`."""

    def write(
        self,
        event: Event,
        *,
        zone: str,
        wave: str,
        server: str = "",
        text: str = "",
        closed: float | None = None,
    ) -> None:
        """Add an event. Raises StoreError."""


@dataclass(frozen=True)
class Target:
    """What a server is to run."""

    names: tuple[str, ...]
    """The list for the rule engine."""
    files: Mapping[str, str]
    """The texts by name of those that may not be on the server yet."""


class Result(StrEnum):
    """What became of a server."""

    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled back"
    FAILED = "failed"
    NOT_ATTEMPTED = "not attempted"


@dataclass
class Outcome:
    """What became of a server, and why."""

    server: str
    result: Result = Result.NOT_ATTEMPTED
    reason: str = ""
    closed: float = 0.0
    """Seconds during which it took no connections, all in all."""


@dataclass
class Conditions:
    """What all zones of a rollout share."""

    servers: Asks
    journal: Writes
    gate: Callable[[str, Sequence[str]], GateResult]
    """Checks a server that runs this list."""
    by: str
    wait: float
    """Seconds to wait for clients of a server before it is closed."""
    tell: Callable[[str], None]
    stop: Flag = field(default_factory=Flag)
    """Once set, no further server is begun."""


class ZoneRollout:
    """A rollout in one zone."""

    def __init__(self, conditions: Conditions, zone: str, targets: Mapping[str, Target]) -> None:
        """Know what each server is to run; nothing is asked yet."""
        self.conditions = conditions
        self.zone = zone
        self.targets = targets
        self.outcomes = {name: Outcome(name) for name in targets}
        self._wave = ""
        self._renewed = 0.0

    def settle(self, server: str, pending: Pending) -> bool:
        """Finish what an earlier run left pending, if it is what is wanted and good; else take it back.

        Whether the server can be gone on with.
        """
        self._wave = "left by an earlier run"
        if pending.after != self.targets[server].names:
            self._tell(server, f"taking back the activation that {pending.by} left unconfirmed")
            return self._take_back(server)
        self._tell(server, f"finishing the activation that {pending.by} left unconfirmed")
        if self._stage([server]):
            self._wait_for_clients(server, [])
            if self._activate(server) and self._gated(server) and self._confirm([server]):
                return True
        self._take_back(server)
        return False

    def run(self, waves: Sequence[Wave]) -> bool:
        """Change the servers of the waves. Whether all are as wanted; else the failed wave is as before."""
        names = [name for wave in waves for name in wave.servers]
        self._wave = "all"
        if not self._stage(names):
            return False
        for wave in waves:
            if self.conditions.stop.is_set():
                return False
            self._wave = wave.title
            self._write(Event.WAVE, text=", ".join(wave.servers))
            self.conditions.tell(f"{self.zone}: wave {wave.title!r}: {', '.join(wave.servers)}")
            if not self._run_wave(wave):
                return False
        return True

    def _run_wave(self, wave: Wave) -> bool:
        """One server after the other; what one fails, all of them give back."""
        begun: list[str] = []
        for server in wave.servers:
            if self.conditions.stop.is_set():
                break
            self._wait_for_clients(server, begun)
            begun.append(server)
            if not (self._activate(server) and self._gated(server)):
                break
        else:
            if self._confirm(begun):
                return True
        for server in reversed(begun):
            self._take_back(server)
        return False

    def _stage(self, names: Sequence[str]) -> bool:
        """Bring the files to all servers, before anything is changed on one."""
        fine = True
        files = {name: self.targets[name].files for name in names if self.targets[name].files}
        asked = {
            frozenset(texts): [name for name in files if files[name].keys() == texts.keys()]
            for texts in files.values()
        }
        for same in asked.values():
            answers = self.conditions.servers.ask(same, "stage", stdin={"files": dict(files[same[0]])})
            for server, answer in answers.items():
                if answer.error:
                    fine = False
                    self._fail(server, f"the files could not be brought there: {answer.error}")
                elif restored := answer.value["restored"]:
                    self._write(Event.STAGED, server, f"edits by hand taken back: {_shown(restored)}")
                elif staged := answer.value["staged"]:
                    self._write(Event.STAGED, server, _shown(staged))
        return fine

    def _wait_for_clients(self, server: str, begun: Sequence[str]) -> None:
        """Wait until nobody is connected, as long as there is patience; whoever is left will be cut off."""
        end = time.monotonic() + self.conditions.wait
        said = False
        while True:
            answer = self.conditions.servers.ask([server], "connections")[server]
            if answer.error:
                self._tell(server, f"nobody knows who is connected: {answer.error}")
                return
            open_now = answer.value["connections"]
            if not open_now:
                return
            text = connections_text(open_now)
            if time.monotonic() >= end or self.conditions.stop.is_set():
                self._write(Event.WAITED, server, text)
                self._tell(server, f"still connected, and cut off when its grace period ends: {text}")
                return
            if not said:
                said = True
                self._tell(server, f"waiting up to {self.conditions.wait:.0f} s for {text}")
            self._renew(begun)
            time.sleep(min(POLL, max(0.0, end - time.monotonic())))

    def _renew(self, begun: Sequence[str]) -> None:
        """Keep servers of this wave from taking back by themselves what has passed its gate."""
        if time.monotonic() - self._renewed < RENEWAL:
            return
        self._renewed = time.monotonic()
        for server in begun:
            self.conditions.servers.ask([server], *self._activation(server), timeout=RELOAD_TIMEOUT)

    def _activation(self, server: str) -> list[str]:
        words = ["activate", "--by", self.conditions.by, "--seconds", str(TIME_LOCK)]
        return [*words, *self.targets[server].names]

    def _activate(self, server: str) -> bool:
        """Let a server run with its list; what it cannot read it has taken back already."""
        outcome = self.outcomes[server]
        words = self._activation(server)
        answer = self.conditions.servers.ask([server], *words, timeout=RELOAD_TIMEOUT)[server]
        self._renewed = time.monotonic()
        if answer.error:
            outcome.closed += sum(float(seconds) for seconds in _CLOSED.findall(answer.error))
            self._fail(server, answer.error)
            return False
        closed = float(answer.value["closed_seconds"])
        outcome.closed += closed
        names = _shown(self.targets[server].names)
        self._write(Event.ACTIVATED, server, names, closed)
        self._tell(server, f"activated; it was closed for {closed:.1f} s")
        return True

    def _gated(self, server: str) -> bool:
        """Whether a server does what it must."""
        result = self.conditions.gate(server, self.targets[server].names)
        complaint = self._complaint(server)
        if result.passed and not complaint:
            names = ", ".join(check.name for check in result.checks)
            self._write(Event.GATE_PASSED, server, names)
            self._tell(server, f"gate passed: {len(result.checks)} checks in {result.seconds:.1f} s")
            return True
        reason = "; ".join(text for text in (result.reason, complaint) if text)
        self._write(Event.GATE_FAILED, server, reason)
        self._fail(server, f"the gate failed: {reason}")
        return False

    def _complaint(self, server: str) -> str:
        """What the server's journal says of its rules since the activation."""
        try:
            state = self._state(server)
        except BicError as error:
            return f"its journal could not be read: {error}"
        return state.pending.complaint if state.pending else "its activation is pending no more"

    def _state(self, server: str) -> ServerState:
        return server_state(self.conditions.servers.ask([server], "status")[server].get())

    def _confirm(self, names: Sequence[str]) -> bool:
        """Let what was activated stay."""
        fine = True
        for server, answer in self.conditions.servers.ask(names, "confirm").items():
            if answer.error:
                fine = False
                self._fail(server, f"not confirmed: {answer.error}")
            else:
                self.outcomes[server].result = Result.CONFIRMED
                self._write(Event.CONFIRMED, server, _shown(self.targets[server].names))
                self._tell(server, "confirmed")
        return fine

    def _take_back(self, server: str) -> bool:
        """Go back to the list from before, and see that the server answers with it."""
        outcome = self.outcomes[server]
        answer = self.conditions.servers.ask(
            [server], "rollback", "--by", self.conditions.by, timeout=RELOAD_TIMEOUT
        )[server]
        if answer.error:
            self._fail(server, f"not rolled back; the server will do so by itself: {answer.error}")
            return False
        closed = float(answer.value["closed_seconds"])
        outcome.closed += closed
        try:
            before = self._state(server).active
        except BicError as error:
            self._fail(server, f"rolled back, but it does not tell what it runs: {error}")
            return False
        proof = self.conditions.gate(server, before)
        if not proof.passed:
            self._fail(server, f"rolled back, but it does not answer as before: {proof.reason}")
            return False
        if outcome.result is not Result.CONFIRMED:
            outcome.result = Result.ROLLED_BACK
        self._write(Event.ROLLED_BACK, server, _shown(before), closed)
        self._tell(
            server,
            f"rolled back, closed for {closed:.1f} s; it answers with the rule bases from before "
            f"({len(proof.checks)} checks)",
        )
        return True

    def _fail(self, server: str, reason: str) -> None:
        outcome = self.outcomes[server]
        outcome.result = Result.FAILED
        outcome.reason = f"{outcome.reason}\n{reason}".strip()
        self._write(Event.FAILED, server, reason)
        self._tell(server, reason)

    def _write(self, event: Event, server: str = "", text: str = "", closed: float | None = None) -> None:
        self.conditions.journal.write(
            event, zone=self.zone, wave=self._wave, server=server, text=text, closed=closed
        )

    def _tell(self, server: str, text: str) -> None:
        self.conditions.tell(f"  {server}: {text}")


def connections_text(connections: Sequence[Mapping[str, Any]]) -> str:
    """Open connections for people: how many, and who the first are."""
    who = []
    for one in connections[:SHOWN]:
        seconds = f" for {one['seconds']} s" if one["seconds"] is not None else ""
        with_what = f" with {one['program']}" if one["program"] else ""
        who.append(f"{one['user'] or 'somebody'}{with_what} from {one['address']}{seconds}")
    more = ", …" if len(connections) > SHOWN else ""
    noun = "connection" if len(connections) == 1 else "connections"
    return f"{len(connections)} open {noun} ({', '.join(who)}{more})"


def _shown(names: Sequence[str]) -> str:
    return ", ".join(rule_base_of(name) for name in names)
