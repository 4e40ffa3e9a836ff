"""`bic history`: who applied what, when, with which result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controlplane.cli.context import Context
from controlplane.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

    from controlplane.store.history import PastChange, PastRun

MANY_CHANGES = 40
"""Changes of a run that are shown one by one before only their numbers are."""

COLOURS = {
    "done": "green",
    "nothing to do": "dim",
    "running": "cyan",
    "failed": "red",
    "refused": "yellow",
    "interrupted": "yellow",
}

app = typer.Typer()


@app.command()
def history(
    context: typer.Context,
    *,
    run: Annotated[int | None, typer.Argument(help="One run, in detail.", metavar="RUN")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many runs to show, the newest first.")] = 20,
    facility: Annotated[
        str, typer.Option(help="Only what changed something of this facility.", metavar="FACILITY")
    ] = "",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every change, however many there are.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write it as JSON.")] = False,
) -> None:
    """Show who applied what, when.

    It comes from the journal, to which rows are only ever added; with a run's number, that run in detail.
    """
    from controlplane.cli.output import console
    from controlplane.store import history as journal
    from controlplane.store import open_store

    cli: Context = context.obj
    platform = cli.load()
    with open_store(platform) as store:
        if run is None:
            runs = journal.runs(store, platform.name, limit=limit, facility=facility)
            if as_json:
                _write([past.as_json() for past in runs])
            else:
                _show_runs(console(), runs)
            return
        past = journal.run(store, platform.name, run)
        if past is None:
            raise BadInputError(f"there is no run {run}; bic history shows those that there are")
        changes = journal.changes(store, run, facility=facility)
    if as_json:
        _write({**past.as_json(), "changes": [change.as_json() for change in changes]})
    else:
        _show_run(console(), past, changes, verbose=verbose)


def _write(document: object) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _show_runs(out: Console, runs: Sequence[PastRun]) -> None:
    from rich.markup import escape

    from controlplane.cli.output import duration, table

    if not runs:
        out.print("Nothing was applied yet.")
        return
    rows = table(
        "run", "started (UTC)", "took", "who", "what", "result", "done", "failed", "not attempted",
        right=("run", "took", "done", "failed", "not attempted"),
    )  # fmt: skip
    for past in runs:
        rows.add_row(
            str(past.id),
            f"{past.started:%Y-%m-%d %H:%M:%S}",
            duration(past.seconds) if past.seconds is not None else "",
            escape(past.actor),
            escape(past.command),
            f"[{COLOURS[past.result]}]{past.result}[/]",
            *(f"{number:,}" if number else "" for number in (past.done, past.failed, past.skipped)),
        )
    out.print(rows)


def _show_run(out: Console, past: PastRun, changes: Sequence[PastChange], *, verbose: bool) -> None:
    from rich.markup import escape

    from controlplane.cli.output import amount, duration
    from controlplane.cli.plan_text import grouped

    took = f", took {duration(past.seconds)}" if past.seconds is not None else ""
    out.print(f"[bold]run {past.id}[/]: [{COLOURS[past.result]}]{past.result}[/]")
    out.print(f"  {escape(past.command)}")
    out.print(f"  by {escape(past.actor)}, process {past.pid} on {escape(past.host)}")
    out.print(f"  started {past.started:%Y-%m-%d %H:%M:%S} UTC{took}")
    out.print(f"  done {past.done:,}, failed {past.failed:,}, not attempted {past.skipped:,}")
    for line in past.text.splitlines():
        out.print(f"  [red]![/] {escape(line)}")
    for (result, system), some in grouped(changes, lambda one: (one.result, one.system)).items():
        word = "cut off" if result == "started" else result
        out.print(f"\n  {word} in {escape(system)}")
        if len(some) > MANY_CHANGES and not verbose:
            for (action, kind), alike in grouped(some, lambda one: (one.action, one.kind)).items():
                out.print(f"    {action} {amount(len(alike), kind)}")
            continue
        for one in some:
            text = f": {one.text}" if one.text else ""
            name = escape(f"{one.action} {one.kind.replace('_', ' ')} {one.name}{text}")
            out.print(f"    {name}  [dim]{escape(_fields(one.fields))}[/]")


def _fields(fields: dict[str, Any]) -> str:
    """What changed, shortly."""
    texts = []
    for name, value in fields.items():
        if "added" in value:
            parts = [
                f"{sign}{len(value[key])}" for sign, key in (("+", "added"), ("-", "removed")) if value[key]
            ]
            texts += [f"{name}: {' '.join(parts)}"] if parts else []
        elif value["before"] is not None and value["after"] is not None:
            texts.append(f"{name}: {value['before']} → {value['after']}")
    return ", ".join(texts)
