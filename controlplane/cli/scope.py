"""The options that narrow a command to a part of the platform."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.errors import BadInputError

if TYPE_CHECKING:
    from controlplane.model import Platform
    from controlplane.reconcile.port import System
    from controlplane.state import Scope

SHOWN = 10
"""Known names that are listed where none is close to what was written."""

Systems = Annotated[
    list[str] | None,
    typer.Option("--system", help="Only this system, such as irods/bicZone; repeatable.", metavar="SYSTEM"),
]
Facilities = Annotated[
    list[str] | None, typer.Option("--facility", help="Only this facility; repeatable.", metavar="FACILITY")
]
Teams = Annotated[
    list[str] | None, typer.Option("--team", help="Only this team; repeatable.", metavar="FACILITY/TEAM")
]


def chosen_scope(
    platform: Platform,
    known_systems: Iterable[System],
    *,
    systems: Collection[str] | None,
    facilities: Collection[str] | None,
    teams: Collection[str] | None,
) -> Scope:
    """What was asked for. Raises BadInputError for a name that does not exist.

    Facilities and teams that left the inventory are known as long as a retention rule names them.
    """
    from controlplane.state import Scope

    known_teams = [
        *(
            f"{team.facility}/{team.id}"
            for facility in platform.facilities.values()
            for team in facility.teams
        ),
        *(f"{rule.facility}/{rule.team}" for rule in platform.retention if rule.team),
    ]
    return Scope(
        facilities=_known(
            "facility", facilities, [*platform.facilities, *(rule.facility for rule in platform.retention)]
        ),
        systems=_known("system", systems, [system.id for system in known_systems]),
        teams=_known("team", teams, known_teams),
    )


def _known(word: str, asked: Collection[str] | None, known: Collection[str]) -> frozenset[str]:
    from difflib import get_close_matches

    for name in asked or ():
        if name not in known:
            close = get_close_matches(name, known, n=1)
            some = ", ".join(list(known)[:SHOWN]) + (", …" if len(known) > SHOWN else "")
            hint = f"did you mean {close[0]}?" if close else f"known are: {some or 'none'}"
            raise BadInputError(f"--{word} {name}: the inventory has no such {word}; {hint}")
    return frozenset(asked or ())
