"""How far the systems are from the inventory, and how the latest apply went, from the store.

`bic drift` and `bic apply` write there; nothing is compared when it is measured.
"""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from controlplane.model import Platform
from controlplane.store import Store, comparisons, history, open_store
from controlplane.store.journal import RunResult
from controlplane.sync import status

INTERVAL = 60.0
"""Seconds between two readings of the store."""

LOOKED_AT = 50
"""The latest runs, among which the latest that ended is found."""


def collectors(platform: Platform) -> Iterator["StoreCollector | SyncCollector"]:
    """One collector for the platform's store, and one for its syncs where it has a login server."""
    yield StoreCollector(platform)
    if platform.identity is not None:
        yield SyncCollector(platform)


class StoreCollector:
    """Reads the store; where nothing was ever applied or compared, there is nothing to tell."""

    name = "store"
    interval = INTERVAL

    def __init__(self, platform: Platform) -> None:
        """Open the store for each reading, so that no connection is idle between two."""
        self.platform = platform

    def collect(self) -> Iterator[Metric]:
        """Read now. Raises StoreError."""
        if self.platform.store is None and not (self.platform.state_dir / "store.sqlite").exists():
            return
        with open_store(self.platform, migrate=False) as store:
            yield from drift_metrics(store, self.platform.name)
            yield from apply_metrics(store, self.platform.name)


class SyncCollector:
    """Tells when people and memberships last followed, as a sync on this host wrote it down."""

    name = "sync"
    interval = INTERVAL

    def __init__(self, platform: Platform) -> None:
        """Know where it is written."""
        self.platform = platform

    def collect(self) -> Iterator[Metric]:
        """Read now; where no sync ever ran, there is nothing to tell."""
        if found := status.read(self.platform.state_dir):
            for name, text, value in (
                ("success", "Whether in the latest sync all systems followed.", float(found.ok)),
                (
                    "last_success_timestamp_seconds",
                    "When all systems were last known to follow, 0 if never.",
                    found.last_success,
                ),
                ("duration_seconds", "How long the latest sync took that read everything.", found.seconds),
                ("changes", "How many changes that sync made.", float(found.changes)),
            ):
                yield GaugeMetricFamily(f"bic_sync_{name}", text, value=value)


def drift_metrics(store: Store, platform: str) -> Iterator[Metric]:
    """The counts of each system's latest comparison that succeeded, and how the latest one went."""
    objects = GaugeMetricFamily(
        "bic_drift_objects",
        "Objects that are not as the inventory wants them, by the latest comparison that succeeded.",
        labels=("system", "kind", "difference"),
    )
    success = GaugeMetricFamily(
        "bic_drift_last_success_timestamp_seconds",
        "When a system was last compared with the inventory.",
        labels=("system",),
    )
    for found in comparisons.latest(store, platform, succeeded=True):
        success.add_metric([found.system], found.at.timestamp())
        for (kind, difference), count in (found.counts or {}).items():
            objects.add_metric([found.system, kind, difference.value], count)
    up = GaugeMetricFamily(
        "bic_drift_up", "Whether the latest comparison of a system succeeded.", labels=("system",)
    )
    duration = GaugeMetricFamily(
        "bic_drift_duration_seconds", "How long the latest comparison of a system took.", labels=("system",)
    )
    for found in comparisons.latest(store, platform, succeeded=False):
        up.add_metric([found.system], float(not found.error))
        duration.add_metric([found.system], found.seconds)
    yield from (objects, success, up, duration)


def apply_metrics(store: Store, platform: str) -> Iterator[Metric]:
    """How the latest apply went that is not at work any more."""
    ended = (run for run in history.runs(store, platform, limit=LOOKED_AT) if run.result != history.RUNNING)
    if (run := next(ended, None)) is None:
        return
    well = run.result in (RunResult.DONE, RunResult.NOTHING)
    yield GaugeMetricFamily(
        "bic_apply_success", "Whether the latest apply did all that it had to do.", value=float(well)
    )
    yield GaugeMetricFamily(
        "bic_apply_start_timestamp_seconds", "When the latest apply began.", value=run.started.timestamp()
    )
    if run.seconds is not None:
        yield GaugeMetricFamily(
            "bic_apply_duration_seconds", "How long the latest apply took.", value=run.seconds
        )
    changes = GaugeMetricFamily("bic_apply_changes", "Changes of the latest apply.", labels=("result",))
    for result, count in (("done", run.done), ("failed", run.failed), ("skipped", run.skipped)):
        changes.add_metric([result], count)
    yield changes
