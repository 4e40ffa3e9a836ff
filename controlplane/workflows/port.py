"""What workflow code is written against, whatever runs it.

A workflow is a function that may wait for days and outlive the process that runs it. When its worker is
gone, it is run again from the start on another one, and every step that had ended gives what it gave the
first time. From this follow three rules for workflow code:

- Everything that reads the world, changes it or is not the same twice (time, chance, the inventory) is in a
  step. Between steps there is only computing on what the steps gave.
- The step that was in flight when the worker died is run again: a step compares before it writes.
- Arguments, results and signals are JSON, are kept in the database and are shown to people: no secrets.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Event
from typing import Protocol, Self, TypeAlias

from controlplane.errors import BicError

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None


class StepError(BicError):
    """A step that failed, in words: the same ones when the workflow is resumed."""


class Interrupted(BaseException):
    """A step that ends before its end because its worker stops; it is run again, on another worker or later.

    Not an Exception, so that nothing between takes it for a failure.
    """


class Run(Protocol):
    """One run of a workflow, as its code sees it."""

    @property
    def stopping(self) -> Event:
        """Set when the worker is asked to stop. A long step looks at it and raises Interrupted."""

    def run_step(self, name: str, step: Callable[[], Json]) -> Json:
        """The result of `step`, which ends once, and is kept under its position and `name`.

        Raises StepError with the text of whatever the step raised.
        """

    def sleep(self, seconds: float) -> None:
        """Wait; a wait that a restart interrupts ends when it would have ended."""

    def wait_for_signal(self, name: str, timeout: float) -> Json:
        """What the next signal of this name carries, sent before or during the wait; takes it away.

        None when `timeout` seconds pass without one; they go on counting while no worker runs.
        """


Workflow = Callable[[Run, Json], Json]
"""Takes its run and its argument and returns its result. An exception that escapes makes it failed."""


class Status(StrEnum):
    """How far a piece of queued work is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in (Status.DONE, Status.FAILED)


@dataclass(frozen=True, slots=True)
class Ticket:
    """The receipt for queued work."""

    id: str
    new: bool
    """False when work with the same key was queued or running already: it is that one's receipt."""


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of queued work and what is known of it."""

    id: str
    workflow: str
    status: Status
    worker: str
    """The name of the worker that runs it or ran it last; empty while it was never begun."""
    begun: datetime | None
    """When a worker last took it from the queue."""
    ended: datetime | None
    result: Json
    """Of a workflow that is done; None before."""
    error: str
    """Of a workflow that has failed; empty otherwise."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much work there is, of all versions."""

    queued: int
    running: int
    oldest: datetime | None
    """When the first of those was queued that wait; None when none does."""


class Queue(Protocol):
    """Where work is put and asked after, from any process. Runs nothing itself."""

    def enqueue(self, workflow: str, argument: Json, *, key: str) -> Ticket:
        """Queue a run of a workflow; at most one run with the same key is queued or running."""

    def jobs(self, ids: Iterable[str]) -> dict[str, Job]:
        """What is known of these runs, by id, in one query; ids that are not known are left out."""

    def signal(self, id: str, name: str, value: Json, *, once: str = "") -> None:
        """Send a signal to a run, which receives it when it waits for that name.

        Signals with the same `once` are sent only once. Raises BadInputError when there is no such run.
        """

    def backlog(self) -> Backlog:
        """What waits and what is at work, in one query."""

    def workers(self) -> list[str]:
        """The names of the workers that are alive."""

    def forget(self, age: timedelta) -> None:
        """Delete what is known of runs that ended longer ago than `age`."""

    def close(self) -> None:
        """Leave no connection open; leaving a `with` block does so too."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Worker(Protocol):
    """Takes work from the queue and runs it, in threads of this process."""

    def start(self) -> None:
        """Begin to work; what this worker's earlier process left unfinished comes first.

        Raises WorkerNameTakenError while another process has this worker's name.
        """

    def stop(self) -> None:
        """Begin no further step, wait for those in flight to end, and leave the rest to other workers."""


class WorkerNameTakenError(BicError):
    """A worker of this name is alive in another process."""
