"""Who may see and change a team, by the groups that somebody is in; pure."""

from collections.abc import Collection

from controlplane.membership import comes_from_directory
from controlplane.model import Facility, Platform, Team
from controlplane.systems.authentik.resources import (
    ADMINISTRATORS,
    PI,
    REFERENTS,
    TEAM_ROLES,
    below,
)


def may_change(platform: Platform, team: Team, groups: Collection[str]) -> bool:
    """Whether somebody in these groups looks after a team.

    That is its PI, the facility's referents and the platform's administrators.
    """
    return any(
        name in groups
        for name in (
            below(team.group, PI),
            below(team.facility, REFERENTS),
            below(platform.name, ADMINISTRATORS),
        )
    )


def may_see(platform: Platform, team: Team, groups: Collection[str]) -> bool:
    """Whether somebody in these groups may see who is in a team: whoever is in it or looks after it."""
    return may_change(platform, team, groups) or any(below(team.group, role) in groups for role in TEAM_ROLES)


def teams_seen(platform: Platform, groups: Collection[str]) -> list[tuple[Facility, list[Team]]]:
    """The teams that somebody in these groups may see, by facility."""
    found = (
        (facility, [team for team in facility.teams if may_see(platform, team, groups)])
        for facility in platform.facilities.values()
    )
    return [(facility, teams) for facility, teams in found if teams]


def why_fixed(platform: Platform, team: Team) -> str:
    """Why nobody chooses a team's people in the portal, for people; empty when it can be done."""
    if team.members_from is not None:
        return (
            f"Its people are those of the group {team.members_from} of the login server. Ask whoever looks"
            " after that group."
        )
    if not comes_from_directory(platform, team):
        return (
            "Its people are written in the platform's inventory. Ask the IT referent of the facility to"
            " change them there."
        )
    return ""
