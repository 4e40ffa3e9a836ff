"""Which failure follows from which: pure functions over probes and their results."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from controlplane.errors import BicError
from controlplane.health.port import Probe, Severity
from controlplane.health.run import Result, Status


class DependencyError(BicError):
    """Targets that need each other, so that no failure could be the first."""


def inhibited(probes: Sequence[Probe], results: Iterable[Result]) -> list[Result]:
    """The results, in which a failure that follows from another target's is inhibited and names it.

    A target explains failures of those that need it when one of its critical checks has failed; it hands on
    the cause of its own failure where that follows from another. A target that could not be seen explains
    nothing. What was found wrong with a target itself is never inhibited. Raises DependencyError.
    """
    by_target: dict[tuple[str, str], list[Result]] = {}
    answered = list(results)
    for result in answered:
        by_target.setdefault((result.system, result.target), []).append(result)
    providers = _providers(probes)
    cause_of: dict[str, str] = {}
    causes: dict[tuple[str, str], str] = {}
    for index in _order(probes, providers):
        probe = probes[index]
        outside = _first(cause_of, probe.needs)
        unseen = _first(cause_of, probe.through)
        causes[probe.system, probe.target] = outside or unseen
        broken = [
            result
            for result in by_target.get((probe.system, probe.target), ())
            if result.status is Status.FAILED and result.severity is Severity.CRITICAL
        ]
        found = any(result.finding for result in broken)
        if probe.provides and broken and (found or outside or not unseen):
            cause_of.setdefault(probe.provides, outside if outside and not found else probe.title)
    return [
        replace(result, status=Status.INHIBITED, cause=cause)
        if result.status is Status.FAILED
        and not result.finding
        and (cause := causes.get((result.system, result.target), ""))
        else result
        for result in answered
    ]


def concerning(probes: Sequence[Probe], facilities: Collection[str]) -> list[Probe]:
    """The probes of what these facilities work with, and of all that it needs, in their order."""
    providers = _providers(probes)
    chosen: set[int] = set()
    waiting = [
        index
        for index, probe in enumerate(probes)
        if probe.serves is None or not probe.serves.isdisjoint(facilities)
    ]
    while waiting:
        index = waiting.pop()
        if index not in chosen:
            chosen.add(index)
            waiting.extend(_needed(probes[index], providers))
    return [probe for index, probe in enumerate(probes) if index in chosen]


def _first(cause_of: Mapping[str, str], names: Iterable[str]) -> str:
    return next((cause_of[name] for name in names if name in cause_of), "")


def _providers(probes: Sequence[Probe]) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, probe in enumerate(probes):
        if probe.provides:
            found.setdefault(probe.provides, []).append(index)
    return found


def _needed(probe: Probe, providers: Mapping[str, list[int]]) -> list[int]:
    return [other for need in (*probe.needs, *probe.through) for other in providers.get(need, ())]


def _order(probes: Sequence[Probe], providers: Mapping[str, list[int]]) -> list[int]:
    """All probes, each after those that it needs."""
    graph = {index: _needed(probe, providers) for index, probe in enumerate(probes)}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " needs ".join(probes[index].title for index in reversed(error.args[1]))
        raise DependencyError(f"the probes need each other: {circle}") from error
