"""What an OMERO server should hold, from the platform with its members alone."""

from collections.abc import Iterator

from controlplane.collector import collector_paused
from controlplane.membership.names import split_name
from controlplane.model import Facility, Person, Platform, Team
from controlplane.state import Key, Resource, State, format_mark
from controlplane.systems.omero import resources
from controlplane.systems.omero.resources import GROUP, PRIVATE, SHARED, USER


def facilities_of(platform: Platform, host: str) -> Iterator[Facility]:
    """The facilities that show images of some of their teams on the OMERO server of a host."""
    return (
        facility
        for facility in platform.facilities.values()
        if facility.omero_host == host and any(team.omero for team in facility.teams)
    )


def desired_state(platform: Platform, host: str) -> State:
    """All that the platform needs on the OMERO server of `host`, for the people whom `platform` names."""
    teams = [team for facility in facilities_of(platform, host) for team in facility.teams if team.omero]
    with collector_paused():
        return State(
            [
                *_platform_group(platform.name, teams),
                *_users(platform.name, teams),
                *(_group(platform.name, team) for team in teams),
            ]
        )


def _platform_group(platform: str, teams: list[Team]) -> Iterator[Resource]:
    if teams:
        yield resources.platform_group(platform, mark=format_mark(platform), permissions=PRIVATE)


def _users(platform: str, teams: list[Team]) -> Iterator[Resource]:
    # Somebody of two facilities belongs to neither of them alone.
    people: dict[str, tuple[Person, str]] = {}
    for team in teams:
        for person in team.people:
            _, known = people.get(person.user, (person, team.facility))
            people[person.user] = person, known if known == team.facility else ""
    for person, facility in people.values():
        first_name, last_name = split_name(person.name)
        yield resources.user(
            person.user,
            mark=format_mark(platform),
            first_name=first_name,
            last_name=last_name,
            email=person.email,
            ldap=True,
            active=True,
            facility=facility,
            depends_on=[Key(GROUP, resources.platform_group_name(platform))],
        )


def _group(platform: str, team: Team) -> Resource:
    members = [person.user for person in team.people]
    return resources.group(
        team.group,
        mark=format_mark(platform, team.facility),
        permissions=SHARED,
        members=members,
        owners=[team.pi.user] if team.pi_active else [],
        facility=team.facility,
        team=team.id,
        depends_on=[Key(USER, name) for name in members],
    )
