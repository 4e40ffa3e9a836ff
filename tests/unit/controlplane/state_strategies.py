"""Any two states, for hypothesis, and a model of a system that does exactly as told."""

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import strategies as st

from controlplane.state import Action, Change, Key, Resource, State

KEYS = [Key(kind, name) for kind in ("group", "user") for name in "abcdef"]
VALUES = st.one_of(
    st.booleans(),
    st.integers(0, 3),
    st.sampled_from(["", "x", "y"]),
    st.lists(st.sampled_from(["p", "q", "r"])).map(tuple),
)
FACILITIES = ("nantes", "rennes", "")


@st.composite
def states(draw: st.DrawFn, *, found: bool) -> State:
    """A state in which objects depend only on earlier ones, as in any system without circles."""
    keys = sorted(draw(st.sets(st.sampled_from(KEYS))))
    return State(
        Resource(
            key,
            {name: draw(VALUES) for name in ("first", "second")},
            depends_on=frozenset(draw(st.sets(st.sampled_from(keys[:index])))) if index else frozenset(),
            facility=draw(st.sampled_from(FACILITIES)),
            team=draw(st.sampled_from(["", "cells"])),
            owned=draw(st.booleans()) if found else True,
            keep=draw(st.sampled_from(["", "it holds data"])) if found else "",
            destroys=draw(st.sampled_from(["", "12 files"])) if found else "",
            retired={"first": ()} if found and draw(st.booleans()) else {},
        )
        for index, key in enumerate(keys)
    )


def applied(observed: State, changes: Iterable[Change]) -> State:
    """What a system that does exactly as told looks like afterwards."""
    world = dict(observed.items())
    for change in changes:
        after = {item.name: item.after for item in change.fields if item.after is not None}
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
