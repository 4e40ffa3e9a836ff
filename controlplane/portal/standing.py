"""Where a person stands on the platform: the facilities and teams that their groups stand for. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from controlplane.model import Facility, Platform

ROLES = {
    "pi": "principal investigator",
    "contributor": "contributor",
    "collaborator": "collaborator",
    "referent": "IT referent",
}
"""What people read for each role."""

# Groups of the login server are called FACILITY.referents and FACILITY-TEAM.ROLE.
_TEAM_GROUPS = {"pi": "pi", "contributors": "contributor", "collaborators": "collaborator"}
_REFERENTS = "referents"


@dataclass(frozen=True, order=True)
class Standing:
    """One role of a person."""

    facility: str
    """The facility's title."""
    team: str
    """The team's title; empty for a role in the whole facility."""
    role: str
    """One of `ROLES`."""
    collection: str
    """The absolute path of the collection that the role gives access to."""
    group: str = ""
    """The team's group; empty for a role in the whole facility."""


def standings(platform: Platform, groups: Iterable[str]) -> list[Standing]:
    """The roles that the names of a person's groups stand for, by facility and team.

    Other groups stand for none.
    """
    held = set(groups)
    return sorted(
        standing for facility in platform.facilities.values() for standing in _in_facility(facility, held)
    )


def _in_facility(facility: Facility, held: set[str]) -> Iterator[Standing]:
    def collection(group: str) -> str:
        return f"/{facility.zone}/home/{group}"

    if f"{facility.id}.{_REFERENTS}" in held:
        yield Standing(facility.title, "", "referent", collection(facility.id))
    for team in facility.teams:
        for suffix, role in _TEAM_GROUPS.items():
            if f"{team.group}.{suffix}" in held:
                yield Standing(facility.title, team.title, role, collection(team.group), team.group)
