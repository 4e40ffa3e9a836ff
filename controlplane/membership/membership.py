"""Memberships as values, and a platform whose teams have them.

People are known here by their account names, which are the same in every system. Somebody who is inactive in
the directory is nowhere: not as a member, nor as a PI or referent whom the inventory names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from controlplane.model import Facility, Member, Platform, Team


@dataclass(frozen=True)
class Membership:
    """What the directory says of teams and people."""

    teams: Mapping[str, tuple[Member, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """The active people of the teams that take theirs from the directory, by the team's group; without the
    PI."""
    inactive: frozenset[str] = frozenset()
    """The account names of people who are in the directory and must not get in anywhere."""
    unknown: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Why the people of some teams are not known, by the team's group."""


def comes_from_directory(platform: Platform, team: Team) -> bool:
    """Whether the directory decides who is in a team, beside the PI."""
    return platform.identity is not None and not team.members


def with_members(platform: Platform, membership: Membership) -> Platform:
    """The platform with the members that the directory names, and without those who are inactive there.

    A team whose people come from the directory and are not in `membership` has its PI alone.
    """
    if platform.identity is None:
        return platform
    facilities = {
        name: _facility(platform, facility, membership) for name, facility in platform.facilities.items()
    }
    return replace(platform, facilities=MappingProxyType(facilities))


def unknown_teams(platform: Platform, membership: Membership, facilities: Iterable[Facility]) -> list[str]:
    """Why the people of some teams of these facilities are not known, a reason each; empty when all are."""
    return [
        membership.unknown[team.group]
        for facility in facilities
        for team in facility.teams
        if comes_from_directory(platform, team) and team.group in membership.unknown
    ]


def _facility(platform: Platform, facility: Facility, membership: Membership) -> Facility:
    return replace(
        facility,
        referents=tuple(person for person in facility.referents if person.user not in membership.inactive),
        teams=tuple(_team(platform, team, membership) for team in facility.teams),
    )


def _team(platform: Platform, team: Team, membership: Membership) -> Team:
    members = membership.teams.get(team.group, ()) if comes_from_directory(platform, team) else team.members
    left = membership.inactive
    return replace(
        team,
        members=tuple(
            member
            for member in members
            if member.person.user not in left and member.person.user != team.pi.user
        ),
        pi_active=team.pi.user not in left,
    )
