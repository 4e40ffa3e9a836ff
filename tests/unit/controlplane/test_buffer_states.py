"""The pure part of the adapter for buffer servers: what should be there, what is, and what is asked for."""

from dataclasses import replace
from typing import Any

import pytest

from controlplane.generate.nation import Nation, files
from controlplane.generate.write import write_inventory
from controlplane.membership.roster import Roster
from controlplane.model import Facility, Platform, load_platform
from controlplane.model.platform import BufferAccess
from controlplane.reconcile.port import ChangeError, FollowsPeople
from controlplane.state import Action, Change, FieldChange, Key, State, make_plan
from controlplane.sync.part import people_part
from controlplane.systems.buffer import resources
from controlplane.systems.buffer.apply import request
from controlplane.systems.buffer.contents import Contents, compile_state, names_of_others, parse
from controlplane.systems.buffer.desired import desired_state, impossible_names
from controlplane.systems.buffer.resources import GROUP, USER
from controlplane.systems.buffer.system import BufferSystem, systems


@pytest.fixture(scope="module")
def nation(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    folder = tmp_path_factory.mktemp("nation") / "inventory"
    write_inventory(folder, files(Nation(6, 200, 40)))
    platform = load_platform(folder)
    return replace(platform, buffers=BufferAccess(folder / "key", folder / "known_hosts"))


def answer_of(state: State) -> dict[str, Any]:
    """What the program of a server that holds a state answers."""
    users, groups = {}, {}
    for number, (key, found) in enumerate(state.items(), 20000):
        fields = found.fields
        if key.kind == USER:
            users[key.name] = {"uid": number, "open": fields["open"], "mark": fields["mark"]}
        else:
            groups[key.name] = {
                "gid": number,
                "members": list(fields["members"]),  # type: ignore[arg-type]
                "writers": list(fields["writers"]),  # type: ignore[arg-type]
                "mark": fields["mark"],
                "folder": fields["folder"],
            }
    return {"ok": True, "version": 1, "users": users, "groups": groups, "taken": ["root", "backup"]}


def some_facility(platform: Platform) -> Facility:
    """A facility with contributors and collaborators."""
    return next(
        facility
        for facility in platform.facilities.values()
        if {member.role for team in facility.teams for member in team.members}
        == {"contributor", "collaborator"}
    )


def test_a_server_that_holds_what_is_wanted_needs_nothing(nation: Platform) -> None:
    for facility in nation.facilities.values():
        desired = desired_state(nation.name, facility)
        assert {key.kind for key in desired} == {USER, GROUP}
        observed = compile_state(parse(answer_of(desired)), nation.name)
        assert observed.keys() == desired.keys()
        assert all(found.owned for found in observed.values())
        assert {key: (found.facility, found.team) for key, found in observed.items()} == {
            key: (wanted.facility, wanted.team) for key, wanted in desired.items()
        }
        plan = make_plan("buffer/x", desired, observed)
        assert (plan.changes, plan.conflicts, plan.kept) == ((), (), ())


def test_groups_come_after_their_members_and_hold_who_may_write(nation: Platform) -> None:
    facility = some_facility(nation)
    desired = desired_state(nation.name, facility)
    done: set[str] = set()
    for change in make_plan("buffer/x", desired, State()).changes:
        if change.key.kind == USER:
            done.add(change.key.name)
            continue
        fields = {item.name: item.after for item in change.fields}
        members, writers = fields["members"], fields["writers"]
        assert isinstance(members, tuple)
        assert isinstance(writers, tuple)
        assert set(writers) <= set(members) <= done
    for team in facility.teams:
        found = desired[Key(GROUP, team.group)]
        collaborators = {each.person.user for each in team.members if each.role == "collaborator"}
        assert set(found.fields["writers"]) == {  # type: ignore[arg-type]
            person.user for person in team.people if person.user not in collaborators - {team.pi.user}
        }
    referents = {person.user for person in facility.referents}
    assert set(desired[Key(GROUP, facility.id)].fields["writers"]) == referents  # type: ignore[arg-type]


def test_a_pi_whose_account_is_closed_writes_nowhere(nation: Platform) -> None:
    facility = some_facility(nation)
    teams = tuple(replace(team, pi_active=False) for team in facility.teams)
    desired = desired_state(nation.name, replace(facility, teams=teams))
    for team in teams:
        assert team.pi.user not in desired[Key(GROUP, team.group)].fields["writers"]  # type: ignore[operator]


def test_accounts_that_are_alike_share_their_fields(nation: Platform) -> None:
    desired = desired_state(nation.name, some_facility(nation))
    for state in (desired, compile_state(parse(answer_of(desired)), nation.name)):
        assert len({id(found.fields) for key, found in state.items() if key.kind == USER}) == 1


def test_who_cannot_have_an_account_is_in_no_group(nation: Platform) -> None:
    facility = some_facility(nation)
    unlucky = facility.teams[0].pi.user
    impossible = impossible_names(facility, {unlucky, f"{facility.id}.write", "root"})
    assert impossible.keys() == {Key(USER, unlucky), Key(GROUP, facility.id)}
    assert f"{facility.id}.write that is not ours" in impossible[Key(GROUP, facility.id)]
    desired = desired_state(nation.name, facility, {unlucky})
    assert Key(USER, unlucky) in desired
    for key, wanted in desired.items():
        if key.kind == GROUP:
            assert unlucky not in wanted.fields["members"]  # type: ignore[operator]
            assert unlucky not in wanted.fields["writers"]  # type: ignore[operator]
            assert Key(USER, unlucky) not in wanted.depends_on


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("mmartin2", True),
        ("m.martin@lab", True),
        ("MMartin", True),
        ("_a", True),
        ("12345", False),
        ("12a", True),
        ("-a", False),
        (".a", False),
        ("a:b", False),
        ("a,b", False),
        ("a\n", False),
        ("", False),
        ("a" * 63, True),
        ("a" * 64, False),
    ],
)
def test_names_of_accounts_are_those_that_the_program_takes(name: str, good: bool) -> None:
    assert resources.is_user_name(name) is good


def contents(**marks: str) -> Contents:
    """A server with one group and its two members, one of whom writes."""
    return parse(
        {
            "users": {
                "ana": {"open": True, "mark": marks.get("ana", "bic/nantes")},
                "bo": {"open": False, "mark": "bic/nantes"},
            },
            "groups": {
                "nantes-cells": {
                    "members": ["ana", "bo"],
                    "writers": ["ana"],
                    "mark": marks.get("cells", "bic/nantes"),
                    "folder": True,
                }
            },
            "taken": ["root"],
        }
    )


def test_what_carries_another_platform_s_mark_is_not_ours() -> None:
    state = compile_state(contents(ana="other/brest", cells="bic2/nantes"), "bic")
    assert {key.name: found.owned for key, found in state.items()} == {
        "ana": False,
        "bo": True,
        "nantes-cells": False,
    }
    assert names_of_others(contents(ana="other/brest"), "bic") == {"root", "ana"}


def test_what_nobody_wants_is_kept_and_opens_nothing() -> None:
    plan = make_plan("buffer/x", State(), compile_state(contents(), "bic"))
    assert [(change.action, change.key, change.retires) for change in plan.changes] == [
        (Action.UPDATE, Key(GROUP, "nantes-cells"), True),
        (Action.UPDATE, Key(USER, "ana"), True),
    ]
    assert {item.name: item.after for change in plan.changes for item in change.fields} == {
        "members": (),
        "writers": (),
        "open": False,
    }
    assert {note.key.name: note.reason for note in plan.kept} == {
        "nantes-cells": "its folder may hold data",
        "ana": "accounts are not deleted by a plan",
        "bo": "accounts are not deleted by a plan",
    }


def change(kind: str, name: str, action: Action = Action.UPDATE, **fields: Any) -> Change:
    return Change(action, Key(kind, name), tuple(FieldChange(each, None, fields[each]) for each in fields))


def test_a_request_says_all_and_changes_only_what_was_planned() -> None:
    found = contents()
    assert request(change(GROUP, "nantes-cells", members=("bo",)), found, "bic") == {
        "do": "set_group",
        "name": "nantes-cells",
        "members": ("bo",),
        "writers": ["ana"],
        "mark": "bic/nantes",
    }
    assert request(change(GROUP, "nantes-cells", folder=True), found, "bic")["members"] == ["ana", "bo"]
    assert request(change(USER, "bo", open=True), found, "bic") == {
        "do": "set_user",
        "name": "bo",
        "open": True,
        "mark": "bic/nantes",
    }
    new = change(USER, "cy", Action.CREATE, open=True, mark="bic/nantes")
    assert request(new, found, "bic") == {"do": "set_user", "name": "cy", "open": True, "mark": "bic/nantes"}


def test_a_request_is_not_made_of_what_has_moved() -> None:
    with pytest.raises(ChangeError, match="it is gone since"):
        request(change(USER, "cy", open=False), contents(), "bic")
    new = change(USER, "ana", Action.CREATE, open=True, mark="bic/nantes")
    with pytest.raises(ChangeError, match="somebody made it since"):
        request(new, contents(ana="other/brest"), "bic")
    # What another run of this platform made a moment ago is what was wanted.
    assert request(new, contents(), "bic")["open"] is True


def test_each_facility_with_a_buffer_server_has_one_system(nation: Platform) -> None:
    asked: list[str] = []
    roster = Roster(nation)
    roster.names_from = asked.append  # type: ignore[method-assign,assignment]
    found = list(systems(nation, roster))
    buffers = [facility.buffer for facility in nation.facilities.values() if facility.buffer]
    assert len(buffers) > 1
    assert [system.id for system in found] == [f"buffer/{host}" for host in buffers]
    assert all(isinstance(system, FollowsPeople) for system in found)
    # A server that is away must not keep the newcomers of all facilities waiting.
    assert asked == []
    assert list(systems(replace(nation, buffers=None), roster)) == []


def test_what_follows_from_people_is_all_but_the_folders_of_teams(nation: Platform) -> None:
    facility = some_facility(nation)
    assert nation.buffers
    assert facility.buffer
    system = BufferSystem(nation, nation.buffers, facility, facility.buffer, Roster(nation))
    desired = desired_state(nation.name, facility)
    part = people_part(system, make_plan(system.id, desired, State()))
    assert {change.key.kind for change in part.changes} == {USER}
    assert len(part.changes) == len(facility.people)
    empty = [
        resources.group(
            key.name,
            mark=str(found.fields["mark"]),
            members=(),
            writers=(),
            folder=False,
            facility=facility.id,
        )
        for key, found in desired.items()
        if key.kind == GROUP
    ]
    part = people_part(system, make_plan(system.id, desired, State(empty)))
    fields = {item.name for change in part.changes if change.key.kind == GROUP for item in change.fields}
    assert fields == {"members", "writers"}
