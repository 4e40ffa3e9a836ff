"""How far the systems are from the inventory, and how the latest apply went, from the store.

`bic drift` and `bic apply` write there; nothing is compared when it is measured.
"""

import time
from collections.abc import Iterator

from prometheus_client.core import Metric

from controlplane.exporter.families import Family
from controlplane.model import Platform
from controlplane.store import Store, comparisons, history, open_store
from controlplane.store.journal import RunResult
from controlplane.sync import status
from controlplane.workflows.port import Backlog

INTERVAL = 60.0
"""Seconds between two readings of the store."""

LOOKED_AT = 50
"""The latest runs, among which the latest that ended is found."""


DRIFT = Family(
    "bic_drift_objects",
    "Objects that are not as the inventory wants them, by the latest comparison that succeeded.",
    ("system", "kind", "difference"),
)
DRIFT_SUCCESS = Family(
    "bic_drift_last_success_timestamp_seconds",
    "When a system was last compared with the inventory.",
    ("system",),
)
DRIFT_UP = Family("bic_drift_up", "Whether the latest comparison of a system succeeded.", ("system",))
DRIFT_DURATION = Family(
    "bic_drift_duration_seconds",
    "How long the latest comparison of a system took, which is what its plan takes.",
    ("system",),
)
APPLY_SUCCESS = Family("bic_apply_success", "Whether the latest apply did all that it had to do.")
APPLY_START = Family("bic_apply_start_timestamp_seconds", "When the latest apply began.")
APPLY_DURATION = Family("bic_apply_duration_seconds", "How long the latest apply took.")
APPLY_CHANGES = Family("bic_apply_changes", "Changes of the latest apply.", ("result",))
RUNS = Family(
    "bic_runs", "Runs of the journal that ended by themselves, rollouts included.", ("result",), "counter"
)
SYNC_SUCCESS = Family("bic_sync_success", "Whether in the latest sync all systems followed.")
SYNC_LAST = Family(
    "bic_sync_last_success_timestamp_seconds",
    "When the system was last known to follow, 0 if never.",
    ("system",),
)
SYNC_DURATION = Family("bic_sync_duration_seconds", "How long the latest sync took that read everything.")
SYNC_CHANGES = Family("bic_sync_changes", "How many changes that sync made.")
QUEUE_JOBS = Family("bic_queue_jobs", "Jobs that wait for a worker or are at work.", ("state",))
QUEUE_WAIT = Family("bic_queue_oldest_wait_seconds", "For how long the first job has waited for a worker.")
QUEUE_WORKERS = Family("bic_queue_workers", "Workers that are alive.")


def collectors(platform: Platform) -> Iterator["StoreCollector | QueueCollector | SyncCollector"]:
    """One collector for the platform's store, one for the queue that several machines share, and one for its
    syncs where it has a login server."""
    yield StoreCollector(platform)
    if platform.store is not None:
        yield QueueCollector(platform)
    if platform.identity is not None:
        yield SyncCollector(platform)


class StoreCollector:
    """Reads the store; where nothing was ever applied or compared, there is nothing to tell."""

    name = "store"
    interval = INTERVAL
    budget = 30.0

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
            results = history.results(store, self.platform.name)
            yield RUNS.of(([result], results.get(result, 0)) for result in RunResult)


class QueueCollector:
    """Looks into the queue of work; beside a store in SQLite nothing is left there for others."""

    name = "queue"
    interval = INTERVAL
    budget = 30.0

    def __init__(self, platform: Platform) -> None:
        """Open the queue for each reading, as the store."""
        self.platform = platform

    def collect(self) -> Iterator[Metric]:
        """Read now. Raises StoreError and QueueError."""
        # The engine takes its time to load, which nobody else of those that are here needs.
        from controlplane.workflows.database import Database
        from controlplane.workflows.dbos_engine import DbosQueue

        with open_store(self.platform, migrate=False) as store:
            database = Database.beside(store, self.platform)
        with DbosQueue(database) as queue:
            yield from queue_metrics(queue.backlog(), len(queue.workers()), time.time())


class SyncCollector:
    """Tells when people and memberships last followed, as a sync on this host wrote it down."""

    name = "sync"
    interval = INTERVAL
    budget = 30.0

    def __init__(self, platform: Platform) -> None:
        """Know where it is written."""
        self.platform = platform

    def collect(self) -> Iterator[Metric]:
        """Read now; where no sync ever ran, there is nothing to tell."""
        if found := status.read(self.platform.state_dir):
            yield SYNC_SUCCESS.single(float(found.ok))
            yield SYNC_LAST.of(([system], at) for system, at in found.followed.items())
            yield SYNC_DURATION.single(found.seconds)
            yield SYNC_CHANGES.single(found.changes)


def drift_metrics(store: Store, platform: str) -> Iterator[Metric]:
    """The counts of each system's latest comparison that succeeded, and how the latest one went."""
    compared = comparisons.latest(store, platform, succeeded=True)
    yield DRIFT.of(
        ([found.system, kind, difference.value], count)
        for found in compared
        for (kind, difference), count in (found.counts or {}).items()
    )
    yield DRIFT_SUCCESS.of(([found.system], found.at.timestamp()) for found in compared)
    latest = comparisons.latest(store, platform, succeeded=False)
    yield DRIFT_UP.of(([found.system], float(not found.error)) for found in latest)
    yield DRIFT_DURATION.of(([found.system], found.seconds) for found in latest)


def apply_metrics(store: Store, platform: str) -> Iterator[Metric]:
    """How the latest apply went that is not at work any more."""
    ended = (run for run in history.runs(store, platform, limit=LOOKED_AT) if run.result != history.RUNNING)
    if (run := next(ended, None)) is None:
        return
    well = run.result in (RunResult.DONE, RunResult.NOTHING)
    yield APPLY_SUCCESS.single(float(well))
    yield APPLY_START.single(run.started.timestamp())
    if run.seconds is not None:
        yield APPLY_DURATION.single(run.seconds)
    changes = (("done", run.done), ("failed", run.failed), ("skipped", run.skipped))
    yield APPLY_CHANGES.of(([result], count) for result, count in changes)


def queue_metrics(backlog: Backlog, workers: int, now: float) -> Iterator[Metric]:
    """What waits and is at work, and whether anybody is there to do it."""
    yield QUEUE_JOBS.of([(["queued"], backlog.queued), (["running"], backlog.running)])
    yield QUEUE_WAIT.single(max(0.0, now - backlog.oldest.timestamp()) if backlog.oldest else 0.0)
    yield QUEUE_WORKERS.single(workers)
