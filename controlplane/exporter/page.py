"""Metrics as text. It is made when they are read, so that a scrape has only to put pieces together.

Writing a few thousand samples takes the library tens of milliseconds, which a scrape would wait for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry
from prometheus_client import exposition as plain
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

Format = Literal["plain", "openmetrics"]

CONTENT_TYPES: Mapping[Format, str] = {
    "plain": plain.CONTENT_TYPE_LATEST,
    "openmetrics": openmetrics.CONTENT_TYPE_LATEST,
}
_WRITERS: Mapping[Format, Callable[[CollectorRegistry], bytes]] = {
    "plain": plain.generate_latest,
    "openmetrics": openmetrics.generate_latest,
}
_END = b"# EOF\n"
"""How a page in OpenMetrics ends."""


@dataclass(frozen=True)
class Piece:
    """One family of metrics as text."""

    name: str
    heading: bytes
    samples: bytes


Pieces = Mapping[Format, Sequence[Piece]]


def wanted(accept: str) -> Format:
    """The format that a scraper takes, by its `Accept` header."""
    return "openmetrics" if "application/openmetrics-text" in accept else "plain"


def pieces(metrics: Iterable[Metric]) -> Pieces:
    """Metrics as text, in each format."""
    found = [metric for metric in metrics if metric.samples]
    return {format: [_piece(metric, write) for metric in found] for format, write in _WRITERS.items()}


def page(parts: Iterable[Sequence[Piece]], format: Format) -> bytes:
    """All pieces in one page. Two collectors may have the same families; each has one heading."""
    families: dict[str, list[Piece]] = {}
    for part in parts:
        for piece in part:
            families.setdefault(piece.name, []).append(piece)
    text = b"".join(
        each
        for family in families.values()
        for each in (family[0].heading, *(piece.samples for piece in family))
    )
    return text + (_END if format == "openmetrics" else b"")


def _piece(metric: Metric, write: Callable[[CollectorRegistry], bytes]) -> Piece:
    registry = CollectorRegistry()
    registry.register(_Only(metric))
    lines = write(registry).removesuffix(_END).splitlines(keepends=True)
    heading = [line for line in lines if line.startswith(b"#")]
    return Piece(metric.name, b"".join(heading), b"".join(lines[len(heading) :]))


class _Only(Collector):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield self._metric
