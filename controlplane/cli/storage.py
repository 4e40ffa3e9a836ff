"""`bic storage`: what is done to the storage resources of zones and is no plan's work."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from controlplane.cli.context import Context
from controlplane.errors import EXIT_FAILURE

app = typer.Typer(no_args_is_help=True, help="Empty storage resources of zones.")


@app.callback()
def storage() -> None:
    """Keep the one command a command of this group."""


@app.command()
def drain(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The storage resource to empty.", metavar="NAME")],
    to: Annotated[str, typer.Option("--to", help="The storage resource that takes its data.")],
    *,
    zone: Annotated[str | None, typer.Option(help="Its zone; may be left out where there is one.")] = None,
    at_once: Annotated[
        int | None, typer.Option(min=1, max=16, help="How many data objects to move at a time.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Move all replicas from one storage resource to another.

    The servers copy among themselves; a replica is removed when its copy is there. May be ended at any time
    and run again. What is open for writing, or has no good replica, stays. Exit code 0: it is empty, 1:
    something stayed.
    """
    from rich.markup import escape

    from controlplane.cli.output import amount, console
    from controlplane.cli.progress import watching
    from controlplane.errors import BadInputError
    from controlplane.model import format_size
    from controlplane.model.problems import suggestion
    from controlplane.systems.irods.client import Client, endpoint
    from controlplane.systems.irods.drain import AT_ONCE, TIMEOUT, prepare

    cli: Context = context.obj
    zones = cli.load().zones
    chosen = zone or (next(iter(zones)) if len(zones) == 1 else "")
    if chosen not in zones:
        what = f"there is no zone {zone!r}" if zone else "there are several zones, so name one with --zone"
        raise BadInputError(f"{what}; {suggestion(chosen, zones)}")
    found = zones[chosen]
    server = endpoint(found, cli.load().hosts[found.catalog_provider], TIMEOUT)
    with Client(server, at_once or AT_ONCE) as client:
        ready = prepare(client, name, to)
        what = f"{amount(ready.replicas, 'replica')} ({format_size(ready.bytes)})"
        if ready.replicas and not yes:
            if not sys.stdin.isatty():
                raise BadInputError("there is nobody to ask; add --yes to go on")
            if not typer.confirm(f"Move {what} from {name} to {to}?"):
                raise typer.Exit(EXIT_FAILURE)
        with watching() as watch:
            outcome = ready.run(watch(f"{name} → {to}"))
    show = console()
    for left in outcome.left:
        show.print(f"  {escape(left.path)}: {escape(left.reason)}")
    show.print(
        f"{name}: {amount(outcome.moved, 'replica')} moved to {to} ({format_size(outcome.bytes)}), "
        f"{outcome.removed:,} removed that are elsewhere, {len(outcome.left):,} left"
    )
    if outcome.left:
        show.print("Mend what is named above and run this again.")
        raise typer.Exit(EXIT_FAILURE)
    show.print(f"It is empty: take {name} out of the inventory, and bic apply takes it out of the zone.")
