"""Who is in which team, from what was read of Authentik."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from authentik_directories import directory, group, holding, user

from controlplane.membership import Membership, unknown_teams, with_members
from controlplane.membership.roster import Roster
from controlplane.model import Facility, Identity, Platform, Team, load_platform
from controlplane.model.secrets import Secret
from controlplane.reconcile.port import ObservationError
from controlplane.state import Key
from controlplane.systems.authentik.contents import SharedNameError, membership
from controlplane.systems.authentik.desired import desired_state
from controlplane.systems.irods.desired import desired_state as desired_zone
from controlplane.systems.irods.resources import GROUP

LOGIN = Identity("https://login.bic.example", Secret.from_environment("TOKEN"), None)


@pytest.fixture
def platform(inventory: Path) -> Platform:
    """The sandbox's, with a login server."""
    return replace(load_platform(inventory), identity=LOGIN)


def facility_of(platform: Platform) -> Facility:
    return next(facility for facility in platform.facilities.values() if len(facility.teams) >= 2)


def changed(platform: Platform, team: Team, **changes: object) -> Platform:
    facility = platform.facilities[team.facility]
    teams = tuple(replace(each, **changes) if each is team else each for each in facility.teams)  # type: ignore[arg-type]
    facilities = {**platform.facilities, facility.id: replace(facility, teams=teams)}
    return replace(platform, facilities=MappingProxyType(facilities))


def team_in(platform: Platform, team: Team) -> Team:
    return next(each for each in platform.facilities[team.facility].teams if each.id == team.id)


def test_people_of_a_named_group_and_of_groups_below_it_are_contributors(platform: Platform) -> None:
    team = facility_of(platform).teams[0]
    platform = changed(platform, team, members=(), members_from="lab")
    lab = group("lab", [1, 2, 3, 4])
    found = membership(
        platform,
        directory(
            [lab, group("students", [5], parents=(lab.pk,))],
            [user(1, "ana"), user(2, "bo", active=False), user(3), user(4, team.pi.user), user(5, "cy")],
        ),
    )
    got = team_in(with_members(platform, found), team)
    assert [(member.person.user, member.role) for member in got.members] == [
        ("ana", "contributor"),
        ("cy", "contributor"),
    ]
    assert got.pi_active


def test_a_named_group_that_does_not_exist_leaves_its_zone_without_a_plan(platform: Platform) -> None:
    team = facility_of(platform).teams[0]
    platform = changed(platform, team, members=(), members_from="lab")
    found = membership(platform, directory())
    (reason,) = unknown_teams(platform, found, platform.facilities.values())
    assert "no group 'lab'" in reason
    assert team.id in reason
    roster = Roster(platform)
    roster.read_from(lambda: found)
    with pytest.raises(ObservationError, match="no group 'lab'"):
        roster.platform(lambda each: each.facilities.values())
    others = [facility for facility in platform.facilities.values() if facility.id != team.facility]
    assert roster.platform(lambda each: others).facilities.keys() == platform.facilities.keys()


def test_people_of_role_groups_have_the_role_and_the_higher_one_counts(platform: Platform) -> None:
    team = facility_of(platform).teams[0]
    platform = changed(platform, team, members=())
    read = holding(desired_state(platform, directory(), ()))
    groups = dict(read.groups)
    for part, keys in (("contributors", {1, 2}), ("collaborators", {2, 3})):
        name = f"{team.group}.{part}"
        groups[name] = replace(groups[name], users=frozenset(keys))
    people = [user(1, "ana"), user(2, "bo"), user(3, "cy")]
    found = membership(platform, directory(groups.values(), people, read.roles.values()))
    got = team_in(with_members(platform, found), team)
    assert [(member.person.user, member.role) for member in got.members] == [
        ("ana", "contributor"),
        ("bo", "contributor"),
        ("cy", "collaborator"),
    ]


def test_a_role_group_without_our_mark_is_not_believed(platform: Platform) -> None:
    team = facility_of(platform).teams[0]
    platform = changed(platform, team, members=())
    found = membership(platform, directory([group(f"{team.group}.contributors", [1])], [user(1, "ana")]))
    assert "does not carry our mark" in found.unknown[team.group]
    assert team_in(with_members(platform, found), team).members == ()


def test_who_is_inactive_is_nowhere_even_where_the_inventory_names_them(platform: Platform) -> None:
    facility = facility_of(platform)
    team = next(team for team in facility.teams if team.members)
    gone = team.members[0].person.user
    people = [user(1, gone, active=False), user(2, team.pi.user, active=False)]
    people.append(user(3, facility.referents[0].user, active=False))
    after = with_members(platform, membership(platform, directory(people=people)))
    got = team_in(after, team)
    assert gone not in {person.user for person in got.people}
    assert not got.pi_active
    assert team.pi.user not in {person.user for person in got.people}
    assert facility.referents[0] not in after.facilities[facility.id].referents
    home = desired_zone(after, after.zones[facility.zone])[Key(GROUP, team.group)]
    assert not any(str(entry).startswith(f"{team.pi.user}:") for entry in home.fields["acl"])  # type: ignore[union-attr]
    assert not {gone, team.pi.user} & set(home.fields["members"])  # type: ignore[arg-type]


def test_two_active_people_of_one_account_name_are_an_error_and_a_former_one_is_not(
    platform: Platform,
) -> None:
    other = replace(user(2, "ana"), username="u2@home.example")
    with pytest.raises(SharedNameError, match=r"ana belongs to ana and u2@home\.example"):
        membership(platform, directory(people=[user(1, "ana"), other]))
    assert (
        membership(platform, directory(people=[user(1, "ana"), user(2, "ana", active=False)])).inactive
        == set()
    )


def test_without_a_login_server_the_inventory_is_all(platform: Platform) -> None:
    alone = replace(platform, identity=None)
    assert with_members(alone, Membership(inactive=frozenset(alone.people))) is alone


def test_the_roster_asks_once_and_tells_everybody_of_the_same_error(platform: Platform) -> None:
    asked = []

    def fail() -> Membership:
        asked.append(1)
        raise ObservationError("login.bic.example: no answer within 30 s")

    roster = Roster(platform)
    roster.read_from(fail)
    for _ in range(2):
        with pytest.raises(ObservationError, match="members of its teams could not be read: login"):
            roster.platform(lambda each: ())
    assert asked == [1]
