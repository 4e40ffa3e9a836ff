"""`bic check`: is the inventory right, and what does it hold?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from controlplane.cli.context import Context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.model import Platform

app = typer.Typer()


@app.command()
def check(context: typer.Context) -> None:
    """Check the inventory and say what it holds.

    Exit code 2 when something is wrong; then every mistake is named with file, line and column.
    """
    from rich.markup import escape

    from controlplane.cli.output import console

    cli: Context = context.obj
    platform = cli.load()
    out = console()
    out.print(f"[bold green]ok[/]  {escape(platform.title)} ({platform.name})")
    for line in _contents(platform):
        out.print(f"    {escape(line)}")


def _contents(platform: Platform) -> Iterator[str]:
    from controlplane.model import format_size

    facilities = platform.facilities.values()
    teams = [team for facility in facilities for team in facility.teams]
    resources = [resource for zone in platform.zones for resource in platform.storage_resources_of(zone)]
    counts = {
        "data centres": len(platform.data_centres),
        "hosts": len(platform.hosts),
        "zones": len(platform.zones),
        "storage resources": len(resources),
        "facilities": len(facilities),
        "teams": len(teams),
        "people": len(platform.people),
    }
    yield ", ".join(f"{what}: {count:,}" for what, count in counts.items())
    if elsewhere := sum(team.members_from is not None for team in teams):
        yield f"members from groups of Authentik: {elsewhere:,} teams"
    quotas = [facility.quota for facility in facilities if facility.quota]
    if quotas:
        promised = sum(quota.total or sum(quota.storage_resources.values()) for quota in quotas)
        line = f"quotas: {len(quotas):,} of {len(facilities):,} facilities, {format_size(promised)} in all"
        capacities = [resource.capacity for resource in resources if resource.kind == "unixfilesystem"]
        known = [capacity for capacity in capacities if capacity is not None]
        if known and len(known) == len(capacities):
            line += f"; the storage resources hold {format_size(sum(known))}"
        yield line
