"""Observe, plan and apply with a system that lives in memory."""

import threading
from collections.abc import Mapping, Sequence

from controlplane.reconcile.port import ChangeError, ObservationError, Progress
from controlplane.reconcile.run import apply_plan, plan_all
from controlplane.state import Action, Change, Key, Resource, State


class Memory:
    """A system whose objects are a dictionary."""

    connections = 4

    def __init__(
        self, desired: State, *, readable: bool = True, broken: frozenset[Key] = frozenset()
    ) -> None:
        self.id = self.title = "memory"
        self.world: dict[Key, Resource] = {}
        self.calls: list[str] = []
        self._desired, self._readable, self._broken = desired, readable, broken
        self._lock = threading.Lock()

    def desired(self) -> State:
        return self._desired

    def observe(self, progress: Progress) -> State:
        if not self._readable:
            raise ObservationError("no answer")
        progress(1, 1)
        return State(self.world.values())

    def refusals(self, changes: Sequence[Change]) -> Mapping[Key, str]:
        return {}

    def begin(self, changes: Sequence[Change]) -> None:
        self.calls.append("begin")

    def apply(self, change: Change) -> str:
        with self._lock:
            if change.key in self._broken:
                raise ChangeError("it is broken")
            assert all(key in self.world for key in change.depends_on - self._broken)
            self.world[change.key] = self._desired[change.key]
            return "with care" if change.key.name == "b" else ""

    def finish(self, changes: Sequence[Change]) -> None:
        self.calls.append("finish")

    def close(self) -> None:
        self.calls.append("close")


def _silent(label: str) -> Progress:
    return lambda done, total: None


A, B, C = (Key("thing", name) for name in "abc")
DESIRED = State([Resource(C, depends_on=frozenset({A, B})), Resource(A), Resource(B)])


def test_apply_reaches_what_is_desired_and_tells_how_far_it_is() -> None:
    system = Memory(DESIRED)
    (outcome,) = plan_all([system], _silent)
    assert outcome.plan is not None
    told: list[tuple[int, int]] = []
    report = apply_plan(system, outcome.plan, lambda label: lambda done, total: told.append((done, total)))
    assert report.ok
    assert report.remarks == [(outcome.plan.changes[1], "with care")]
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert system.calls == ["close", "begin", "finish", "close"]
    assert plan_all([system], _silent)[0].settled


def test_one_failure_is_named_and_the_others_go_on() -> None:
    system = Memory(DESIRED, broken=frozenset({A}))
    plan = plan_all([system], _silent)[0].plan
    assert plan is not None
    report = apply_plan(system, plan, _silent)
    assert not report.ok
    assert [(change.key, reason) for change, reason in report.failed] == [(A, "it is broken")]
    assert [change.key for change in report.done] == [B]
    assert [(change.key, reason) for change, reason in report.skipped] == [(C, "thing a was not done")]


def test_a_system_that_cannot_be_read_has_no_plan_and_the_others_have() -> None:
    silent, good = Memory(DESIRED, readable=False), Memory(DESIRED)
    outcomes = plan_all([silent, good], _silent)
    assert (outcomes[0].plan, outcomes[0].error) == (None, "no answer")
    assert outcomes[1].plan is not None
    assert outcomes[1].plan.count(Action.CREATE) == 3
    assert silent.calls == good.calls == ["close"]
