"""The pure part of the Authentik adapter: what it should hold, and what was read of it as resources."""

from dataclasses import replace
from pathlib import Path

import pytest
from authentik_directories import directory, group, holding, key_of, user
from test_membership import LOGIN

from controlplane.generate.nation import Nation, files
from controlplane.generate.write import write_inventory
from controlplane.model import Platform, Portal, load_platform
from controlplane.model.secrets import Secret
from controlplane.state import Action, Key, State, make_plan
from controlplane.systems.authentik.contents import compile_state, username_problem
from controlplane.systems.authentik.desired import desired_state
from controlplane.systems.authentik.directory import Directory
from controlplane.systems.authentik.records import RoleRights
from controlplane.systems.authentik.resources import GROUP, PERSON, ROLE
from controlplane.systems.authentik.rights import PORTAL_ACCOUNT


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A small nation with a login server."""
    folder: Path = tmp_path_factory.mktemp("nation") / "inventory"
    write_inventory(folder, files(Nation(3, 40, 9)))
    return replace(load_platform(folder), identity=LOGIN)


def everybody(platform: Platform) -> list[str]:
    return sorted(platform.people)


def plan_of(platform: Platform, read: Directory, taken: frozenset[str] = frozenset()) -> tuple[State, State]:
    desired = desired_state(platform, read, taken)
    return desired, compile_state(platform, read, desired)


def test_a_directory_that_holds_what_is_wanted_needs_nothing(platform: Platform) -> None:
    people = [user(number, name) for number, name in enumerate(everybody(platform), 1)]
    read = holding(desired_state(platform, directory(people=people), ()), people)
    desired, observed = plan_of(platform, read)
    plan = make_plan("authentik/x", desired, observed)
    assert (plan.changes, plan.conflicts, plan.kept) == ((), (), ())
    assert {key.kind for key in desired} == {GROUP, ROLE, PERSON}


def test_what_is_missing_is_made_in_an_order_in_which_it_can_be(platform: Platform) -> None:
    desired, observed = plan_of(platform, directory())
    plan = make_plan("authentik/x", desired, observed)
    assert all(change.action is Action.CREATE for change in plan.changes)
    made: set[str] = set()
    for change in plan.changes:
        fields = {item.name: item.after for item in change.fields}
        if change.key.kind == GROUP:
            assert not fields["parent"] or fields["parent"] in made
            assert set(fields["roles"]) <= made  # type: ignore[arg-type]
        else:
            assert {text.rpartition(":")[0] for text in fields["rights"]} <= made  # type: ignore[union-attr]
        made.add(change.key.name)
    teams = sum(len(facility.teams) for facility in platform.facilities.values())
    facilities = len(platform.facilities)
    assert plan.count(Action.CREATE) == 2 + 3 * facilities + 5 * teams


def test_a_referent_may_look_after_the_own_facility_and_a_pi_after_the_own_team(platform: Platform) -> None:
    desired = desired_state(platform, directory(), ())
    for facility in platform.facilities.values():
        names = {
            f"{team.group}.{role}"
            for team in facility.teams
            for role in ("pi", "contributors", "collaborators")
        }
        rights = desired[Key(ROLE, f"{facility.id}.referents")].fields["rights"]
        assert isinstance(rights, tuple)
        assert {text.rpartition(":")[0] for text in rights} == names
        assert {text.rpartition(":")[2] for text in rights} == {
            "add_user_to_group",
            "remove_user_from_group",
            "view_group",
        }
        for team in facility.teams:
            mine = desired[Key(ROLE, f"{team.group}.pi")].fields["rights"]
            assert isinstance(mine, tuple)
            assert {text.rpartition(":")[0] for text in mine} == {
                f"{team.group}.contributors",
                f"{team.group}.collaborators",
            }


def test_the_portal_changes_the_people_who_are_chosen_and_nobody_elses(platform: Platform) -> None:
    secret = Secret.from_environment("NOBODY")
    portal = Portal("one", "https://portal.bic.example", "https://login/", secret, secret, None)
    facility = max(platform.facilities.values(), key=lambda each: len(each.teams))
    open_team, fixed, named = facility.teams[:3]
    teams = (
        replace(open_team, members=(), members_from=None),
        replace(fixed, members=(), members_from="outside"),
        named,
    )
    assert named.members
    facilities = {facility.id: replace(facility, teams=teams)}
    service = replace(user(9), username=PORTAL_ACCOUNT, type="service_account")
    for services, members in (([service], (f"@{PORTAL_ACCOUNT}",)), ([], ())):
        with_portal = replace(platform, portal=portal, facilities=facilities)
        state = desired_state(with_portal, directory(services=services), ())
        assert state[Key(GROUP, f"{facility.id}.portal")].fields["members"] == members
        rights = state[Key(ROLE, f"{facility.id}.portal")].fields["rights"]
        assert isinstance(rights, tuple)
        assert {text.rpartition(":")[0] for text in rights} == {
            f"{open_team.group}.contributors",
            f"{open_team.group}.collaborators",
        }
    without = desired_state(replace(platform, facilities=facilities), directory(services=[service]), ())
    assert Key(GROUP, f"{facility.id}.portal") not in without


def test_newcomers_in_our_groups_get_names_that_are_free_everywhere(platform: Platform) -> None:
    name = next(
        f"{team.group}.collaborators" for facility in platform.facilities.values() for team in facility.teams
    )
    read = holding(desired_state(platform, directory(), ()))
    groups = {**read.groups, name: replace(read.groups[name], users=frozenset({1, 2}))}
    people = [user(1, name="Ana Lim"), user(2, name="Ann Lim"), user(3, name="Al Lim"), user(4, "alim2")]
    read = directory(groups.values(), people, read.roles.values())
    desired, observed = plan_of(platform, read, frozenset({"alim"}))
    assert people_changes(desired, observed) == {
        "u1@home.example": {"account": "alim3", "username": "alim3"},
        "u2@home.example": {"account": "alim4", "username": "alim4"},
    }


def people_changes(desired: State, observed: State) -> dict[str, dict[str, object]]:
    return {
        change.key.name: {item.name: item.after for item in change.fields}
        for change in make_plan("authentik/x", desired, observed).changes
        if change.key.kind == PERSON
    }


def test_the_user_name_becomes_the_account_name_unless_somebody_else_has_it(platform: Platform) -> None:
    name = next(
        f"{team.group}.collaborators" for facility in platform.facilities.values() for team in facility.teams
    )
    read = holding(desired_state(platform, directory(), ()))
    groups = {**read.groups, name: replace(read.groups[name], users=frozenset({1, 2, 3, 4}))}
    service = replace(user(9), username="alim", type="service_account")
    people = [
        user(1, name="Ana Lim"),
        replace(user(2, "bkim"), username="b@home.example"),
        replace(user(3, "bberg", active=False, bic_ended=True), username="gone@home.example"),
        replace(user(4, name="Default Admin"), username="akadmin"),
        replace(user(5, name="In No Team"), username="alim2"),
    ]
    read = directory(groups.values(), people, read.roles.values(), [service])
    assert people_changes(*plan_of(platform, read)) == {
        "u1@home.example": {"account": "alim3", "username": "alim3"},
        "b@home.example": {"username": "bkim"},
        "akadmin": {"account": "dadmin"},
    }
    assert username_problem(read, "b@home.example", "bkim") == ""
    assert "service account has the user name alim" in username_problem(read, "u1@home.example", "alim")
    assert "another person has the user name alim2" in username_problem(read, "u1@home.example", "alim2")


def test_a_changed_surname_or_institution_changes_no_name(platform: Platform) -> None:
    name = next(f"{team.group}.pi" for facility in platform.facilities.values() for team in facility.teams)
    read = holding(desired_state(platform, directory(), ()))
    before = user(1, "alim", name="Ana Lim", home_organization="one.example")
    after = replace(
        before, name="Ana Berg", attributes={**before.attributes, "home_organization": "two.example"}
    )
    for person in (before, after):
        groups = {**read.groups, name: replace(read.groups[name], users=frozenset({1}))}
        desired, _ = plan_of(platform, directory(groups.values(), [person], read.roles.values()))
        assert desired[Key(PERSON, person.username)].fields["account"] == "alim"


def test_a_closed_account_loses_sessions_and_tokens_once_and_gets_them_back_when_opened(
    platform: Platform,
) -> None:
    def access(person_active: bool, **attributes: object) -> list[tuple[object, object]]:
        read = directory(people=[user(1, "ana", active=person_active, **attributes)])
        plan = make_plan("authentik/x", *plan_of(platform, read))
        changes = [change for change in plan.changes if change.key.kind == PERSON]
        return [(item.before, item.after) for change in changes for item in change.fields]

    assert access(True) == []
    assert access(False) == [("open", "ended")]
    assert access(False, bic_ended=True) == []
    assert access(True, bic_ended=True) == [("ended", "open")]


def test_what_left_the_inventory_goes_and_what_is_not_ours_stays(platform: Platform) -> None:
    read = holding(desired_state(platform, directory(), ()))
    facility = next(iter(platform.facilities.values()))
    gone = facility.teams[0]
    smaller = replace(
        platform,
        facilities={**platform.facilities, facility.id: replace(facility, teams=facility.teams[1:])},
    )
    strange = group("theirs", [1], parents=(key_of("somewhere"),))
    read = directory([*read.groups.values(), strange], [user(1)], read.roles.values())
    desired, observed = plan_of(smaller, read)
    plan = make_plan("authentik/x", desired, observed)
    deleted = [change.key for change in plan.changes if change.action is Action.DELETE]
    assert set(deleted) == {
        Key(GROUP, gone.group),
        *(Key(GROUP, f"{gone.group}.{role}") for role in ("pi", "contributors", "collaborators")),
        Key(ROLE, f"{gone.group}.pi"),
    }
    assert deleted[-1] == Key(GROUP, gone.group) or deleted.index(Key(GROUP, gone.group)) > deleted.index(
        Key(GROUP, f"{gone.group}.pi")
    )
    updated = [change.key for change in plan.changes if change.action is Action.UPDATE]
    assert updated == [Key(ROLE, f"{facility.id}.referents")]
    assert Key(GROUP, "theirs") not in observed


def test_a_group_of_ours_with_a_strange_one_below_is_kept(platform: Platform) -> None:
    read = holding(desired_state(platform, directory(), ()))
    facility = next(iter(platform.facilities.values()))
    gone = facility.teams[0]
    smaller = replace(
        platform, facilities={**platform.facilities, facility.id: replace(facility, teams=facility.teams[1:])}
    )
    strange = group("theirs", parents=(key_of(gone.group),))
    plan = make_plan(
        "authentik/x", *plan_of(smaller, directory([*read.groups.values(), strange], (), read.roles.values()))
    )
    assert [note.key for note in plan.kept] == [Key(GROUP, gone.group)]


def test_a_wanted_group_without_our_mark_is_a_conflict(platform: Platform) -> None:
    facility = next(iter(platform.facilities))
    plan = make_plan("authentik/x", *plan_of(platform, directory([group(facility)])))
    assert [note.key for note in plan.conflicts] == [Key(GROUP, facility)]


def test_rights_that_somebody_gave_a_role_of_ours_are_taken_back(platform: Platform) -> None:
    read = holding(desired_state(platform, directory(), ()))
    one, other = list(platform.facilities)[:2]
    role = read.roles[f"{one}.referents"]
    wider = replace(
        role,
        objects=role.objects | {("change_group", key_of(other))},
        everywhere=frozenset({"view_group"}),
    )
    roles: list[RoleRights] = [wider if each.name == role.name else each for each in read.roles.values()]
    (change,) = make_plan(
        "authentik/x", *plan_of(platform, directory(read.groups.values(), (), roles))
    ).changes
    assert change.key == Key(ROLE, role.name)
    assert set(change.fields[0].removed) == {f"{other}:change_group", "*:view_group"}
    assert change.fields[0].added == ()


def test_who_is_in_a_group_that_people_look_after_is_no_difference(platform: Platform) -> None:
    team = next(team for facility in platform.facilities.values() for team in facility.teams)
    facility = platform.facilities[team.facility]
    open_team = replace(team, members=())
    platform = replace(
        platform,
        facilities={
            **platform.facilities,
            facility.id: replace(
                facility, teams=tuple(open_team if each is team else each for each in facility.teams)
            ),
        },
    )
    read = holding(desired_state(platform, directory(), ()))
    name = f"{team.group}.contributors"
    groups = {**read.groups, name: replace(read.groups[name], users=frozenset({1}))}
    people = [user(1, "ana")]
    assert (
        make_plan("x", *plan_of(platform, directory(groups.values(), people, read.roles.values()))).changes
        == ()
    )
    # Where the inventory decides, somebody who was put there by hand leaves.
    decided = f"{team.group}.pi"
    groups = {**read.groups, decided: replace(read.groups[decided], users=frozenset({1}))}
    (change,) = make_plan(
        "x", *plan_of(platform, directory(groups.values(), people, read.roles.values()))
    ).changes
    assert (change.key.name, change.fields[0].removed) == (decided, ("ana",))
