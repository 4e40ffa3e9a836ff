"""Collectors in the background, so that a scrape never waits for a system."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as RegistryCollector

from controlplane.errors import BicError
from controlplane.exporter.port import Collector

log = logging.getLogger(__name__)

STALE_INTERVALS = 3
"""Intervals without a success after which old values are no longer offered."""


FIRST_RETRY = 5.0
"""Seconds until a failed reading is tried again; each further failure doubles them, up to the interval."""


@dataclass(frozen=True)
class Reading:
    """What is known of one collector."""

    up: bool = False
    """Whether the latest reading succeeded; there may have been none yet."""
    duration: float = 0.0
    """Seconds that the latest reading took."""
    success: float = 0.0
    """Unix time of the latest success; 0 when there was none."""
    metrics: Sequence[Metric] = ()
    """The values of the latest success."""


class Background(RegistryCollector):
    """Reads every collector on its own schedule and offers the latest values to a registry."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        """Know the collectors; `start` begins to read them."""
        self._collectors = {collector.name: collector for collector in collectors}
        self._readings = dict.fromkeys(self._collectors, Reading())
        self._stopping = threading.Event()
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
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def describe(self) -> Iterable[Metric]:
        """Nothing: names depend on what the systems hold, and registering must not read them."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The latest values, and how old and how good they are; never waits."""
        labels = ("collector",)
        up = GaugeMetricFamily("bic_collector_up", "Whether the latest reading succeeded.", labels=labels)
        duration = GaugeMetricFamily(
            "bic_collector_duration_seconds", "How long the latest reading took.", labels=labels
        )
        success = GaugeMetricFamily(
            "bic_collector_last_success_timestamp_seconds",
            "When a reading last succeeded, 0 if never.",
            labels=labels,
        )
        families: dict[str, Metric] = {}
        for name, reading in self._readings.items():
            up.add_metric([name], float(reading.up))
            duration.add_metric([name], reading.duration)
            success.add_metric([name], reading.success)
            age = time.time() - reading.success
            if age <= STALE_INTERVALS * self._collectors[name].interval:
                for metric in reading.metrics:
                    # Two zones have the same metrics; a family may be written only once.
                    known = families.setdefault(
                        metric.name, Metric(metric.name, metric.documentation, metric.type, metric.unit)
                    )
                    known.samples.extend(metric.samples)
        yield from (up, duration, success, *families.values())

    def _loop(self, collector: Collector) -> None:
        failures = 0
        while not self._stopping.is_set():
            begun = time.monotonic()
            self._read(collector)
            failures = 0 if self._readings[collector.name].up else failures + 1
            pause = until_next(collector.interval, failures)
            self._stopping.wait(max(0.0, pause - (time.monotonic() - begun)))

    def _read(self, collector: Collector) -> None:
        before = self._readings[collector.name]
        begun = time.monotonic()
        try:
            metrics = tuple(collector.collect())
        except Exception as error:
            reading = Reading(False, time.monotonic() - begun, before.success, before.metrics)
            if before.up or not before.duration:
                # Once per outage: the metrics tell how long it lasts.
                log.warning("%s cannot be read: %s", collector.name, error, exc_info=not _expected(error))
        else:
            reading = Reading(True, time.monotonic() - begun, time.time(), metrics)
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


def _expected(error: Exception) -> bool:
    return isinstance(error, BicError)
