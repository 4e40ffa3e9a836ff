"""Running probes at the same time, within a deadline."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from controlplane.errors import BicError
from controlplane.health.bounded import TooLateError, within
from controlplane.health.port import Check, FindingError, Probe, Severity, UnseenError, runbook_path

WORKERS = 32
"""Probes at the same time: they mostly wait."""


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    INHIBITED = "inhibited"
    """Failed because something failed that the target depends on: no alarm of its own."""
    SKIPPED = "skipped"
    """Not asked, because an earlier check of the same target failed."""


@dataclass(frozen=True)
class Result:
    """The answer to one check."""

    system: str
    target: str
    check: str
    status: Status
    severity: Severity
    detail: str
    seconds: float
    meaning: str
    runbook: str
    """Where it says what to do: a path from the project's folder, with the section."""
    finding: bool = False
    """Whether the target itself was found wrong, which nothing that it depends on explains."""
    cause: str = ""
    """Of an inhibited check: the target whose failure it follows from."""

    def as_json(self) -> dict[str, Any]:
        """The result in JSON's types."""
        return asdict(self)


def is_cause(result: Result) -> bool:
    """Whether something is wrong here that does not follow from something else."""
    return result.status is Status.FAILED


def is_well(results: Iterable[Result]) -> bool:
    """Whether nobody is kept from working: no critical check has failed."""
    return not any(is_cause(result) and result.severity is Severity.CRITICAL for result in results)


def run_probes(
    probes: Sequence[Probe], deadline: float, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Result]:
    """Run all probes and return after at most `deadline` seconds.

    The results are in the order of the probes and their checks; what has no answer by then has failed.
    """
    results: dict[tuple[int, int], Result] = {}
    answers: queue.SimpleQueue[tuple[int, int, Result] | None] = queue.SimpleQueue()
    waiting: queue.SimpleQueue[tuple[int, Probe]] = queue.SimpleQueue()
    for index, probe in enumerate(probes):
        waiting.put((index, probe))
    for _ in range(min(WORKERS, len(probes))):
        # A daemon, so that a probe that hangs beyond the deadline does not keep the command alive.
        threading.Thread(target=_work, args=(waiting, answers), daemon=True).start()
    end = time.monotonic() + deadline
    running = len(probes)
    while running and (left := end - time.monotonic()) > 0:
        try:
            answer = answers.get(timeout=left)
        except queue.Empty:
            break
        if answer is None:
            running -= 1
            progress(len(probes) - running, len(probes))
        else:
            results[answer[0], answer[1]] = answer[2]
    late = f"no answer within the deadline of {deadline:g} s"
    return [
        results.get((index, number)) or _result(probe, check, Status.FAILED, late, deadline)
        for index, probe in enumerate(probes)
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
            if failed and not check.always:
                result = _result(probe, check, Status.SKIPPED, f"because {failed} failed", 0.0)
            else:
                result = _asked(probe, check)
            if result.status is Status.FAILED and result.severity is Severity.CRITICAL:
                failed = failed or check.name
            answers.put((index, number, result))
        answers.put(None)


def _asked(probe: Probe, check: Check) -> Result:
    begun = time.monotonic()
    status, finding, severity = Status.FAILED, False, check.severity
    try:
        detail = within(check.timeout, check.run)
        status = Status.OK
    except TooLateError:
        detail = f"no answer within its {check.timeout:g} s"
    except BicError as error:
        detail, finding = str(error), isinstance(error, FindingError)
        if isinstance(error, UnseenError):
            severity = Severity.WARNING
    except Exception as error:
        # A defect of one probe must not hide what the others find.
        detail = f"the probe itself failed: {type(error).__name__}: {error}"
    result = _result(probe, check, status, detail, time.monotonic() - begun, finding=finding)
    return replace(result, severity=severity)


def _result(
    probe: Probe, check: Check, status: Status, detail: str, seconds: float, *, finding: bool = False
) -> Result:
    return Result(
        system=probe.system,
        target=probe.target,
        check=check.name,
        status=status,
        severity=check.severity,
        detail=detail,
        seconds=seconds,
        meaning=check.meaning,
        runbook=runbook_path(check.runbook),
        finding=finding,
    )
