"""`bic plan` and `bic apply`: the difference between the inventory and the systems, and its end."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controlplane.cli.context import Context
from controlplane.errors import EXIT_FAILURE, BadInputError

if TYPE_CHECKING:
    from rich.console import Console

    from controlplane.reconcile.run import Outcome, Report
    from controlplane.state import Change, FieldChange

EXIT_CHANGES = 2
"""What `bic plan` says when there is something to do."""

EXIT_INTERRUPTED = 130
"""What shells say of a command that Ctrl-C ended."""

MANY = 6
"""Names of a set that are shown before only their number is."""

app = typer.Typer()

Adopt = Annotated[
    bool, typer.Option("--adopt", help="Take over objects that exist and do not carry our mark.")
]


@app.command()
def plan(
    context: typer.Context,
    adopt: Adopt = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the plan as JSON.")] = False,
) -> None:
    """Show what would be changed. Exit code 0: nothing to do, 2: changes, 1: something cannot be done."""
    outcomes = _outcomes(context, adopt)
    if as_json:
        import json

        typer.echo(json.dumps(_document(outcomes), indent=2, ensure_ascii=False))
    else:
        from controlplane.cli.output import console

        _show(console(), outcomes)
    if any(not item.plan or item.plan.conflicts for item in outcomes):
        raise typer.Exit(EXIT_FAILURE)
    if any(item.plan and item.plan.changes for item in outcomes):
        raise typer.Exit(EXIT_CHANGES)


@app.command()
def apply(
    context: typer.Context,
    adopt: Adopt = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Show what would be changed, ask, and change it. Exit code 1 when anything could not be done."""
    from controlplane.cli.output import console
    from controlplane.cli.progress import watching
    from controlplane.reconcile.run import apply_plan

    out = console()
    outcomes = _outcomes(context, adopt)
    _show(out, outcomes)
    todo = [item for item in outcomes if item.plan and item.plan.changes]
    reports: list[Report] = []
    if todo:
        if not yes:
            _ask(sum(len(item.plan.changes) for item in todo if item.plan))
        try:
            with watching() as watch:
                reports = [apply_plan(item.system, item.plan, watch) for item in todo if item.plan]
        except KeyboardInterrupt:
            typer.echo("Interrupted. What was done stays; run bic apply again for the rest.", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        _show_reports(out, reports)
    if any(not item.plan or item.plan.conflicts for item in outcomes) or not all(item.ok for item in reports):
        raise typer.Exit(EXIT_FAILURE)


def _document(outcomes: list[Outcome]) -> dict[str, Any]:
    """All plans as one: what each system adds to the lists, and why a system has no plan."""
    plans = [item.plan.as_json() for item in outcomes if item.plan]
    return {
        "counts": {plan["system"]: plan["counts"] for plan in plans},
        **{
            part: [entry for plan in plans for entry in plan[part]]
            for part in ("changes", "conflicts", "kept")
        },
        "errors": [{"system": item.system.id, "error": item.error} for item in outcomes if item.plan is None],
    }


def _ask(changes: int) -> None:
    if not sys.stdin.isatty():
        raise BadInputError("there is nobody to ask; add --yes to make these changes")
    if not typer.confirm(f"Make these {changes} changes?"):
        typer.echo("Nothing was changed.")
        raise typer.Exit(EXIT_FAILURE)


def _outcomes(context: typer.Context, adopt: bool) -> list[Outcome]:
    from controlplane.cli.progress import watching
    from controlplane.reconcile.run import plan_all
    from controlplane.systems import contributions

    cli: Context = context.obj
    platform = cli.load()
    with watching() as watch:
        return plan_all(contributions(platform, "system", "systems"), watch, adopt=adopt)


def _show(out: Console, outcomes: list[Outcome]) -> None:
    from rich.markup import escape

    from controlplane.state import Action

    if not outcomes:
        out.print("The inventory describes no system that is planned.")
    for item in outcomes:
        name = f"[bold]{escape(item.system.title)}[/]"
        if item.plan is None:
            out.print(f"{name}: [bold red]cannot be read[/], so it has no plan: {escape(item.error)}")
            continue
        counts = [f"{item.plan.count(action)} to {action}" for action in Action if item.plan.count(action)]
        if item.plan.conflicts:
            counts.append(f"[red]{len(item.plan.conflicts)} in conflict[/]")
        out.print(f"{name}: {', '.join(counts) or '[green]nothing to do[/]'}")
        entries = [(change.facility, _change_lines(change)) for change in item.plan.changes]
        entries += [
            (note.facility, [f"[red]![/] {escape(str(note.key))}: {escape(note.reason)}"])
            for note in item.plan.conflicts
        ]
        _show_by_facility(out, entries)
        if item.plan.kept:
            out.print("\n  [dim]no longer in the inventory and kept:[/]")
            for note in item.plan.kept:
                out.print(f"    [dim]  {escape(str(note.key))}: {escape(note.reason)}[/]")


def _show_by_facility(out: Console, entries: Iterable[tuple[str, list[str]]]) -> None:
    facilities: dict[str, list[str]] = {}
    for facility, lines in entries:
        facilities.setdefault(facility, []).extend(lines)
    for facility, lines in sorted(facilities.items()):
        out.print(f"\n  {facility or 'several facilities'}")
        for line in lines:
            out.print(f"    {line}")


def _change_lines(change: Change) -> list[str]:
    from rich.markup import escape

    from controlplane.state import Action

    sign, colour = {
        Action.CREATE: ("+", "green"),
        Action.UPDATE: ("~", "yellow"),
        Action.ADOPT: ("^", "cyan"),
        Action.DELETE: ("-", "red"),
    }[change.action]
    title = f"[{colour}]{sign}[/] {escape(str(change.key))}"
    if change.action in (Action.CREATE, Action.DELETE):
        sets = [
            f"{item.name}: {len(value)}"
            for item in change.fields
            if isinstance(value := item.before if item.after is None else item.after, tuple)
        ]
        return [title + (f"  [dim]{', '.join(sets)}[/]" if sets else "")]
    return [title, *(f"    {escape(_field_text(item))}" for item in change.fields)]


def _field_text(item: FieldChange) -> str:
    if isinstance(item.after, tuple):
        parts = [
            f"{sign}{text}" for sign, texts in (("+", item.added), ("-", item.removed)) for text in texts
        ]
        shown = " ".join(parts) if len(parts) <= MANY else f"+{len(item.added)} -{len(item.removed)}"
        return f"{item.name}: {shown}"
    return f"{item.name}: {_value_text(item.before)} → {_value_text(item.after)}"


def _value_text(value: object) -> str:
    if value in (None, ""):
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _show_reports(out: Console, reports: list[Report]) -> None:
    from rich.markup import escape

    for report in reports:
        colour, word = ("green", "done") if report.ok else ("red", "failed in part")
        out.print(
            f"\n[bold {colour}]{word}[/]  {escape(report.system)}: {len(report.done)} changes made, "
            f"{len(report.failed)} failed, {report.seconds:.1f} s"
        )
        for change, remark in report.remarks:
            out.print(f"    {escape(str(change.key))}: {escape(remark)}")
        for change, reason in report.failed:
            out.print(f"    [red]![/] {change.action} {escape(str(change.key))}: {escape(reason)}")
        if report.error:
            out.print(f"    [red]![/] {escape(report.error)}")
    if not all(report.ok for report in reports):
        out.print("Run [bold]bic apply[/] again when the cause is gone; what was done is not done twice.")
