"""Plans and reports as a person reads them at a glance."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from rich.markup import escape

from controlplane.cli.output import amount, duration
from controlplane.state import Action, Change, Conflict, FieldChange, Kept, Key, Note

if TYPE_CHECKING:
    from rich.console import Console

    from controlplane.reconcile.run import Outcome, Report

MANY_NAMES = 6
"""Names of a set that are shown before only their number is."""

MANY_CHANGES = 20
"""Changes of one facility that are shown one by one before only their numbers are."""

MANY_ALIKE = 5
"""Objects with the same remark that are named before only the first are, and their number."""

SIGNS = {
    Action.CREATE: ("+", "green", "create"),
    Action.UPDATE: ("~", "yellow", "update"),
    Action.ADOPT: ("^", "cyan", "take over"),
    Action.DELETE: ("-", "red", "delete"),
}

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


def show_plans(out: Console, outcomes: Sequence[Outcome], *, verbose: bool = False) -> None:
    """All plans by system, facility and team, and at the end the numbers of all of it."""
    if not outcomes:
        out.print("The inventory describes no system that is planned.")
    for item in outcomes:
        name = f"[bold]{escape(item.system.title)}[/]"
        if item.plan is None:
            out.print(f"{name}: [bold red]left out[/], it has no plan: {escape(item.error)}\n")
            continue
        reached = f" ({amount(item.reached, 'change')} already there)" if item.reached else ""
        out.print((f"{name}: [green]nothing to do[/]" if item.settled else name) + reached)
        _Facilities(item.plan.changes, item.plan.conflicts, item.plan.kept).show(out, verbose=verbose)
        if item.refused:
            out.print(f"\n  [bold red]refused[/]: {escape(item.refused)}")
        out.print()
    out.print(summary(outcomes))


def summary(outcomes: Iterable[Outcome]) -> str:
    """The numbers of all plans in one line."""
    outcomes = list(outcomes)
    plans = [item.plan for item in outcomes if item.plan]
    parts = [
        f"[{colour}]{count:,} to {verb}[/]"
        for action, (_, colour, verb) in SIGNS.items()
        if (count := sum(plan.count(action) for plan in plans))
    ]
    if conflicts := sum(len(plan.conflicts) for plan in plans):
        parts.append(f"[red]{conflicts:,} in conflict[/]")
    if unknown := len(outcomes) - len(plans):
        parts.append(f"[red]{amount(unknown, 'system')} left out[/]")
    text = f"Plan: {', '.join(parts) or '[green]nothing to do[/]'}."
    if ending := sum(change.retires for plan in plans for change in plan.changes):
        text += f" Access to {amount(ending, 'object')} ends; the data stay."
    destroying = sum(bool(change.destroys) for plan in plans for change in plan.changes)
    if not destroying and any(plan.count(Action.DELETE) for plan in plans):
        text += " No data are destroyed."
    if destroying:
        text += (
            f" [bold red]{amount(destroying, 'deletion')} would destroy data[/]: confirm each by its name."
        )
    return text


class _Facilities:
    """The changes and notes of one system, by facility."""

    def __init__(
        self, changes: Iterable[Change], conflicts: Iterable[Conflict], kept: Iterable[Kept]
    ) -> None:
        kept = list(kept)
        self._reasons = {note.key: note.reason for note in kept}
        self._changes = grouped(changes, lambda change: change.facility)
        self._conflicts = grouped(conflicts, lambda note: note.facility)
        # Of what ends, the line that says so says also what stays.
        ending = {change.key for some in self._changes.values() for change in some if change.retires}
        self._kept = [note for note in kept if note.key not in ending]

    def show(self, out: Console, *, verbose: bool) -> None:
        for facility in sorted({*self._changes, *self._conflicts}):
            changes = self._changes.get(facility, [])
            out.print(f"\n  [bold]{escape(facility) or 'the platform, or several facilities'}[/]")
            # What ends or destroys is never hidden in a number.
            plain = [change for change in changes if not change.retires and not change.destroys]
            if len(plain) > MANY_CHANGES and not verbose:
                self._print(out, _counted(plain), "    ")
                changes = [change for change in changes if change.retires or change.destroys]
            for team, some in sorted(grouped(changes, lambda change: change.team).items()):
                if team:
                    out.print(f"    team {escape(team)}")
                for change in some:
                    self._print(out, self._lines(change), "      " if team else "    ")
            self._print(out, _alike(self._conflicts.get(facility, []), "[red]![/]", verbose), "    ")
        if self._kept:
            out.print("\n  [dim]no longer in the inventory, and kept:[/]")
            self._print(out, _alike(self._kept, "[dim]=[/]", verbose), "    ")

    def _lines(self, change: Change) -> list[str]:
        sign, colour, _ = SIGNS[change.action]
        title = f"[{colour}]{sign}[/] {escape(str(change.key))}"
        if change.destroys:
            return [f"{title}  [bold red]destroys {escape(change.destroys)}[/]"]
        if change.retires:
            fields = "; ".join(field_text(item) for item in change.fields)
            return [
                f"{title}  [yellow]access ends[/], data stay: {escape(self._reasons.get(change.key, ''))}",
                f"    {escape(fields)}",
            ]
        if change.action in (Action.CREATE, Action.DELETE):
            sets = [
                f"{item.name}: {value[0] if len(value) == 1 else len(value)}"
                for item in change.fields
                if isinstance(value := item.before if item.after is None else item.after, tuple) and value
            ]
            ends = "ends " if change.action is Action.DELETE else ""
            return [title + (f"  [dim]{ends}{escape(', '.join(sets))}[/]" if sets else "")]
        return [title, *(f"    {escape(field_text(item))}" for item in change.fields)]

    @staticmethod
    def _print(out: Console, lines: Iterable[str], indent: str) -> None:
        for line in lines:
            out.print(f"{indent}{line}")


def show_reports(out: Console, reports: Sequence[Report], *, verbose: bool = False) -> None:
    """What was done, and of what was not, why."""
    for report in reports:
        if report.ok and not report.done and not report.unconfirmed:
            continue
        if report.error and not (report.done or report.failed):
            out.print(f"\n[bold red]left out[/]  {escape(report.system)}: {escape(report.error)}")
            continue
        colour, word = ("green", "done") if report.ok else ("red", "not all done")
        numbers = [f"{amount(len(report.done), 'change')} made", f"{len(report.failed):,} failed"]
        if report.skipped:
            numbers.append(f"{len(report.skipped):,} not attempted")
        out.print(
            f"\n[bold {colour}]{word}[/]  {escape(report.system)}: {', '.join(numbers)}, "
            f"{duration(report.seconds)}"
        )
        notes = [
            *((change.key, f"[dim]{escape(text)}[/]", "[dim]·[/]") for change, text in report.remarks),
            *((change.key, escape(text), f"[red]! {change.action}[/]") for change, text in report.failed),
            *((change.key, escape(f"not attempted: {text}"), "[red]![/]") for change, text in report.skipped),
            *((note.key, escape(note.reason), "[red]![/]") for note in report.conflicts),
            *(
                (note.key, f"[yellow]kept, not confirmed[/]: {escape(note.reason)}", "[yellow]=[/]")
                for note in report.unconfirmed
            ),
        ]
        for (text, sign), some in grouped(notes, lambda note: note[1:]).items():
            for line in _named([key for key, *_ in some], sign, text, verbose):
                out.print(f"    {line}")
        if report.error:
            out.print(f"    [red]![/] {escape(report.error)}")
    if not all(report.ok for report in reports):
        out.print("\nRun [bold]bic apply[/] again when the cause is gone; what was done is not done twice.")


def grouped(items: Iterable[T], by: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by something that they share, in their order."""
    groups: dict[K, list[T]] = defaultdict(list)
    for item in items:
        groups[by(item)].append(item)
    return groups


def _counted(changes: Sequence[Change]) -> list[str]:
    """Numbers by action and kind; of updates also how often each field changes."""
    lines = []
    for action, (sign, colour, _) in SIGNS.items():
        some = [change for change in changes if change.action is action]
        kinds = grouped(some, lambda change: change.key.kind)
        texts = []
        for kind, alike in kinds.items():
            text = amount(len(alike), kind)
            if action is Action.UPDATE:
                fields = Counter(item.name for change in alike for item in change.fields)
                text += f" ({_numbers(fields)})"
            if action is Action.DELETE:
                ended = Counter[str]()
                for item in (item for change in alike for item in change.fields):
                    ended[item.name] += len(item.before) if isinstance(item.before, tuple) else 0
                text += f" (ends {_numbers(+ended)})" if +ended else ""
            texts.append(text)
        if texts:
            lines.append(f"[{colour}]{sign}[/] {escape(', '.join(texts))}")
    return lines


def _numbers(counts: Counter[str]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items()))


def _alike(notes: Iterable[Note], sign: str, verbose: bool) -> list[str]:
    return [
        line
        for (_, reason), some in grouped(notes, lambda note: (note.key.kind, note.reason)).items()
        for line in _named([note.key for note in some], sign, escape(reason), verbose)
    ]


def _named(keys: Sequence[Key], sign: str, text: str, verbose: bool) -> list[str]:
    """Objects with the same remark; of many, their number and the first of them."""
    if len(keys) > MANY_ALIKE and not verbose:
        kinds = Counter(key.kind for key in keys)
        numbers = ", ".join(amount(count, kind) for kind, count in kinds.items())
        first = ", ".join(escape(str(key)) for key in keys[:MANY_ALIKE])
        return [f"{sign} {numbers}: {text}", f"    {first}, … (-v names all)"]
    return [f"{sign} {escape(str(key))}: {text}" for key in keys]


def field_text(item: FieldChange) -> str:
    """What changes in a field: what a set gains and loses, else the value before and after."""
    if isinstance(item.after, tuple):
        parts = [
            f"{sign}{text}" for sign, texts in (("+", item.added), ("-", item.removed)) for text in texts
        ]
        if len(parts) <= MANY_NAMES:
            shown = " ".join(parts)
        else:
            numbers = (("+", len(item.added)), ("-", len(item.removed)))
            shown = " ".join(f"{sign}{number:,}" for sign, number in numbers if number)
        return f"{item.name}: {shown}"
    return f"{item.name}: {_value_text(item.before)} → {_value_text(item.after)}"


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in (None, "") else str(value)
