"""The plan's promises, for any two states."""

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from state_strategies import FACILITIES, applied, states

from controlplane.state import (
    Action,
    Key,
    Plan,
    Resource,
    Scope,
    State,
    make_fields,
    make_plan,
    narrow,
    without,
)


@given(states(found=False), states(found=True))
def test_a_plan_reaches_what_is_desired_and_touches_nothing_else(desired: State, observed: State) -> None:
    plan = make_plan("model", desired, observed)
    world = applied(observed, plan.changes)
    blocked = {conflict.key for conflict in plan.conflicts}
    for key, wanted in desired.items():
        if key not in blocked:
            assert world[key].fields == wanted.fields
    for key, found in observed.items():
        if not found.owned:
            assert world[key] == found
        elif key not in desired:
            held = found.destroys and found.fields.get("first") != found.retired.get("first")
            assert (key in world) == bool(found.keep or (held and found.retired))
    # Where access had to end first, the second plan deletes; the third has nothing to do.
    second = make_plan("model", desired, world)
    assert all(change.action is Action.DELETE and change.destroys for change in second.changes)
    third = make_plan("model", desired, applied(world, second.changes))
    assert third.changes == ()
    assert {conflict.key for conflict in third.conflicts} == blocked


@given(states(found=False), states(found=True))
def test_access_ends_before_data_and_what_is_kept_only_loses_access(desired: State, observed: State) -> None:
    plan = make_plan("model", desired, observed)
    notes = {note.key: note.reason for note in plan.kept}
    for change in plan.changes:
        found = observed.get(change.key)
        assert bool(change.destroys) == (change.action is Action.DELETE and bool(found and found.destroys))
        if change.action is Action.DELETE:
            assert found is not None
            assert not found.keep
            assert not found.destroys or all(
                found.fields[name] == ends for name, ends in found.retired.items()
            )
        assert change.retires == (change.key in notes)
    for key, found in observed.items():
        if found.owned and found.keep and key not in desired:
            assert notes[key] == found.keep


@given(states(found=False), states(found=True))
def test_adoption_leaves_no_conflict(desired: State, observed: State) -> None:
    plan = make_plan("model", desired, observed, adopt=True)
    assert plan.conflicts == ()
    world = applied(observed, plan.changes)
    assert all(world[key].fields == wanted.fields and world[key].owned for key, wanted in desired.items())


@given(states(found=False), states(found=True), st.sets(st.sampled_from(FACILITIES[:2])))
def test_narrowing_keeps_what_is_in_the_scope_and_what_that_needs(
    desired: State, observed: State, facilities: set[str]
) -> None:
    plan = make_plan("model", desired, observed)
    scope = Scope(facilities=frozenset(facilities), teams=frozenset({"rennes/cells"}))
    part = narrow(plan, scope)
    kept = {change.key for change in part.changes}
    assert [change for change in plan.changes if change.key in kept] == list(part.changes)
    for change in plan.changes:
        assert change.key in kept or not scope.has(change)
        assert change.key not in kept or change.depends_on <= kept
    needed = {key for change in part.changes for key in change.depends_on}
    assert all(scope.has(change) or change.key in needed for change in part.changes)
    assert all(scope.has(note) for note in (*part.conflicts, *part.kept))
    applied(observed, part.changes)


def test_a_scope_of_systems_leaves_the_others_out() -> None:
    plan = make_plan("model/a", State([Resource(Key("group", "one"), {"x": 1})]), State())
    assert narrow(plan, Scope()) is plan
    assert narrow(plan, Scope(systems=frozenset({"model/a"}))) == plan
    assert narrow(plan, Scope(systems=frozenset({"model/b"}))).changes == ()


@given(states(found=False), states(found=True), st.data())
def test_leaving_changes_out_leaves_out_what_needs_them(
    desired: State, observed: State, data: st.DataObject
) -> None:
    plan = make_plan("model", desired, observed)
    gone = set(data.draw(st.lists(st.sampled_from([change.key for change in plan.changes] or [Key("", "")]))))
    left, dependents = without(plan, gone)
    keys = {change.key for change in left.changes}
    assert keys | {change.key for change in dependents} == {c.key for c in plan.changes} - gone
    assert all(change.depends_on <= keys for change in left.changes)
    assert all(change.depends_on & (gone | {other.key for other in dependents}) for change in dependents)


@given(states(found=False))
def test_equal_states_need_nothing(state: State) -> None:
    assert make_plan("model", state, state) == Plan("model")


@given(states(found=False), states(found=True))
def test_the_order_respects_dependencies(desired: State, observed: State) -> None:
    plan = make_plan("model", desired, observed)
    position = {change.key: index for index, change in enumerate(plan.changes)}
    for change in plan.changes:
        assert all(position[needed] < position[change.key] for needed in change.depends_on)
        for needed in desired[change.key].depends_on if change.key in desired else ():
            assert needed not in position or needed in change.depends_on
        for needed in observed[change.key].depends_on if change.action is Action.DELETE else ():
            other = next((item for item in plan.changes if item.key == needed), None)
            if other and other.action is Action.DELETE:
                assert change.key in other.depends_on
    kinds = [change.action is Action.DELETE for change in plan.changes]
    assert kinds == sorted(kinds)


@given(states(found=False), states(found=True), st.randoms(use_true_random=False))
def test_a_plan_does_not_depend_on_the_order_of_its_input(
    desired: State, observed: State, shuffle: random.Random
) -> None:
    def mixed(state: State) -> State:
        resources = [
            replace(resource, fields=dict(reversed(resource.fields.items()))) for resource in state.values()
        ]
        shuffle.shuffle(resources)
        return State(resources)

    plan = make_plan("model", desired, observed)
    other = make_plan("model", mixed(desired), mixed(observed))
    assert json.dumps(plan.as_json()) == json.dumps(other.as_json())


def test_a_fixed_field_is_a_conflict_and_the_others_still_change() -> None:
    key = Key("storage", "raw")
    desired = State([Resource(key, {"host": "b", "note": "new"}, fixed=frozenset({"host"}))])
    plan = make_plan("model", desired, State([Resource(key, {"host": "a", "note": "old"})]))
    assert [(item.name, item.before, item.after) for item in plan.changes[0].fields] == [
        ("note", "old", "new")
    ]
    assert "its host is a and cannot be changed to b" in plan.conflicts[0].reason


def test_sets_say_what_they_gain_and_lose() -> None:
    key = Key("group", "team")
    plan = make_plan(
        "model",
        State([Resource(key, {"members": ("c", "b", "b")})]),
        State([Resource(key, {"members": ("a", "b")})]),
    )
    change = plan.changes[0].field("members")
    assert change is not None
    assert (change.added, change.removed) == (("c",), ("a",))


def test_a_deletion_waits_until_nothing_depends_on_its_object_any_more() -> None:
    group, user = Key("group", "team"), Key("user", "alice")
    observed = State([Resource(user), Resource(group, {"members": ("alice",)}, frozenset({user}))])
    plan = make_plan("model", State([Resource(group, {"members": ()})]), observed)
    assert [(change.action, change.key) for change in plan.changes] == [
        (Action.UPDATE, group),
        (Action.DELETE, user),
    ]
    assert plan.changes[1].depends_on == {group}
    both = make_plan("model", State(), observed)
    assert [change.key for change in both.changes] == [group, user]


def test_equal_fields_are_shared_in_what_is_created() -> None:
    shared = make_fields({"type": "account"})
    desired = State(Resource(Key("user", str(number)), shared) for number in range(3))
    assert len({id(change.fields) for change in make_plan("model", desired, State()).changes}) == 1


def test_circles_and_duplicates_are_refused() -> None:
    one, two = Key("group", "one"), Key("group", "two")
    circle = State([Resource(one, depends_on=frozenset({two})), Resource(two, depends_on=frozenset({one}))])
    with pytest.raises(ValueError, match="circle: group"):
        make_plan("model", circle, State())
    with pytest.raises(ValueError, match="two resources have the key group one"):
        State([Resource(one), Resource(one)])
