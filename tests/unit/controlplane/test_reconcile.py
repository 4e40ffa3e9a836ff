"""Observe, plan and apply, under locks and in the journal."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from memory import DOWN, UNREADABLE, Memory, silent
from store_site import Site

from controlplane.model import Limits
from controlplane.reconcile.port import ChangeError, Progress
from controlplane.reconcile.reconcile import reconcile
from controlplane.reconcile.run import Report, apply_plan, plan_all
from controlplane.state import Action, Key, Resource, Scope, State
from controlplane.store import Store, StoreError, history, open_store
from controlplane.store.errors import LockedError
from controlplane.store.locks import Holder, hold, locks_for

A, B, C, D = (Key("thing", name) for name in "abcd")
DESIRED = (Resource(C, {"x": 1}, frozenset({A, B})), Resource(A, {"x": 1}), Resource(B, {"x": 1}))
WHOLE = Scope()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(Site(tmp_path / "state")) as opened:
        yield opened


def run(store: Store, *systems: Memory, scope: Scope = WHOLE, **options: Any) -> list[Report]:
    options.setdefault("limits", Limits(share=0.3, objects=10))
    return reconcile(systems, scope, store=store, platform="test", actor="alice", watch=silent, **options)


def results(report: Report) -> dict[str, str]:
    """What became of each change, by name."""
    return {
        **{change.key.name: "done" for change in report.done},
        **{change.key.name: reason for change, reason in (*report.failed, *report.skipped)},
    }


def test_an_apply_reaches_what_is_desired_and_a_second_has_nothing_to_do(store: Store) -> None:
    system = Memory(DESIRED)
    (report,) = run(store, system)
    assert report.ok
    assert set(system.applied[:2]) == {A, B}
    assert system.applied[2] == C
    assert [(change.key, text) for change, text in report.remarks] == [(B, "with care")]
    assert system.calls == ["observe", "refusals", "close", "refusals", "begin", "finish", "close"]
    (again,) = run(store, system)
    assert again.ok
    assert again.done == []
    assert [past.result for past in history.runs(store, "test")] == ["nothing to do", "done"]
    assert len(history.changes(store, history.runs(store, "test")[1].id)) == 3


def test_progress_is_told_change_by_change() -> None:
    system = Memory(DESIRED)
    told: list[tuple[int, int]] = []
    plan = plan_all([system], silent)[0].plan
    assert plan is not None
    apply_plan(system, plan, lambda label: lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_what_depends_on_a_failure_is_not_attempted_and_says_because_of_what(store: Store) -> None:
    system = Memory([*DESIRED, Resource(D, {"x": 1}, frozenset({C}))])
    system.failing[A] = ChangeError("it is broken")
    (report,) = run(store, system)
    assert not report.ok
    assert results(report) == {
        "a": "it is broken",
        "b": "done",
        "c": "thing a was not done",
        "d": "thing c was not done",
    }
    past = history.runs(store, "test")[0]
    assert (past.result, past.done, past.failed, past.skipped) == ("failed", 1, 1, 2)
    system.failing.clear()
    assert run(store, system)[0].ok
    assert set(system.world) == {A, B, C, D}


def test_a_defect_in_one_change_is_reported_like_a_failure(store: Store) -> None:
    system = Memory(DESIRED)
    system.failing[B] = RuntimeError("a\nbug")
    (report,) = run(store, system)
    assert results(report)["b"] == "failed unexpectedly: RuntimeError: a bug"
    assert results(report)["a"] == "done"


def test_a_system_that_goes_down_gets_no_more_changes(store: Store) -> None:
    things = [Key("thing", f"{number:03}") for number in range(200)]
    system = Memory((Resource(key, {"x": 1}) for key in things), connections=2)
    system.failing = {key: DOWN for key in things[20:]}
    (report,) = run(store, system)
    assert len(report.done) == 20
    assert 1 <= len(report.failed) <= system.connections
    assert len(report.done) + len(report.failed) + len(report.skipped) == 200
    assert {reason for _, reason in report.skipped} == {"the system takes no more changes: it is gone"}


def test_changes_start_as_soon_as_what_they_need_is_done() -> None:
    # One slow object must not hold up those that do not need it, as it would in waves.
    slow = Key("thing", "slow")
    chain = [Key("thing", name) for name in ("one", "two", "three")]
    system = Memory(
        [
            Resource(slow, {"x": 1}),
            *(
                Resource(key, {"x": 1}, frozenset(chain[index - 1 : index]))
                for index, key in enumerate(chain)
            ),
        ],
        connections=2,
    )
    reached = threading.Event()

    def before(change: Any) -> None:
        if change.key == slow:
            assert reached.wait(10)
        if change.key == chain[-1]:
            reached.set()

    system.before = before
    plan = plan_all([system], silent)[0].plan
    assert plan is not None
    assert apply_plan(system, plan, silent).ok


@pytest.mark.parametrize("connections", [1, 3])
def test_no_more_connections_are_used_than_there_are(connections: int) -> None:
    system = Memory((Resource(Key("thing", str(n)), {"x": 1}) for n in range(60)), connections=connections)
    system.before = lambda change: time.sleep(0.002)
    plan = plan_all([system], silent)[0].plan
    assert plan is not None
    assert apply_plan(system, plan, silent).ok
    assert system.most_at_once == connections


def test_one_system_that_fails_is_named_and_the_others_go_on(store: Store) -> None:
    silent_one, broken, refusing, good = (Memory(DESIRED, id=f"memory/{name}") for name in "abcd")
    silent_one.unreadable = UNREADABLE
    broken.unreadable = KeyError("a defect")
    refusing.takes_nothing = True
    reports = run(store, silent_one, broken, refusing, good)
    assert [report.error for report in reports] == [
        "no answer",
        "failed unexpectedly: KeyError: 'a defect'",
        "nothing was changed: it takes nothing",
        "",
    ]
    assert [report.ok for report in reports] == [False, False, False, True]
    assert all(system.calls[-1] == "close" for system in (silent_one, broken, refusing, good))
    past = history.runs(store, "test")[0]
    assert past.result == "failed"
    assert "memory/a: no answer" in past.text


class Away(Memory):
    """Cannot be read, which is only found out when all are asked."""

    together = threading.Barrier(10)

    def observe(self, progress: Progress) -> State:
        self.together.wait(timeout=30)
        raise UNREADABLE


def test_systems_that_are_away_are_waited_for_at_the_same_time(store: Store) -> None:
    systems = [Away(DESIRED, id=f"memory/{number}") for number in range(Away.together.parties)]
    assert [report.error for report in run(store, *systems)] == ["no answer"] * len(systems)


def test_what_a_system_refuses_is_a_conflict_with_what_depends_on_it(store: Store) -> None:
    system = Memory(DESIRED)
    system.refused[A] = "its host does not resolve"
    (report,) = run(store, system)
    assert [(note.key, note.reason) for note in report.conflicts] == [
        (A, "its host does not resolve"),
        (C, "it depends on something that is refused"),
    ]
    assert not report.ok
    assert results(report) == {"b": "done"}


def test_what_is_refused_only_after_the_plan_is_not_done_either(store: Store) -> None:
    system = Memory(DESIRED)

    def approve(outcomes: Any) -> frozenset[Any]:
        assert len(outcomes[0].plan.changes) == 3
        system.refused[A] = "its host has gone"
        return frozenset()

    (report,) = run(store, system, approve=approve)
    assert results(report) == {"b": "done"}
    assert report.conflicts[0].reason == "its host has gone"


# Limits.


def many(count: int, **fields: Any) -> list[Resource]:
    return [Resource(Key("thing", f"{number:03}"), {"x": 1, **fields}) for number in range(count)]


@pytest.mark.parametrize(
    ("managed", "deleted", "updated", "refused"),
    [
        (100, 31, 0, True),
        (100, 0, 31, True),
        (100, 16, 15, True),
        (100, 30, 0, False),
        (20, 10, 0, False),
        (20, 11, 0, True),
        (5, 5, 0, False),
    ],
)
def test_large_plans_are_refused_until_told(
    store: Store, managed: int, deleted: int, updated: int, refused: bool
) -> None:
    world = many(managed)
    desired = [replace(item, fields={"x": 2}) for item in world[:updated]] + world[updated + deleted :]
    system = Memory([*desired, *(Resource(Key("new", str(n)), {"x": 1}) for n in range(200))], world)
    (report,) = run(store, system)
    assert report.ok is not refused
    assert len(system.applied) == (0 if refused else deleted + updated + 200)
    if refused:
        assert f"update {updated} and delete {deleted} of {managed} managed objects" in report.error
        assert "--exceed-limits" in report.error
        assert history.runs(store, "test")[0].result == "refused"
        assert run(store, system, exceed_limits=True)[0].ok
        assert len(system.world) == managed - deleted + 200


def test_what_is_not_ours_does_not_make_a_plan_look_small(store: Store) -> None:
    others = [replace(item, key=Key("other", item.key.name), owned=False) for item in many(500)]
    assert "of 20 managed" in run(store, Memory([], [*many(20), *others]))[0].error


# Deletions of data.


def holding(key: Key, **more: Any) -> Resource:
    return Resource(key, {"acl": ("alice",)}, retired={"acl": ()}, destroys="12 files, 3 GiB", **more)


def test_access_ends_first_and_data_are_deleted_only_when_a_person_confirms_it(store: Store) -> None:
    group, inner = Key("group", "cells"), Key("group", "inner")
    system = Memory([], [holding(group), Resource(inner, {"x": 1}, frozenset({group})), *many(3)])
    (report,) = run(store, system)
    assert report.ok
    assert system.world.keys() == {group}
    assert system.world[group].fields["acl"] == ()
    assert report.kept[0].reason == "its access ends first; the next plan deletes it"
    (report,) = run(store, system)
    assert report.ok
    assert report.unconfirmed[0].reason == "its deletion would destroy 12 files, 3 GiB"
    assert group in system.world
    other = frozenset({("memory/b", group), ("memory/a", inner)})
    assert run(store, system, approve=lambda outcomes: other)[0].done == []
    (report,) = run(store, system, approve=lambda outcomes: frozenset({("memory/a", group)}))
    assert [change.action for change in report.done] == [Action.DELETE]
    assert system.world == {}


def test_what_holds_unconfirmed_data_stays_and_the_rest_goes_on(store: Store) -> None:
    outer, inner = Key("group", "outer"), Key("group", "inner")
    gone = replace(holding(inner, depends_on=frozenset({outer})), fields={"acl": ()})
    system = Memory(DESIRED, [Resource(outer, {"x": 1}), gone])
    (report,) = run(store, system)
    assert system.world.keys() == {outer, inner, A, B, C}
    assert [(note.key, note.reason) for note in report.unconfirmed] == [
        (inner, "its deletion would destroy 12 files, 3 GiB"),
        (outer, "something that it holds would be destroyed"),
    ]
    assert report.ok


# Locks and interruptions.


def test_a_second_apply_says_who_holds_the_lock_or_waits(store: Store) -> None:
    system = Memory(DESIRED)
    with hold(store.locks, locks_for(Scope(facilities=frozenset({"nantes"}))), "bic apply", 0, print):
        with pytest.raises(LockedError, match=r"the platform is locked by .*: bic apply, since"):
            run(store, system)
        with pytest.raises(LockedError, match="facility nantes is locked by"):
            run(store, system, scope=Scope(teams=frozenset({"nantes/cells"})))
        assert run(store, system, scope=Scope(facilities=frozenset({"rennes"})))[0].ok
    assert system.applied == []
    held = store.locks.acquire(locks_for(WHOLE), Holder.myself("bic apply"))
    threading.Timer(0.2, held.release).start()
    told: list[str] = []
    assert run(store, system, wait_for_lock=20, tell=told.append)[0].ok
    assert told[0].startswith("waiting up to 20 s: the platform is locked by")


def test_an_interruption_begins_nothing_more_and_is_in_the_journal(store: Store) -> None:
    system = Memory(many(100), connections=1)
    stop = threading.Event()

    def before(change: Any) -> None:
        if len(system.applied) == 5:
            stop.set()

    system.before = before
    (report,) = run(store, system, stop=stop)
    assert len(report.done) == 6
    assert {reason for _, reason in report.skipped} == {"the run was interrupted"}
    past = history.runs(store, "test")[0]
    assert (past.result, past.done, past.skipped) == ("interrupted", 6, 94)
    assert run(store, system)[0].ok
    assert len(system.applied) == 100


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt, which processes in the background of a shell ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_person_may_interrupt_it(store: Store) -> None:
    system = Memory(many(100), connections=1)
    stop = threading.Event()

    def before(change: Any) -> None:
        if len(system.applied) == 5:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.wait(10)

    system.before = before
    (report,) = run(store, system, stop=stop)
    assert len(report.done) == 6
    assert len(report.skipped) == 94
    assert history.runs(store, "test")[0].result == "interrupted"


def test_a_run_that_loses_its_lock_begins_nothing_more(postgresql_url: str, tmp_path: Path) -> None:
    url = sa.make_url(postgresql_url).set(drivername="postgresql+psycopg")
    system = Memory(many(300), connections=1)
    with Store(url, "test", tmp_path) as server:

        def before(change: Any) -> None:
            if len(system.applied) == 5:
                with server.writing() as connection:
                    kill = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                    connection.execute(sa.text(kill))

        system.before = before
        (report,) = run(server, system)
        assert not report.ok
        assert "cannot be used" in report.error
        assert 5 <= len(report.done) < 50
        assert history.runs(server, "test")[0].result == "failed"


def test_a_journal_that_cannot_be_ended_is_said_and_hides_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr("controlplane.store.journal.RunJournal.end", fail)
    done, journal = run(store, Memory(DESIRED))
    assert len(done.done) == 3
    assert journal.error == "the end of the run could not be written: the disk is full"


def test_without_a_journal_nothing_is_changed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr("controlplane.store.journal.RunJournal.write", fail)
    system = Memory(DESIRED)
    (report,) = run(store, system)
    assert report.error == "the disk is full"
    assert system.applied == []


def test_a_scope_changes_nothing_else(store: Store) -> None:
    things = [
        replace(item, facility=facility) for item, facility in zip(many(2), ("nantes", "rennes"), strict=True)
    ]
    one, two = Memory(things, id="memory/a"), Memory(things, id="memory/b")
    scope = Scope(facilities=frozenset({"nantes"}), systems=frozenset({"memory/b"}))
    (report,) = run(store, one, two, scope=scope)
    assert [change.facility for change in report.done] == ["nantes"]
    assert one.calls == []
    assert history.runs(store, "test")[0].scope == "system memory/b, facility nantes"
