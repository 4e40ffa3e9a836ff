"""The metrics of the server, under upstream's names."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from . import tasks
from .release import VERSION
from .settings import Settings
from .store import Store

REGISTRY = CollectorRegistry()
RESPONSES = Counter(
    "django_http_responses_total_by_status",
    "Count of responses by status",
    ["status"],
    registry=REGISTRY,
)


class _Workers(Collector):
    """How many workers live."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the number of living workers."""
        with self.store.read() as tx:
            living = tasks.living_workers(tx)
        family = GaugeMetricFamily(
            "authentik_admin_workers", "Currently connected workers", labels=["version", "version_matched"]
        )
        family.add_metric([VERSION, "True"], len(living))
        yield family


def serve(settings: Settings, store: Store) -> None:
    """Serve the metrics in a thread of its own."""
    REGISTRY.register(_Workers(store))
    start_http_server(settings.metrics[1], settings.metrics[0], REGISTRY)
