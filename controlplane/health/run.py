"""Running probes at the same time, within a deadline."""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from controlplane.errors import BicError
from controlplane.health.port import Probe

WORKERS = 32
"""Probes at the same time: they mostly wait."""


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not asked, because an earlier check of the same target failed."""


@dataclass(frozen=True)
class Result:
    """The answer to one check."""

    system: str
    target: str
    check: str
    status: Status
    detail: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The result in JSON's types."""
        return asdict(self)


def run_probes(
    probes: Iterable[Probe], deadline: float, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Result]:
    """Run all probes and return after at most `deadline` seconds.

    The results are in the order of the probes and their checks; what has no answer by then has failed.
    """
    everything = list(probes)
    results: dict[tuple[int, int], Result] = {}
    answers: queue.SimpleQueue[tuple[int, int, Result] | None] = queue.SimpleQueue()
    waiting: queue.SimpleQueue[tuple[int, Probe]] = queue.SimpleQueue()
    for index, probe in enumerate(everything):
        waiting.put((index, probe))
    for _ in range(min(WORKERS, len(everything))):
        # A daemon, so that a probe that hangs beyond the deadline does not keep the command alive.
        threading.Thread(target=_work, args=(waiting, answers), daemon=True).start()
    end = time.monotonic() + deadline
    running = len(everything)
    while running and (left := end - time.monotonic()) > 0:
        try:
            answer = answers.get(timeout=left)
        except queue.Empty:
            break
        if answer is None:
            running -= 1
            progress(len(everything) - running, len(everything))
        else:
            results[answer[0], answer[1]] = answer[2]
    late = f"no answer within the deadline of {deadline:g} s"
    return [
        results.get((index, number))
        or Result(probe.system, probe.target, check.name, Status.FAILED, late, deadline)
        for index, probe in enumerate(everything)
        for number, check in enumerate(probe.checks)
    ]


def _work(
    waiting: "queue.SimpleQueue[tuple[int, Probe]]",
    answers: "queue.SimpleQueue[tuple[int, int, Result] | None]",
) -> None:
    while True:
        try:
            index, probe = waiting.get_nowait()
        except queue.Empty:
            return
        failed = ""
        for number, check in enumerate(probe.checks):
            begun = time.monotonic()
            status, detail = Status.SKIPPED, f"because {failed} failed"
            if not failed:
                try:
                    status, detail = Status.OK, check.run()
                except BicError as error:
                    status, detail, failed = Status.FAILED, str(error), check.name
                except Exception as error:
                    # A defect of one probe must not hide what the others find.
                    status, failed = Status.FAILED, check.name
                    detail = f"the probe itself failed: {type(error).__name__}: {error}"
            seconds = time.monotonic() - begun
            answers.put(
                (index, number, Result(probe.system, probe.target, check.name, status, detail, seconds))
            )
        answers.put(None)
