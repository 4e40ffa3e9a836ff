"""A system that lives in memory, for the tests of what serves all systems."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from controlplane.reconcile.port import ChangeError, ObservationError, Progress, SystemDownError
from controlplane.state import Action, Change, Key, Resource, State


class Memory:
    """Its objects are a dictionary. It insists on the order that dependencies ask for."""

    def __init__(
        self,
        desired: Iterable[Resource] = (),
        world: Iterable[Resource] = (),
        *,
        id: str = "memory/a",
        connections: int = 4,
    ) -> None:
        self.id = id
        self.title = f"the {id}"
        self.connections = connections
        self.wanted = State(desired)
        self.world = {resource.key: resource for resource in world}
        self.calls: list[str] = []
        self.applied: list[Key] = []
        self.failing: dict[Key, Exception] = {}
        self.refused: dict[Key, str] = {}
        self.takes_nothing = False
        self.unreadable: Exception | None = None
        self.before: Callable[[Change], None] = lambda change: None
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def desired(self) -> State:
        return self.wanted

    def observe(self, progress: Progress) -> State:
        self.calls.append("observe")
        if self.unreadable:
            raise self.unreadable
        progress(1, 1)
        return State(self.world.values())

    def refusals(self, changes: Sequence[Change]) -> Mapping[Key, str]:
        self.calls.append("refusals")
        return {change.key: self.refused[change.key] for change in changes if change.key in self.refused}

    def begin(self, changes: Sequence[Change]) -> None:
        self.calls.append("begin")
        if self.takes_nothing:
            raise ChangeError("it takes nothing")

    def apply(self, change: Change) -> str:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            self.before(change)
            with self._lock:
                if error := self.failing.get(change.key):
                    raise error
                self._make(change)
                self.applied.append(change.key)
        finally:
            with self._lock:
                self.at_once -= 1
        return "with care" if change.key.name == "b" else ""

    def _make(self, change: Change) -> None:
        after = {item.name: item.after for item in change.fields if item.after is not None}
        wanted = self.wanted.get(change.key, Resource(change.key))
        if change.action is Action.DELETE:
            assert not any(change.key in other.depends_on for other in self.world.values())
            del self.world[change.key]
        elif change.action is Action.CREATE:
            assert change.key not in self.world
            assert all(key in self.world for key in wanted.depends_on)
            self.world[change.key] = replace(wanted, fields=after)
        else:
            old = self.world[change.key]
            self.world[change.key] = replace(
                old, fields={**old.fields, **after}, owned=True, depends_on=wanted.depends_on
            )

    def finish(self) -> None:
        self.calls.append("finish")

    def close(self) -> None:
        self.calls.append("close")


UNREADABLE = ObservationError("no answer")
DOWN = SystemDownError("it is gone")


def silent(label: str) -> Progress:
    return lambda done, total: None
