"""When checks changed their state, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from store_site import Site

from controlplane.health.history import states
from controlplane.health.port import Severity
from controlplane.health.run import Result, Status
from controlplane.store import Store, health, open_store
from controlplane.store.health import CheckKey, State

NOW = datetime.now(UTC).replace(microsecond=0)
TARGETS = {("s", "one"), ("s", "two")}


@pytest.fixture
def store(site: Site) -> Iterator[Store]:
    with open_store(site) as opened:
        yield opened


def found(**statuses: str) -> dict[CheckKey, State]:
    return {("s", target, "ask"): State(status, f"it is {status}") for target, status in statuses.items()}


def told(store: Store, since: datetime = NOW - timedelta(days=1000)) -> list[tuple[str, str, str]]:
    return [
        (change.target, change.before, change.after) for change in health.since(store, "test", since, TARGETS)
    ]


def test_only_what_changed_is_kept(store: Store) -> None:
    assert health.record(store, "test", found(one="ok", two="failed"), NOW - timedelta(minutes=3)) == 2
    assert health.record(store, "test", found(one="ok", two="failed"), NOW - timedelta(minutes=2)) == 0
    assert health.record(store, "test", found(one="failed"), NOW - timedelta(minutes=1)) == 1
    assert health.record(store, "test", found(one="ok", two="failed"), NOW) == 1
    assert told(store) == [
        ("one", "", "ok"),
        ("two", "", "failed"),
        ("one", "ok", "failed"),
        ("one", "failed", "ok"),
    ]
    assert told(store, NOW) == [("one", "failed", "ok")]
    (last,) = health.since(store, "test", NOW, TARGETS)
    assert (last.at, last.detail, last.check) == (NOW, "it is ok", "ask")
    assert last.as_json()["at"] == NOW.isoformat()
    assert health.since(store, "other", NOW, TARGETS) == []
    assert health.since(store, "test", NOW, {("s", "two")}) == []


def test_old_changes_go_and_the_state_of_every_check_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = NOW - health.KEPT - timedelta(days=2)
    health.record(store, "test", found(one="ok", two="ok"), long_ago)
    health.record(store, "test", found(one="failed"), long_ago + timedelta(hours=1))
    health.record(store, "test", found(one="ok"), NOW)
    assert told(store) == [("two", "", "ok"), ("one", "failed", "ok")]
    # What was well for longer than the history is kept has not changed.
    assert health.record(store, "test", found(two="ok"), NOW) == 0
    monkeypatch.setattr(health, "MOST", 4)
    for minute in range(10):
        status = "failed" if minute % 2 == 0 else "ok"
        health.record(store, "test", found(one=status), NOW + timedelta(minutes=minute))
    with store.reading() as connection:
        count = connection.execute(sa.text("SELECT count(*) FROM health_change")).scalar()
    assert count == 5
    assert told(store)[0] == ("two", "", "ok")


def test_of_a_check_that_was_skipped_nothing_new_is_known() -> None:
    def result(check: str, status: Status) -> Result:
        return Result("s", "t", check, status, Severity.CRITICAL, "why", 0.0, "", "")

    kept = states([result("a", Status.INHIBITED), result("b", Status.SKIPPED)])
    assert kept == {("s", "t", "a"): State("inhibited", "why")}
