"""`bic drift`: how far the systems are from the inventory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controlplane.cli.context import Context
from controlplane.cli.scope import Facilities, Systems, Teams, chosen_scope
from controlplane.errors import EXIT_FAILURE

if TYPE_CHECKING:
    from rich.console import Console

    from controlplane.model import Platform
    from controlplane.reconcile.comparison import Compared
    from controlplane.reconcile.port import System
    from controlplane.state import Deviation

EXIT_DRIFT = 2
"""What `bic drift` says when something is not as desired."""

MANY_NAMES = 6
"""Objects of one kind and difference that are named before only their number is."""

app = typer.Typer()


@app.command()
def drift(
    context: typer.Context,
    *,
    system: Systems = None,
    facility: Facilities = None,
    team: Teams = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name every object, however many there are.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the deviations as JSON.")] = False,
) -> None:
    """Compare systems with the inventory.

    The counts are kept for the exporter, unless facilities or teams narrow them. Exit code 0: all is as
    desired, 2: something is not, 1: a system could not be compared.
    """
    from controlplane.cli.progress import watching
    from controlplane.reconcile.comparison import compare_all
    from controlplane.systems import planned_systems

    cli: Context = context.obj
    platform = cli.load()
    systems: list[System] = planned_systems(platform)
    scope = chosen_scope(platform, systems, systems=system, facilities=facility, teams=team)
    with watching() as watch:
        found = compare_all(systems, watch, scope)
    if as_json:
        import json

        typer.echo(json.dumps(_document(found), indent=2, ensure_ascii=False))
    else:
        from controlplane.cli.output import console

        _show(console(), found, verbose=verbose)
    if not scope.touched:
        # Counts of a part of a system would look like those of the whole.
        _keep(platform, found)
    if any(item.drift is None for item in found):
        raise typer.Exit(EXIT_FAILURE)
    if any(item.drift and item.drift.deviations for item in found):
        raise typer.Exit(EXIT_DRIFT)


def _keep(platform: Platform, found: Sequence[Compared]) -> None:
    from datetime import UTC, datetime

    from controlplane.store import open_store
    from controlplane.store.comparisons import Comparison, save

    now = datetime.now(UTC)
    with open_store(platform) as store:
        for item in found:
            counts = item.drift.counts() if item.drift else None
            save(store, platform.name, Comparison(item.system.id, now, item.seconds, item.error, counts))


def _document(found: Sequence[Compared]) -> dict[str, Any]:
    return {
        "systems": [
            {
                "system": item.system.id,
                "error": item.error or None,
                "seconds": round(item.seconds, 3),
                "deviations": item.drift.as_json() if item.drift else None,
            }
            for item in found
        ]
    }


def _show(out: Console, found: Sequence[Compared], *, verbose: bool) -> None:
    from rich.markup import escape

    from controlplane.cli.output import amount
    from controlplane.cli.plan_text import grouped

    for item in found:
        name = f"[bold]{escape(item.system.title)}[/]"
        if item.drift is None:
            out.print(f"{name}: [bold red]not compared[/]: {escape(item.error)}")
            continue
        if not item.drift.deviations:
            out.print(f"{name}: [green]as desired[/]")
            continue
        out.print(name)
        alike = grouped(item.drift.deviations, lambda one: (one.facility, one.difference, one.key.kind))
        for facility, some in sorted(grouped(alike.items(), lambda pair: pair[0][0]).items()):
            out.print(f"  {escape(facility) or 'the platform, or several facilities'}")
            for (_, difference, kind), objects in some:
                count = f"    [yellow]{difference}[/]: {amount(len(objects), kind)}"
                if verbose:
                    out.print(count)
                    for one in objects:
                        out.print(f"      {escape(_text(one))}")
                else:
                    more = ", …" if len(objects) > MANY_NAMES else ""
                    names = ", ".join(one.key.name for one in objects[:MANY_NAMES])
                    out.print(f"{count}  [dim]{escape(names)}{more}[/]")
    total = sum(len(item.drift.deviations) for item in found if item.drift)
    left_out = sum(item.drift is None for item in found)
    out.print(
        (f"[yellow]{amount(total, 'object')} not as desired[/]" if total else "[green]no drift[/]")
        + (f"; [red]{amount(left_out, 'system')} not compared[/]" if left_out else "")
    )


def _text(one: Deviation) -> str:
    from controlplane.cli.plan_text import field_text

    fields = "; ".join(field_text(item) for item in one.fields)
    return f"{one.key.name}: {fields}" if fields else one.key.name
