"""How `bic health` is read from across the room: worst first, and under each cause what it means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from controlplane.cli.output import amount, duration, table
from controlplane.health.journeys.plan import SYSTEM
from controlplane.health.port import Severity
from controlplane.health.run import Result, Status, is_cause
from controlplane.store.health import HealthChange


class Standing(IntEnum):
    """How a target is, the worst first."""

    FAILED = 0
    WARNING = 1
    INHIBITED = 2
    WELL = 3


WORDS = {
    Standing.FAILED: "[bold white on red] FAILED  [/]",
    Standing.WARNING: "[bold black on yellow] WARNING [/]",
    Standing.INHIBITED: "[dim] because [/]",
    Standing.WELL: "[bold green]   OK    [/]",
}


CHANGED = {
    Status.OK.value: "[green]well again[/]",
    Status.FAILED.value: "[bold red]failed[/]",
    Status.INHIBITED.value: "[dim]failed because of another[/]",
}
"""What a check's new state is called."""


@dataclass(frozen=True)
class Target:
    """A target with the answers to all its checks."""

    system: str
    name: str
    results: tuple[Result, ...]

    @property
    def standing(self) -> Standing:
        """The worst of its answers."""
        return min(_standing(result) for result in self.results)


def targets(results: Iterable[Result]) -> list[Target]:
    """The answers by target, the worst target first, in their order otherwise."""
    grouped: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        grouped.setdefault((result.system, result.target), []).append(result)
    found = [Target(system, name, tuple(answers)) for (system, name), answers in grouped.items()]
    return sorted(found, key=lambda target: target.standing)


def rendered(results: Sequence[Result]) -> RenderableType:
    """One row per target and the sum of all."""
    rows = table("", "system", "target", "")
    found = targets(results)
    for target in found:
        rows.add_row(
            WORDS[target.standing], escape(target.system), escape(target.name), "\n".join(_lines(target))
        )
    return Group(rows, Text(), Text.from_markup(_sum(found, results)))


def rendered_changes(changes: Sequence[HealthChange], since: str) -> RenderableType:
    """When which check changed its state; of those that were well when first asked, nothing is said."""
    rows = table("when", "", "system", "target", "")
    told = [change for change in changes if change.before or change.after != Status.OK]
    for change in told:
        rows.add_row(
            f"{change.at.astimezone():%Y-%m-%d %H:%M:%S}",
            CHANGED.get(change.after, escape(change.after)),
            escape(change.system),
            escape(change.target),
            escape(f"{change.check}: {change.detail}"),
        )
    return rows if told else Text(f"nothing changed in {since}")


def _standing(result: Result) -> Standing:
    if is_cause(result):
        return Standing.FAILED if result.severity is Severity.CRITICAL else Standing.WARNING
    return Standing.INHIBITED if result.status is Status.INHIBITED else Standing.WELL


def _found(result: Result) -> str:
    """What was found; of a journey's stage, how long it took."""
    if result.system == SYSTEM:
        return f"{result.check} {duration(result.seconds)}"
    return result.detail


def _lines(target: Target) -> Iterable[str]:
    if target.standing is Standing.WELL:
        yield escape(", ".join(_found(result) for result in target.results))
        return
    for result in sorted(target.results, key=_standing):
        if is_cause(result):
            yield f"{escape(result.check)}: [bold]{escape(result.detail)}[/]"
            yield f"[dim]{escape(result.meaning)} → {escape(result.runbook)}[/]"
    following: dict[str, list[str]] = {}
    for result in target.results:
        if result.status is Status.INHIBITED:
            following.setdefault(result.cause, []).append(result.check)
    for cause, checks in following.items():
        yield f"of [bold]{escape(cause)}[/][dim]: {escape(', '.join(checks))}[/]"


def _sum(found: Sequence[Target], results: Sequence[Result]) -> str:
    causes = [result for result in results if is_cause(result)]
    critical = sum(result.severity is Severity.CRITICAL for result in causes)
    follow = sum(target.standing is Standing.INHIBITED for target in found)
    if not causes:
        return f"[bold green]all {len(found)} are well[/]"
    parts = []
    if critical:
        parts.append(f"[bold red]{amount(critical, 'failure')}[/]")
    if len(causes) > critical:
        parts.append(f"[yellow]{amount(len(causes) - critical, 'warning')}[/]")
    if follow:
        parts.append(f"{amount(follow, 'target')} because of {'them' if len(causes) > 1 else 'it'}")
    well = sum(target.standing is Standing.WELL for target in found)
    return f"{', '.join(parts)}; {well} of {len(found)} are well"
