"""The pure part of the OMERO adapter: what a server should hold, and what its rows say it holds."""

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from controlplane.generate.nation import Nation, files
from controlplane.generate.write import write_inventory
from controlplane.membership import Membership
from controlplane.membership.roster import Roster
from controlplane.model import Facility, Member, OmeroServer, Person, Platform, Team, load_platform
from controlplane.model.secrets import Secret
from controlplane.reconcile.port import ObservationError
from controlplane.state import Action, Change, Key, Plan, Scope, State, make_plan, narrow
from controlplane.systems.omero import resources
from controlplane.systems.omero.contents import OpenSession, Server, compile_state, join
from controlplane.systems.omero.desired import desired_state, facilities_of
from controlplane.systems.omero.resources import GROUP, PRIVATE, SESSION, SHARED, USER
from controlplane.systems.omero.system import OmeroSystem

HOST = "omero"
ROOT, GUEST, OURS = 0, 1, 3


@pytest.fixture(scope="module")
def nation(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Facilities of which all but the last show every second team on one OMERO server."""
    folder = tmp_path_factory.mktemp("nation") / "inventory"
    write_inventory(folder, files(Nation(6, 200, 40)))
    platform = load_platform(folder)
    *shown, hidden = platform.facilities.values()
    facilities = {
        facility.id: replace(
            facility,
            omero_host=HOST,
            teams=tuple(replace(team, omero=number % 2 == 0) for number, team in enumerate(facility.teams)),
        )
        for facility in shown
    }
    facilities[hidden.id] = replace(
        hidden, omero_host="elsewhere", teams=tuple(replace(team, omero=True) for team in hidden.teams)
    )
    return replace(platform, facilities=MappingProxyType(facilities))


def joined(state: State, platform: str, *sessions: OpenSession) -> Server:
    """The rows of a server in which everything of `state` exists and is marked."""
    numbers = {key: number for number, key in enumerate(state, 100)}
    accounts: list[list[Any]] = [
        [ROOT, "root", "root", "root", None, False],
        [GUEST, "guest", "Guest", "Account", None, False],
    ]
    groups: list[list[Any]] = [
        [number, name, None, {"perm": PRIVATE}] for number, name in enumerate(("system", "user", "guest"))
    ]
    members: list[list[Any]] = [[0, ROOT, False], [1, ROOT, False], [2, GUEST, False]]
    mark = numbers.get(Key(GROUP, resources.platform_group_name(platform)), -1)
    for key, found in state.items():
        number, fields = numbers[key], found.fields
        if key.kind == USER:
            texts = [fields[name] for name in ("first_name", "last_name", "email")]
            accounts.append([number, key.name, *texts, fields["ldap"]])
            members.append([mark, number, False])
            if fields["active"]:
                members.append([1, number, False])
            continue
        text = resources.description(str(fields["mark"]))
        groups.append([number, key.name, text, {"perm": fields["permissions"]}])
        owners = fields.get("owners", ())
        names = fields.get("members", ())
        assert isinstance(names, tuple)
        assert isinstance(owners, tuple)
        members += [[number, numbers[Key(USER, name)], name in owners] for name in names]
    return join(accounts, groups, members, sessions)


def planned(desired: State, server: Server, platform: str) -> Plan:
    return make_plan("omero/x", desired, compile_state(server, platform, desired))


def described(plan: Plan) -> list[tuple[Action, Key]]:
    return [(change.action, change.key) for change in plan.changes]


def changed_team(platform: Platform, team: Team, **given: Any) -> Platform:
    """The platform with one team that is different."""
    facility = platform.facilities[team.facility]
    teams = tuple(replace(each, **given) if each.id == team.id else each for each in facility.teams)
    return with_facility(platform, replace(facility, teams=teams))


def with_facility(platform: Platform, facility: Facility) -> Platform:
    return replace(platform, facilities=MappingProxyType({**platform.facilities, facility.id: facility}))


def team_of(platform: Platform, *, least: int = 2) -> Team:
    """A team that is shown, with at least so many members beside its PI."""
    return next(
        team
        for facility in facilities_of(platform, HOST)
        for team in facility.teams
        if team.omero and len(team.members) >= least
    )


def test_a_server_that_holds_what_is_wanted_needs_nothing(nation: Platform) -> None:
    desired = desired_state(nation, HOST)
    assert {key.kind for key in desired} == {USER, GROUP}
    observed = compile_state(joined(desired, nation.name), nation.name, desired)
    plan = make_plan("omero/x", desired, observed)
    assert (plan.changes, plan.conflicts, plan.kept) == ((), (), ())
    strangers = {key for key, found in observed.items() if not found.owned}
    assert strangers == {Key(USER, "root"), Key(USER, "guest")}


def test_a_server_gets_the_teams_and_people_that_it_is_for(nation: Platform) -> None:
    desired = desired_state(nation, HOST)
    here = [team for facility in facilities_of(nation, HOST) for team in facility.teams if team.omero]
    assert 0 < len(here) < sum(len(facility.teams) for facility in nation.facilities.values())
    groups = {key.name for key in desired if key.kind == GROUP}
    assert groups == {f"bic:{nation.name}", *(team.group for team in here)}
    assert {key.name for key in desired if key.kind == USER} == {
        person.user for team in here for person in team.people
    }
    for team in here:
        fields = desired[Key(GROUP, team.group)].fields
        assert fields["permissions"] == SHARED
        assert fields["mark"] == f"{nation.name}/{team.facility}"
        assert fields["owners"] == (team.pi.user,)
        assert fields["members"] == tuple(sorted(person.user for person in team.people))


def test_a_server_that_shows_nobody_s_images_gets_nothing(nation: Platform) -> None:
    assert len(desired_state(nation, "dc1-nowhere")) == 0


def test_people_have_the_names_that_they_are_known_by(nation: Platform) -> None:
    team = team_of(nation)
    pi = Person(team.pi.user, "Ana María de la Cruz", "ana@x.example")
    fields = desired_state(changed_team(nation, team, pi=pi), HOST)[Key(USER, pi.user)].fields
    assert (fields["first_name"], fields["last_name"]) == ("Ana María de la", "Cruz")
    assert (fields["email"], fields["ldap"], fields["active"]) == ("ana@x.example", True, True)


def test_every_creation_comes_after_what_it_needs(nation: Platform) -> None:
    desired = desired_state(nation, HOST)
    done: set[Key] = set()
    for change in make_plan("omero/x", desired, State()).changes:
        assert change.action is Action.CREATE
        if change.key.kind == USER:
            assert Key(GROUP, f"bic:{nation.name}") in done
        elif members := change.field("members"):
            assert {Key(USER, name) for name in members.added} <= done
        done.add(change.key)
    assert done == desired.keys()


def test_states_do_not_depend_on_the_order_of_rows(nation: Platform) -> None:
    server = joined(desired_state(nation, HOST), nation.name)
    backwards = Server(
        *(dict(reversed(rows.items())) for rows in (server.accounts, server.groups)), server.members
    )
    assert compile_state(backwards, nation.name) == compile_state(server, nation.name)


def test_somebody_who_leaves_one_of_several_teams_is_taken_out_of_it_alone(nation: Platform) -> None:
    team = team_of(nation)
    other = next(each for each in nation.facilities[team.facility].teams if each.omero and each.id != team.id)
    leaver = team.members[0]
    both = changed_team(nation, other, members=(*other.members, Member(leaver.person, "collaborator")))
    server = joined(desired_state(both, HOST), nation.name)
    plan = planned(
        desired_state(changed_team(both, team, members=team.members[1:]), HOST), server, nation.name
    )
    assert described(plan) == [(Action.UPDATE, Key(GROUP, team.group))]
    members = plan.changes[0].field("members")
    assert members is not None
    assert (members.added, members.removed) == ((), (leaver.person.user,))


def test_somebody_in_no_team_any_more_keeps_an_account_that_lets_nobody_in(nation: Platform) -> None:
    team = team_of(nation)
    leaver = team.members[0].person.user
    server = joined(
        desired_state(nation, HOST),
        nation.name,
        OpenSession(7, 0, "OMERO.web", "2026-11-20T08:00:00+00:00", "root's"),
    )
    numbers = server.account_numbers
    theirs = OpenSession(8, numbers[leaver], "OMERO.insight", "2026-11-20T09:00:00+00:00", "a secret")
    others = OpenSession(9, numbers[team.pi.user], "OMERO.insight", "2026-11-20T09:00:00+00:00", "other")
    server = replace(server, sessions=(*server.sessions, theirs, others))
    desired = desired_state(changed_team(nation, team, members=team.members[1:]), HOST)
    plan = planned(desired, server, nation.name)
    user, session = Key(USER, leaver), Key(SESSION, f"8 of {leaver}")
    assert sorted(described(plan)) == sorted(
        [
            (Action.UPDATE, Key(GROUP, team.group)),
            (Action.UPDATE, user),
            (Action.DELETE, session),
        ]
    )
    closing = next(change for change in plan.changes if change.key == user)
    assert [(item.name, item.before, item.after) for item in closing.fields] == [("active", True, False)]
    assert closing.retires
    # A session that ends before its account is closed could be opened again.
    ending = plan.changes[-1]
    assert (ending.key, ending.depends_on) == (session, frozenset({user}))
    assert "a secret" not in str(plan.as_json()) + repr(plan) + repr(server.sessions)
    assert [note.key for note in plan.kept] == [user]
    # Both belong to the facility, so that a plan for it alone has them.
    assert narrow(plan, Scope(facilities=frozenset({team.facility}))).changes == plan.changes


def test_closed_people_who_may_not_get_in_anyway_are_left_as_they_are(nation: Platform) -> None:
    team = team_of(nation)
    leaver = team.members[0].person.user
    desired = desired_state(changed_team(nation, team, members=team.members[1:]), HOST)
    closed = [
        replace(found, fields={**found.fields, "active": False}) if key == Key(USER, leaver) else found
        for key, found in desired_state(nation, HOST).items()
    ]
    groups = [
        replace(desired[found.key], depends_on=frozenset()) if found.key.kind == GROUP else found
        for found in closed
    ]
    plan = planned(desired, joined(State(groups), nation.name), nation.name)
    assert plan.changes == ()


def test_a_group_that_nobody_wants_loses_its_people_and_stays(nation: Platform) -> None:
    team = team_of(nation)
    server = joined(desired_state(nation, HOST), nation.name)
    plan = planned(desired_state(changed_team(nation, team, omero=False), HOST), server, nation.name)
    update = next(change for change in plan.changes if change.key == Key(GROUP, team.group))
    assert update.retires
    assert {item.name: item.after for item in update.fields} == {"members": (), "owners": ()}
    assert not any(change.action is Action.DELETE for change in plan.changes)
    assert Key(GROUP, team.group) in {note.key for note in plan.kept}


def test_when_no_team_is_shown_any_more_the_platform_s_group_stays(nation: Platform) -> None:
    server = joined(desired_state(nation, HOST), nation.name)
    plan = planned(State(), server, nation.name)
    assert not any(change.action is Action.DELETE for change in plan.changes)
    assert Key(GROUP, f"bic:{nation.name}") not in {change.key for change in plan.changes}
    assert {change.key.name for change in plan.changes if change.key.kind == USER} == {
        account.name for number, account in server.accounts.items() if number not in (ROOT, GUEST)
    }


def test_what_was_changed_by_hand_is_changed_back(nation: Platform) -> None:
    team = team_of(nation)
    desired = desired_state(nation, HOST)
    member = team.members[0].person.user
    mine = {
        Key(USER, team.pi.user): {"last_name": "Else", "active": False},
        Key(USER, member): {"ldap": False},
        Key(GROUP, team.group): {"permissions": "rwrw--", "owners": (member, team.pi.user)},
        Key(GROUP, f"bic:{nation.name}"): {"permissions": "rwr---"},
    }
    changed = State(
        replace(found, fields={**found.fields, **mine.get(key, {})}) for key, found in desired.items()
    )
    plan = planned(desired, joined(changed, nation.name), nation.name)
    assert {change.key: {item.name for item in change.fields} for change in plan.changes} == {
        key: set(fields) for key, fields in mine.items()
    }


def test_what_is_not_marked_as_ours_is_a_conflict_until_it_is_adopted(nation: Platform) -> None:
    team = team_of(nation)
    desired = desired_state(nation, HOST)
    server = joined(desired, nation.name)
    group = server.group_numbers[team.group]
    account = server.account_numbers[team.pi.user]
    ours = server.group_numbers[f"bic:{nation.name}"]
    foreign = Server(
        server.accounts,
        {**server.groups, group: server.groups[group]._replace(description="our own group")},
        {
            **server.members,
            ours: {number: False for number in server.members[ours] if number != account},
        },
    )
    plan = planned(desired, foreign, nation.name)
    assert plan.changes == ()
    assert [note.key for note in plan.conflicts] == [Key(GROUP, team.group), Key(USER, team.pi.user)]
    observed = compile_state(foreign, nation.name, desired)
    adopting = make_plan("omero/x", desired, observed, adopt=True)
    assert sorted(described(adopting)) == [
        (Action.ADOPT, Key(GROUP, team.group)),
        (Action.ADOPT, Key(USER, team.pi.user)),
    ]
    assert all({item.name for item in change.fields} == {"mark"} for change in adopting.changes)


def test_a_group_that_only_looks_like_the_platform_s_marks_nobody(nation: Platform) -> None:
    desired = desired_state(nation, HOST)
    server = joined(desired, nation.name)
    ours = server.group_numbers[f"bic:{nation.name}"]
    foreign = replace(
        server, groups={**server.groups, ours: server.groups[ours]._replace(description="bic:managed other")}
    )
    observed = compile_state(foreign, nation.name, desired)
    assert not any(found.owned for key, found in observed.items() if key.kind == USER)


def test_another_platform_s_groups_and_people_are_not_ours(nation: Platform) -> None:
    server = joined(desired_state(nation, HOST), nation.name)
    plan = planned(State(), server, "another")
    assert (plan.changes, plan.conflicts, plan.kept) == ((), (), ())


def test_accounts_and_groups_of_omero_itself_are_never_taken_over(nation: Platform) -> None:
    server = OmeroServer(HOST, 4064, HOST, Secret.from_file("/nowhere"), nation.root / "ca.crt")
    system = OmeroSystem(nation, server)
    changes = [
        Change(action, Key(kind, name), ())
        for action in (Action.CREATE, Action.ADOPT)
        for kind, name in ((USER, "root"), (USER, "guest"), (GROUP, "system"), (GROUP, "root"), (USER, "ana"))
    ]
    assert set(system.refusals(changes)) == {Key(USER, "root"), Key(USER, "guest"), Key(GROUP, "system")}


def test_a_membership_that_was_read_before_its_group_is_left_out() -> None:
    server = join(
        [[5, "ana", None, None, None, True]],
        [[7, "cells", None, {"perm": "rwr---"}]],
        [[7, 5, True], [7, 6, False], [8, 5, False]],
    )
    assert server.members == {7: {5: True}}
    assert server.accounts[5].email == ""


def test_a_server_whose_members_could_not_be_read_gets_no_plan(nation: Platform) -> None:
    def fail() -> Membership:
        raise ObservationError("login.bic.example: no answer within 30 s")

    roster = Roster(nation)
    roster.read_from(fail)
    server = OmeroServer(HOST, 4064, HOST, Secret.from_file("/nowhere"), nation.root / "ca.crt")
    with pytest.raises(ObservationError, match="members of its teams could not be read"):
        OmeroSystem(nation, server, roster=roster).desired()
