"""The metrics that collectors offer, each declared once: the reference and the tests read the declarations.

A system's `metrics.py` has its families as constants of the module. Names follow Prometheus's rules: base
units, `_total` for counters (added when they are written), `_timestamp_seconds` for moments.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "active": "`true` or `false`",
        "collector": "a collector of the exporter",
        "difference": "how an object differs from the inventory",
        "facility": "a facility of the inventory; empty for what belongs to none",
        "group": "the group of a facility or team of the inventory",
        "host": "a host of the inventory",
        "kind": "a kind of object, as plans name it",
        "operation": "`login`, `read` or `write`",
        "outpost": "an outpost of the login server",
        "result": "how something ended",
        "state": "a state out of a fixed list",
        "storage_resource": "a storage resource of a zone; empty for all of them together",
        "system": "a system that is planned and applied",
        "type": "a type that the system itself names",
        "version": "a version",
        "zone": "a zone of the inventory",
    }
)
"""All labels there may be, with what their values are: things that the inventory or the code enumerates.

None is a person, a path or a text that somebody wrote: the number of samples follows from the inventory.
"""


@dataclass(frozen=True)
class Family:
    """A metric as it is declared."""

    name: str
    """Without the `_total` of a counter."""
    documentation: str
    labels: tuple[str, ...] = ()
    type: Literal["gauge", "counter"] = "gauge"

    @property
    def exposed(self) -> str:
        """The name of its samples."""
        return f"{self.name}_total" if self.type == "counter" else self.name

    def of(self, samples: Iterable[tuple[Sequence[str], float]]) -> Metric:
        """The metric with samples, each the labels' values in their order and a number."""
        kind = CounterMetricFamily if self.type == "counter" else GaugeMetricFamily
        metric = kind(self.name, self.documentation, labels=self.labels)
        for values, number in samples:
            if len(values) != len(self.labels):
                raise ValueError(f"{self.name} has {len(self.labels)} labels, not {len(values)}")
            metric.add_metric(values, number)
        return metric

    def single(self, number: float) -> Metric:
        """The metric with its only sample, which has no labels."""
        return self.of([((), number)])


def declared(module: ModuleType) -> list[Family]:
    """The families that are constants of a module, in its order."""
    return [value for value in vars(module).values() if isinstance(value, Family)]
