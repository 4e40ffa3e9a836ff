"""Collectors in the background, so that a scrape never waits for a system."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from prometheus_client.core import Metric

from controlplane.errors import BicError
from controlplane.exporter.families import Family
from controlplane.exporter.page import Format, Pieces, page, pieces
from controlplane.exporter.port import Collector

log = logging.getLogger(__name__)

STALE_INTERVALS = 3
"""Intervals without a success after which old values are no longer offered."""


FIRST_RETRY = 5.0
"""Seconds until a failed reading is tried again; each further failure doubles them, up to the interval."""


UP = Family(
    "bic_collector_up", "Whether the latest reading succeeded within its budget.", labels=("collector",)
)
DURATION = Family(
    "bic_collector_duration_seconds",
    "How long the latest reading took, or has taken so far when it is over its budget.",
    labels=("collector",),
)
BUDGET = Family("bic_collector_budget_seconds", "How long a reading may take.", labels=("collector",))
SUCCESS = Family(
    "bic_collector_last_success_timestamp_seconds",
    "When a reading last succeeded, 0 if never.",
    labels=("collector",),
)


class OverBudgetError(BicError):
    """A reading that took longer than it may."""


@dataclass(frozen=True)
class Reading:
    """What is known of one collector."""

    up: bool = False
    """Whether the latest reading succeeded; there may have been none yet."""
    duration: float = 0.0
    """Seconds that the latest reading took."""
    since: float | None = None
    """By the monotonic clock, when the reading began that is under way."""
    success: float = 0.0
    """Unix time of the latest success; 0 when there was none."""
    values: Pieces = field(default_factory=lambda: pieces(()))
    """What the latest success found."""


class Background:
    """Reads every collector on its own schedule and offers the latest values."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        """Know the collectors; `start` begins to read them."""
        self._collectors = {collector.name: collector for collector in collectors}
        self._readings = dict.fromkeys(self._collectors, Reading())
        self._stopping = threading.Event()
        self._due = {name: threading.Event() for name in self._collectors}
        self._threads = [
            threading.Thread(target=self._loop, args=(collector,), name=collector.name, daemon=True)
            for collector in self._collectors.values()
        ]

    def start(self) -> None:
        """Begin to read."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float) -> None:
        """Begin no further reading and wait at most `timeout` seconds for those that are under way."""
        self._stopping.set()
        self.read_now()
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def read_now(self) -> None:
        """Read every collector again at once, those that are being read right after."""
        for due in self._due.values():
            due.set()

    def page(self, format: Format) -> bytes:
        """The latest values, and how old and how good they are; never waits."""
        now = time.monotonic()
        readings = {name: self._as_of(name, reading, now) for name, reading in self._readings.items()}
        fresh = [
            reading.values[format]
            for name, reading in readings.items()
            if time.time() - reading.success <= STALE_INTERVALS * self._collectors[name].interval
        ]
        return page([pieces(self._own(readings))[format], *fresh], format)

    def _own(self, readings: Mapping[str, Reading]) -> Iterator[Metric]:
        yield UP.of(([name], float(reading.up)) for name, reading in readings.items())
        yield DURATION.of(([name], reading.duration) for name, reading in readings.items())
        yield BUDGET.of(([name], collector.budget) for name, collector in self._collectors.items())
        yield SUCCESS.of(([name], reading.success) for name, reading in readings.items())

    def _as_of(self, name: str, reading: Reading, now: float) -> Reading:
        """What is known at a time: one that hangs is down when its budget is spent, not when it ends."""
        if reading.since is not None and now - reading.since > self._collectors[name].budget:
            return replace(reading, up=False, duration=now - reading.since)
        return reading

    def _loop(self, collector: Collector) -> None:
        failures = 0
        due = self._due[collector.name]
        while True:
            # In this order, or what comes between the two would be waited for.
            due.clear()
            if self._stopping.is_set():
                return
            begun = time.monotonic()
            self._read(collector)
            failures = 0 if self._readings[collector.name].up else failures + 1
            pause = until_next(collector.interval, failures)
            due.wait(max(0.0, pause - (time.monotonic() - begun)))

    def _read(self, collector: Collector) -> None:
        before = self._readings[collector.name]
        begun = time.monotonic()
        self._readings[collector.name] = replace(before, since=begun)
        try:
            values = pieces(collector.collect())
            taken = _within_budget(time.monotonic() - begun, collector.budget)
        except Exception as error:
            reading = Reading(False, time.monotonic() - begun, None, before.success, before.values)
            if before.up or not before.duration:
                # Once per outage: the metrics tell how long it lasts.
                log.warning("%s cannot be read: %s", collector.name, error, exc_info=not _expected(error))
        else:
            reading = Reading(True, taken, None, time.time(), values)
            if not before.up:
                log.info("%s is read", collector.name)
        self._readings[collector.name] = reading


def until_next(interval: float, failures: int) -> float:
    """Seconds from the beginning of one reading to the next, after so many failures in a row.

    A collector that is read every ten minutes must not miss ten minutes because of a restart.
    """
    if not failures:
        return interval
    # The exponent is bounded: an outage may last for months.
    return min(interval, FIRST_RETRY * 2.0 ** min(failures - 1, 30))


def _within_budget(taken: float, budget: float) -> float:
    """The time that a reading took. Raises OverBudgetError: values that come ever later would look fresh."""
    if taken > budget:
        raise OverBudgetError(f"it took {taken:.2f} s, its budget is {budget:g} s")
    return taken


def _expected(error: Exception) -> bool:
    return isinstance(error, BicError)
