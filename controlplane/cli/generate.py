"""`bic generate`: a synthetic nation of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def generate(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to make; it must not hold anything.")
    ],
    *,
    facilities: Annotated[int, typer.Option("--facilities", "-f", help="How many facilities.")] = 30,
    people: Annotated[int, typer.Option("--people", "-p", help="How many people.")] = 8000,
    teams: Annotated[
        int | None, typer.Option("--teams", "-t", help="How many teams.", show_default="one for five people")
    ] = None,
    zones: Annotated[
        int, typer.Option("--zones", help="One zone over both data centres, or one in each: 1 or 2.")
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Another seed gives other names and teams.")] = 0,
) -> None:
    """Make the inventory of a synthetic nation.

    The same sizes and seed give the same files.
    """
    from controlplane.generate.nation import Nation, counted, default_teams, files
    from controlplane.generate.write import write_inventory

    if teams is None:
        teams = default_teams(facilities, people)
    nation = Nation(facilities, people, teams, zones, seed)
    count = write_inventory(folder, files(nation))
    typer.echo(
        f"{folder}: {count:,} files, {counted(facilities, 'facility', 'facilities')}, "
        f"{counted(teams, 'team', 'teams')}, {counted(people, 'person', 'people')}. "
        f"Look at it with: bic -i {folder} check"
    )
