"""One of several places at which kills are tried at the same time: a zone's server, and runs of `bic`."""

import atexit
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from forker import Forker
from local_zone import make_pki
from site_under_test import Run, Site

from controlplane.generate.nation import Nation
from sandbox.standins.irods.faults import Fault

NATION = Nation(facilities=1, people=12, teams=3)
"""A whole facility: people, groups with their members and ACLs, a tree of storage resources, quotas."""


@dataclass(frozen=True)
class Point:
    """Where an apply is killed: when the server has the call of this number and has not or has done it."""

    call: int
    cut: Literal["before", "after"]


@dataclass(frozen=True)
class Outcome:
    """What followed a kill."""

    killed: Run
    again: Run
    plan: Run
    claims: int
    """Claims that the zone still holds at the end."""

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
        self._forker = Forker()
        self._folder = Path(tempfile.mkdtemp(prefix="bic-lane-"))
        # What the servers log would come between the lines of pytest.
        with (self._folder / "server.log").open("wb") as log:
            os.dup2(log.fileno(), 1)
        self._pki = make_pki(self._folder / "pki")
        self._points = 0

    def close(self) -> None:
        """Remove everything."""
        self._forker.close()
        shutil.rmtree(self._folder)

    @contextmanager
    def site(self) -> Iterator[Site]:
        """An empty zone and a control host that has never run."""
        self._points += 1
        folder = self._folder / f"point-{self._points}"
        folder.mkdir()
        site = Site(folder, NATION, self._pki, self._forker)
        try:
            yield site
        finally:
            site.close()
            shutil.rmtree(folder)

    def calls_of_an_apply(self) -> int:
        """How many calls an apply makes that nobody disturbs."""
        with self.site() as site:
            run = site.run("apply", "--yes")
            if run.code != 0:
                raise AssertionError(run.output)
            return site.zone.faults.calls

    def kill_at(self, point: Point) -> Outcome:
        """Kill an apply into an empty zone at a point, run it once more, and plan."""
        with self.site() as site:
            faults = site.zone.faults
            faults.arm([Fault(number=point.call, cut=point.cut, action=site.kill)])
            killed = site.run("apply", "--yes")
            faults.arm()
            again = site.run("apply", "--yes")
            return Outcome(killed, again, site.run("plan", "--json"), site.zone.claims())


_LANE: Lane | None = None


def open_lane() -> None:
    """Make this process's lane; the initializer of a pool's processes."""
    global _LANE  # noqa: PLW0603 - the one thing that a pool's process keeps between its tasks
    _LANE = Lane()
    atexit.register(_LANE.close)


def try_point(point: Point) -> Outcome:
    """Kill an apply at a point, in this process's lane."""
    assert _LANE is not None
    return _LANE.kill_at(point)


def count_calls() -> int:
    """The calls of an undisturbed apply, in this process's lane."""
    assert _LANE is not None
    return _LANE.calls_of_an_apply()
