"""`bic free-space`: how much room storage resources have, asked of their servers and kept in the zones."""

from __future__ import annotations

import typer

from controlplane.cli.context import Context
from controlplane.errors import EXIT_FAILURE

app = typer.Typer()


@app.command(name="free-space")
def free_space(context: typer.Context) -> None:
    """Measure the room of storage resources.

    The free bytes are written into the zones' catalogues.
    Servers refuse data objects that would leave less than a storage resource's `minimum_free_space` by the
    number that was written last, so this runs on a timer. Exit code 1: some could not be measured.
    """
    from rich.markup import escape

    from controlplane.cli.output import console, table
    from controlplane.model import format_size
    from controlplane.systems.irods.free_space import measure_all

    cli: Context = context.obj
    rows = table("zone", "host", "storage resource", "free", right=("free",))
    failed = False
    for found in measure_all(cli.load()):
        failed = failed or found.free is None
        shown = escape(found.error) if found.free is None else format_size(found.free)
        rows.add_row(found.zone, found.host, found.name, shown)
    console().print(rows)
    if failed:
        raise typer.Exit(EXIT_FAILURE)
