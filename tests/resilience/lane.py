"""One of several places at which kills are tried at the same time: a zone's server, and runs of `bic`."""

import json
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from call_log import Call, read_calls
from forker import Forker
from local_zone import PASSWORD, PASSWORD_VARIABLE, Pki, free_port, make_pki, serving, write_nation

from controlplane.generate.nation import Nation
from sandbox.standins.irods.faults import Fault, Faults

NATION = Nation(facilities=1, people=12, teams=3)
"""A whole facility: people, groups with their members and ACLs, a tree of storage resources, quotas."""

SECONDS = 120
"""How long a run may take on a busy machine."""


@dataclass(frozen=True)
class Point:
    """Where an apply is killed: when the server has the call of this number and has not or has done it."""

    call: int
    cut: Literal["before", "after"]

    def __str__(self) -> str:
        return f"{self.cut}-call-{self.call}"


@dataclass(frozen=True)
class Run:
    """How one run of `bic` ended."""

    code: int
    output: str
    calls: list[Call] = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What followed a kill."""

    killed: Run
    again: Run
    plan: Run
    claims: int
    """Claims that the zone still holds at the end."""

    @property
    def document(self) -> dict[str, object]:
        """The plan after all."""
        return dict(json.loads(self.plan.output))

    @property
    def repeated(self) -> list[tuple[str, tuple[str, ...]]]:
        """Changes that succeeded in the first run and again in the second, or twice in one of them.

        The last call of each connection of the killed run does not count: nobody may have heard its reply.
        """
        last = {call.connection: call for call in self.killed.calls}
        settled = [call for call in self.killed.calls if call is not last[call.connection]]
        counts = Counter(call.work for call in (*settled, *self.again.calls) if call.changed)
        return [work for work, count in counts.items() if count > 1]


class Lane:
    """A folder, a certificate and a way to run `bic`, for one point after the other."""

    def __init__(self) -> None:
        self.forker = Forker()
        self.folder = Path(tempfile.mkdtemp(prefix="bic-lane-"))
        # What the server writes to its journal is read when a test fails by hand.
        with (self.folder / "server.log").open("wb") as log:
            os.dup2(log.fileno(), 1)
        self.pki: Pki = make_pki(self.folder / "pki")
        self.port = free_port()
        self.inventory = self.folder / "inventory"
        write_nation(self.inventory, NATION, self.pki.ca_file, {"bicZone": self.port})
        self._points = 0

    def close(self) -> None:
        """Remove everything."""
        self.forker.close()
        shutil.rmtree(self.folder)

    def calls_of_an_apply(self) -> int:
        """How many calls an apply makes that nobody disturbs."""
        faults = Faults()
        with self._fresh_zone(faults) as zone:
            run = zone.run("apply", "--yes")
            if run.code != 0:
                raise AssertionError(run.output)
            return faults.calls

    def kill_at(self, point: Point) -> Outcome:
        """Kill an apply into an empty zone at a point, run it once more, and plan."""
        faults = Faults()
        with self._fresh_zone(faults) as zone:
            faults.arm([Fault(number=point.call, cut=point.cut, action=zone.kill)])
            killed = zone.run("apply", "--yes")
            faults.arm()
            again = zone.run("apply", "--yes")
            plan = zone.run("plan", "--json")
            return Outcome(killed, again, plan, zone.claims())

    def _fresh_zone(self, faults: Faults) -> "_Zone":
        self._points += 1
        folder = self.folder / f"point-{self._points}"
        folder.mkdir()
        return _Zone(self, folder, faults)


class _Zone:
    """An empty zone with its server, and the state folder of a control host that has never run."""

    def __init__(self, lane: Lane, folder: Path, faults: Faults) -> None:
        self._lane = lane
        self._folder = folder
        self._log = folder / "calls.jsonl"
        self._serving = serving(
            folder / "server", lane.pki, port=lane.port, faults=faults, call_log=self._log
        )
        self._pid = 0

    def __enter__(self) -> "_Zone":
        self._server = self._serving.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._serving.__exit__(None, None, None)
        shutil.rmtree(self._folder)

    def kill(self) -> None:
        """Kill the run that is under way; called by the server."""
        os.kill(self._pid, signal.SIGKILL)

    def run(self, *arguments: str) -> Run:
        """Run `bic` to its end, and wait until the server has noticed that it is gone."""
        before = len(read_calls(self._log))
        output = self._folder / "output"
        environment = {
            PASSWORD_VARIABLE: PASSWORD,
            "BIC_STATE_DIR": str(self._folder / "state"),
            "COLUMNS": "200",
        }
        command = ["--inventory", str(self._lane.inventory), *arguments]
        self._pid = self._lane.forker.start(command, environment, output)
        code = self._lane.forker.wait(SECONDS)
        deadline = time.monotonic() + 10
        while self._server.connections and time.monotonic() < deadline:
            time.sleep(0.005)
        return Run(code, output.read_text("utf-8"), read_calls(self._log)[before:])

    def claims(self) -> int:
        """How many claims there are in the catalogue."""
        with sqlite3.connect(self._folder / "server" / "catalogue.db") as catalogue:
            query = (
                "select count(*) from r_objt_metamap join r_meta_main using (meta_id) "
                "where meta_attr_name = 'bic:claim'"
            )
            (count,) = catalogue.execute(query).fetchone()
        catalogue.close()
        return int(count)


_LANE: Lane | None = None


def open_lane() -> None:
    """Make this process's lane; the initializer of a pool's processes."""
    global _LANE  # noqa: PLW0603 - the one thing that a pool's process keeps between its tasks
    _LANE = Lane()
    import atexit

    atexit.register(_LANE.close)


def try_point(point: Point) -> Outcome:
    """Kill an apply at a point, in this process's lane."""
    assert _LANE is not None
    return _LANE.kill_at(point)


def count_calls() -> int:
    """The calls of an undisturbed apply, in this process's lane."""
    assert _LANE is not None
    return _LANE.calls_of_an_apply()
