"""The plan's promises, for any two states."""

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.state import Action, Key, Plan, Resource, State, make_plan

KEYS = [Key(kind, name) for kind in ("group", "user") for name in "abcdef"]
VALUES = st.one_of(
    st.booleans(),
    st.integers(0, 3),
    st.sampled_from(["", "x", "y"]),
    st.lists(st.sampled_from(["p", "q", "r"])).map(tuple),
)


@st.composite
def states(draw: st.DrawFn, *, found: bool) -> State:
    """A state in which objects depend only on earlier ones, as in any system without circles."""
    keys = sorted(draw(st.sets(st.sampled_from(KEYS))))
    return State(
        Resource(
            key,
            {name: draw(VALUES) for name in ("first", "second")},
            depends_on=frozenset(draw(st.sets(st.sampled_from(keys[:index])))) if index else frozenset(),
            facility=draw(st.sampled_from(["nantes", "rennes", ""])),
            owned=draw(st.booleans()) if found else True,
            keep=draw(st.sampled_from(["", "it holds data"])) if found else "",
        )
        for index, key in enumerate(keys)
    )


def applied(observed: State, plan: Plan) -> State:
    """What a system that does exactly as told looks like afterwards."""
    world = dict(observed)
    for change in plan.changes:
        after = {item.name: item.after for item in change.fields}
        match change.action:
            case Action.CREATE:
                assert change.key not in world
                world[change.key] = Resource(change.key, after, change.depends_on, change.facility)
            case Action.UPDATE | Action.ADOPT:
                old = world[change.key]
                world[change.key] = replace(old, fields={**old.fields, **after}, owned=True)
            case Action.DELETE:
                assert world.pop(change.key).owned
    return State(world.values())


@given(states(found=False), states(found=True))
def test_a_plan_reaches_what_is_desired_and_touches_nothing_else(desired: State, observed: State) -> None:
    plan = make_plan("model", desired, observed)
    world = applied(observed, plan)
    blocked = {conflict.key for conflict in plan.conflicts}
    for key, wanted in desired.items():
        if key not in blocked:
            assert world[key].fields == wanted.fields
    for key, found in observed.items():
        if not found.owned:
            assert world[key] == found
        elif key not in desired:
            assert (key in world) == bool(found.keep)
    again = make_plan("model", desired, world)
    assert again.changes == ()
    assert {conflict.key for conflict in again.conflicts} == blocked


@given(states(found=False), states(found=True))
def test_adoption_leaves_no_conflict(desired: State, observed: State) -> None:
    plan = make_plan("model", desired, observed, adopt=True)
    assert plan.conflicts == ()
    world = applied(observed, plan)
    assert all(world[key].fields == wanted.fields and world[key].owned for key, wanted in desired.items())


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


def test_circles_and_duplicates_are_refused() -> None:
    one, two = Key("group", "one"), Key("group", "two")
    circle = State([Resource(one, depends_on=frozenset({two})), Resource(two, depends_on=frozenset({one}))])
    with pytest.raises(ValueError, match="circle: group"):
        make_plan("model", circle, State())
    with pytest.raises(ValueError, match="two resources have the key group one"):
        State([Resource(one), Resource(one)])
