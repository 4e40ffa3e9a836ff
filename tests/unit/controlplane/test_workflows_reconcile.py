"""A facility's reconcile as a workflow, and what `bic dispatch` tells of it."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from memory import UNREADABLE, Memory
from store_site import Site

from controlplane.model import inventory_digest
from controlplane.reconcile.port import ChangeError
from controlplane.state import Change, Key, Resource, Scope
from controlplane.store import Store, open_store
from controlplane.store.locks import Holder, hold, locks_for
from controlplane.workflows import reconcile as workflow
from controlplane.workflows.dispatch import FacilityResult, result
from controlplane.workflows.port import Interrupted, Job, Json, Status, StepError
from controlplane.workflows.reconcile import FacilityReconcile, Inventory, Result

WANTED = {"facility": "nantes", "actor": "ada@here"}


class Inline:
    """A run that does everything at once, and notes how long it would have slept."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.slept: list[float] = []
        self.awake: Callable[[], object] = lambda: None

    def run_step(self, name: str, step: Callable[[], Json]) -> Json:
        try:
            return step()
        except Exception as error:
            raise StepError(str(error)) from error

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.awake()

    def wait_for_signal(self, name: str, timeout: float) -> Json:
        raise NotImplementedError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(Site(tmp_path / "state")) as opened:
        yield opened


@pytest.fixture
def reconciled(
    inventory: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., FacilityResult]:
    """Reconciles the facility nantes in systems that live in memory."""

    def do(*systems: Memory, run: Inline | None = None, **wanted: str) -> FacilityResult:
        monkeypatch.setattr(workflow, "planned_systems", lambda _: list(systems))
        made = FacilityReconcile(Inventory(inventory), store)(
            run or Inline(), {**WANTED, "inventory": inventory_digest(inventory), **wanted}
        )
        job = Job("1", workflow.NAME, Status.DONE, "one", None, None, made, "")
        return result("nantes", job)

    return do


def things(count: int, **fields: Any) -> list[Resource]:
    return [
        Resource(Key("thing", f"{number:02}"), fields or {"x": 1}, facility="nantes")
        for number in range(count)
    ]


def owned(resources: list[Resource], **fields: Any) -> list[Resource]:
    return [replace(resource, owned=True, **fields) for resource in resources]


def test_what_is_missing_is_made_and_then_nothing_is_to_do(reconciled: Any) -> None:
    elsewhere = Resource(Key("thing", "other"), {"x": 1}, facility="rennes")
    first, second = Memory([*things(3), elsewhere]), Memory(things(2), owned(things(2)), id="memory/b")
    told = reconciled(first, second)
    assert (told.result, told.changed, told.ok, told.reasons) == (Result.DONE, 3, True, ())
    assert [(item["system"], item["result"]) for item in told.systems] == [
        ("memory/a", "done"),
        ("memory/b", "unchanged"),
    ]
    assert elsewhere.key not in first.world
    assert reconciled(first, second).result is Result.UNCHANGED


def test_a_plan_above_the_limits_is_refused_and_nothing_is_forced(reconciled: Any) -> None:
    system = Memory(things(20, x=2), owned(things(20)))
    told = reconciled(system)
    assert (told.result, told.changed, told.ok) == (Result.REFUSED, 0, False)
    assert "would update 20" in told.reasons[0]
    assert system.applied == []


def test_data_are_not_destroyed(reconciled: Any) -> None:
    gone = owned(things(1), destroys="12 files, 3 GiB")
    system = Memory([], gone)
    told = reconciled(system)
    assert told.result is Result.REFUSED
    assert told.reasons == ("the memory/a: thing 00: its deletion would destroy 12 files, 3 GiB",)
    assert system.world.keys() == {gone[0].key}


def test_failures_are_named_and_only_the_first_are_kept(reconciled: Any) -> None:
    system, gone = Memory(things(9)), Memory(things(1), id="memory/b")
    system.failing = {resource.key: ChangeError("it is broken") for resource in things(8)}
    gone.unreadable = UNREADABLE
    told = reconciled(system, gone)
    assert (told.result, told.changed) == (Result.FAILED, 1)
    assert told.reasons[0] == "the memory/a: thing 00: it is broken"
    assert told.reasons[-2:] == ("the memory/b: no answer", "and 3 more, see bic history")


def test_a_worker_with_another_copy_of_the_inventory_changes_nothing(reconciled: Any) -> None:
    system = Memory(things(1))
    with pytest.raises(StepError, match="this worker's inventory is not the one that was dispatched"):
        reconciled(system, inventory="another")
    assert system.applied == []


def test_it_waits_while_somebody_else_works_on_the_facility(reconciled: Any, store: Store) -> None:
    held = store.locks.acquire(locks_for(Scope()), Holder.myself("bic apply"))
    run = Inline()
    run.awake = lambda: held.release() if len(run.slept) == 2 else None
    assert reconciled(Memory(things(1)), run=run).result is Result.DONE
    assert run.slept == [workflow.LOCK_PAUSE] * 2


def test_it_does_not_wait_forever(reconciled: Any, store: Store) -> None:
    run = Inline()
    with (
        hold(store.locks, locks_for(Scope()), "bic apply", 0, print),
        pytest.raises(StepError, match=r"the platform is locked by .*bic apply"),
    ):
        reconciled(Memory(things(1)), run=run)
    assert len(run.slept) == workflow.LOCK_TRIES


def test_a_worker_that_stops_makes_the_change_in_flight_and_leaves_the_rest(reconciled: Any) -> None:
    run, system = Inline(), Memory(things(30), connections=1)

    def before(change: Change) -> None:
        if len(system.applied) == 4:
            run.stopping.set()

    system.before = before
    with pytest.raises(Interrupted):
        reconciled(system, run=run)
    assert len(system.applied) == 5
    run.stopping.clear()
    told = reconciled(system, run=run)
    assert (told.result, told.changed) == (Result.DONE, 25)


def test_the_inventory_is_read_again_when_it_changed(inventory: Path) -> None:
    known = Inventory(inventory)
    platform, digest = known.load()
    assert known.load()[0] is platform
    copy = inventory.with_name("copy")
    shutil.copytree(inventory, copy)
    assert inventory_digest(copy) == digest
    file = inventory / "facilities" / "nantes.yml"
    file.write_text(file.read_text() + "# changed\n")
    changed, now = known.load()
    assert changed is not platform
    assert now != digest
    (inventory / "facilities" / "montpellier.yml").unlink()
    assert known.load()[0].facilities.keys() == {"nantes"}


def test_work_that_failed_tells_why() -> None:
    failed = Job("1", workflow.NAME, Status.FAILED, "one", None, None, None, "it is gone")
    assert result("nantes", failed).reasons == ("it is gone",)
    assert result("nantes", None).reasons == ("the queue no longer knows of it",)
    assert not result("nantes", None).ok
