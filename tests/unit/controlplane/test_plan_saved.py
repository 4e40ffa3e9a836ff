"""Saved plans, for any two states: what is read is what was written, and what is left of them is exact."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory import Memory
from state_strategies import KEYS, applied, states

from controlplane.errors import BadInputError
from controlplane.reconcile.resume import rest
from controlplane.reconcile.run import Outcome
from controlplane.reconcile.saved import SavedPlan, digest, read, saved, write
from controlplane.state import Action, Plan, Resource, Scope, State, make_plan

WHOLE = Scope()


def save(plan: Plan, observed: State, scope: Scope = WHOLE) -> SavedPlan:
    outcome = Outcome(Memory(id=plan.system), plan, observed)
    return saved(
        [outcome, Outcome(Memory(id="model/down"), error="no answer")],
        platform="test",
        created=datetime(2026, 1, 2, tzinfo=UTC),
        author="alice@host",
        scope=scope,
        adopt=False,
    )


def types_in(plan: SavedPlan) -> list[type]:
    """The types of all values after the changes."""
    changes = plan.systems[0].plan.changes
    return [type(item.after) for change in changes for item in change.fields]


@given(states(found=False), states(found=True), st.sampled_from([WHOLE, Scope(frozenset({"nantes"}))]))
def test_what_is_read_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, desired: State, observed: State, scope: Scope
) -> None:
    file = tmp_path_factory.mktemp("plan") / "plan.json"
    before = save(make_plan("model/a", desired, observed), observed, scope)
    write(file, before)
    after = read(file)
    assert after.id
    assert after.systems == before.systems
    assert (after.scope, after.created, after.author) == (before.scope, before.created, before.author)
    assert after.left_out == {"model/down": "no answer"}
    # A value keeps its type: 1 is not yes.
    assert types_in(after) == types_in(before)
    write(file, before)
    assert read(file).id == after.id


@given(states(found=False), states(found=True), st.data())
def test_however_far_a_run_came_the_rest_is_what_is_left(
    desired: State, observed: State, data: st.DataObject
) -> None:
    plan = make_plan("model/a", desired, observed)
    (system,) = save(plan, observed).systems
    made = data.draw(st.integers(0, len(plan.changes)))
    world = applied(observed, plan.changes[:made])
    left = rest(system, world, WHOLE, frozenset())
    assert left.moved == ()
    assert left.done == made
    assert left.plan.changes == plan.changes[made:]
    # Another person's object is no reason to refuse.
    strange = State([*world.values(), Resource(KEYS[0]._replace(name="strange"), owned=False)])
    assert rest(system, strange, WHOLE, frozenset()) == left


@given(states(found=False), states(found=True), st.data())
def test_whatever_moves_is_named(desired: State, observed: State, data: st.DataObject) -> None:
    plan = make_plan("model/a", desired, observed)
    (system,) = save(plan, observed).systems
    world = dict(observed.items())
    key = data.draw(st.sampled_from(KEYS))
    world[key] = Resource(key, {"first": "moved", "second": "moved"})
    left = rest(system, State(world.values()), WHOLE, frozenset())
    assert [item.key for item in left.moved] == [key]
    # What an earlier run of the plan was about to change may be anywhere; it is brought to its end.
    planned = {change.key: change for change in plan.changes}
    if key in planned:
        left = rest(system, State(world.values()), WHOLE, frozenset({key}))
        if planned[key].action is Action.DELETE or not left.moved:
            after = applied(State(world.values()), left.plan.changes)
            for change in plan.changes:
                found = after.find(change.key)
                if change.action is Action.DELETE:
                    assert found is None
                else:
                    assert found is not None
                    assert all(found.fields[item.name] == item.after for item in change.fields)


def test_a_digest_tells_all_values_apart() -> None:
    values = ("", "1", 1, True, (), ("1",), ("a,b",), ("a", "b"), False, 0)
    resources = [Resource(KEYS[0], {"x": value}, owned=owned) for value in values for owned in (True, False)]
    assert len({digest(resource) for resource in resources}) == len(resources)
    assert digest(Resource(KEYS[0], {"b": 1, "a": 2})) == digest(Resource(KEYS[0], {"a": 2, "b": 1}))


@given(st.binary(max_size=200))
def test_any_file_is_a_plan_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.mktemp("plan") / "plan.json"
    file.write_bytes(content)
    with pytest.raises(BadInputError) as caught:
        read(file)
    assert "\n" not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["format", "version", "digest", "plan", "systems"]), inner)
        ),
        max_leaves=8,
    )
)
def test_any_document_is_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: object
) -> None:
    file = tmp_path_factory.mktemp("plan") / "plan.json"
    file.write_text(json.dumps(content), "utf-8")
    with pytest.raises(BadInputError):
        read(file)


def test_a_plan_whose_digest_is_right_and_whose_content_is_not_is_refused(tmp_path: Path) -> None:
    from controlplane.reconcile.saved import _digest

    file = tmp_path / "plan.json"
    write(file, save(Plan("model/a"), State()))
    document = json.loads(file.read_text("utf-8"))
    document["plan"]["systems"] = 3
    document["digest"] = _digest(document["plan"])
    file.write_text(json.dumps(document), "utf-8")
    with pytest.raises(BadInputError, match="cannot be understood"):
        read(file)
