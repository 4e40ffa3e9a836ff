"""What a system offers to be measured."""

from collections.abc import Iterable
from typing import Protocol

from prometheus_client.core import Metric

DEFAULT_PORT = 9887
"""The exporter's TCP port."""


class Collector(Protocol):
    """One thing that is measured on a schedule of its own.

    Labels must not hold personal data: no user names, no paths; see `families.LABELS`.
    """

    @property
    def name(self) -> str:
        """Its name, unique among all collectors; the label `collector` of the exporter's own metrics."""

    @property
    def interval(self) -> float:
        """Seconds from one reading to the next."""

    @property
    def budget(self) -> float:
        """Seconds that a reading may take. One that takes longer counts as failed, whatever it finds."""

    def collect(self) -> Iterable[Metric]:
        """Read now. Whatever it raises counts as a failed reading."""
