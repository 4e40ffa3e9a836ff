"""`bic check`: is the inventory right, and what does it hold?"""

from __future__ import annotations

import typer

from controlplane.cli.context import Context

app = typer.Typer()


@app.command()
def check(context: typer.Context) -> None:
    """Check the inventory as a whole and say what it holds; exit code 2 when something is wrong."""
    from rich.markup import escape

    from controlplane.cli.output import console, table

    cli: Context = context.obj
    platform = cli.load()
    facilities = platform.facilities.values()
    out = console()
    out.print(f"[bold green]ok[/]  {escape(platform.title)} ({platform.name})")
    counts = {
        "data centres": len(platform.data_centres),
        "hosts": len(platform.hosts),
        "zones": len(platform.zones),
        "facilities": len(facilities),
        "teams": sum(len(facility.teams) for facility in facilities),
        "people": len(platform.people),
    }
    out.print("    " + ", ".join(f"{what}: {count}" for what, count in counts.items()))
    if facilities:
        numbers = ("storage resources", "teams", "people")
        rows = table("facility", "city", "data centre", "zone", "buffer server", *numbers, right=numbers)
        for facility in facilities:
            rows.add_row(
                facility.id,
                escape(facility.city),
                facility.data_centre,
                facility.zone,
                facility.buffer or "-",
                str(len(facility.storage_resources)),
                str(len(facility.teams)),
                str(len(facility.people)),
            )
        out.print(rows)
