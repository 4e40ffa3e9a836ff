"""From stages to what the probe runner carries out: pure."""

from collections.abc import Iterable, Iterator
from functools import partial

from controlplane.health.journeys.port import Place, Stage, Traveller
from controlplane.health.port import Check, Probe

SYSTEM = "journey"
"""What the system of a journey's results is called."""


def journeys(stages: Iterable[Stage]) -> Iterator[Probe]:
    """One probe per journey, whose checks are its stages by place; in the order of their first stages.

    A failed stage makes the later ones pointless, except those that clean up.
    """
    grouped: dict[str, list[Stage]] = {}
    for stage in stages:
        grouped.setdefault(stage.journey, []).append(stage)
    for name, some in grouped.items():
        traveller = Traveller()
        yield Probe(
            SYSTEM,
            name,
            tuple(_check(stage, traveller) for stage in sorted(some, key=lambda stage: stage.place)),
            needs=tuple(dict.fromkeys(need for stage in some for need in stage.needs)),
            serves=_serves(some),
        )


def _check(stage: Stage, traveller: Traveller) -> Check:
    return Check(
        stage.name,
        partial(stage.run, traveller),
        stage.meaning,
        stage.runbook,
        stage.severity,
        stage.timeout,
        always=stage.place is Place.END,
    )


def _serves(stages: Iterable[Stage]) -> frozenset[str] | None:
    served: set[str] = set()
    for stage in stages:
        if stage.serves is None:
            return None
        served |= stage.serves
    return frozenset(served)
