"""Locks, on both databases: who excludes whom, and that they end with their process."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from store_site import Site

from controlplane.state import Scope
from controlplane.store import Store, StoreError, open_store
from controlplane.store.errors import LockedError
from controlplane.store.locks import Holder, Wanted, account, hold, locks_for

WHOLE = locks_for(Scope())
NANTES = locks_for(Scope(facilities=frozenset({"nantes"})))
RENNES = locks_for(Scope(teams={"rennes/cells"}))


@pytest.fixture
def store(site: Site) -> Iterator[Store]:
    with open_store(site) as opened:
        yield opened


def test_a_scope_says_which_locks_it_needs() -> None:
    shared = Wanted("platform", shared=True)
    assert locks_for(Scope(systems={"memory/a"})) == WHOLE == [Wanted("platform")]
    assert locks_for(Scope(facilities={"rennes", "nantes"}, teams={"rennes/cells"})) == [
        shared,
        Wanted("facility/nantes"),
        Wanted("facility/rennes"),
    ]


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (WHOLE, WHOLE, False),
        (WHOLE, NANTES, False),
        (NANTES, WHOLE, False),
        (NANTES, NANTES, False),
        (NANTES, RENNES, True),
    ],
)
def test_who_excludes_whom(store: Store, first: list[Wanted], second: list[Wanted], together: bool) -> None:
    with hold(store.locks, first, "bic apply, the first", 0, print):
        if together:
            with hold(store.locks, second, "bic apply, the second", 0, print):
                assert len(store.locks.holders("platform")) == 2
        else:
            with pytest.raises(LockedError) as caught:
                store.locks.acquire(second, Holder.myself("bic apply, the second"))
            for part in (account(), f"process {os.getpid()}", "bic apply, the first", "since 20"):
                assert part in str(caught.value)
    # Both gave up all that they held, whether they got all of it or not.
    assert store.locks.holders("platform") == []
    store.locks.acquire(WHOLE, Holder.myself("afterwards")).release()


def test_one_waits_as_long_as_it_is_told(store: Store) -> None:
    told: list[str] = []
    first = store.locks.acquire(WHOLE, Holder.myself("the first"))
    begun = time.monotonic()
    with pytest.raises(LockedError), hold(store.locks, WHOLE, "the second", 0.7, told.append):
        pass
    assert 0.7 <= time.monotonic() - begun < 5
    assert len(told) == 1
    assert told[0].startswith("waiting up to 1 s: the platform is locked by ")
    threading.Timer(0.3, first.release).start()
    with hold(store.locks, WHOLE, "the second", 30, told.append):
        assert [holder.purpose for holder in store.locks.holders("platform")] == ["the second"]


def test_a_lock_ends_with_the_process_that_holds_it(store: Store, site: Site) -> None:
    command = site.python(
        "import time; from controlplane.store.locks import Holder, Wanted\n"
        "held = open_store(site).locks.acquire([Wanted('platform')], Holder.myself('the other'))\n"
        "print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        (holder,) = store.locks.holders("platform")
        assert (holder.pid, holder.purpose) == (other.pid, "the other")
        other.send_signal(signal.SIGKILL)
    with hold(store.locks, WHOLE, "the next", 10, print):
        assert [holder.purpose for holder in store.locks.holders("platform")] == ["the next"]


def test_a_run_learns_that_its_session_is_gone(postgresql_url: str, tmp_path: Path) -> None:
    url = sa.make_url(postgresql_url).set(drivername="postgresql+psycopg")
    with Store(url, "test", tmp_path) as store:
        held = store.locks.acquire(WHOLE, Holder.myself("the first"))
        held.check()
        with store.writing() as connection:
            connection.execute(
                sa.text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            )
        with pytest.raises(StoreError, match="cannot be used"):
            held.check()
        held.release()
        store.locks.acquire(WHOLE, Holder.myself("the second")).release()


def test_platforms_do_not_share_locks(postgresql_url: str, tmp_path: Path) -> None:
    url = sa.make_url(postgresql_url).set(drivername="postgresql+psycopg")
    with (
        Store(url, "production", tmp_path) as one,
        Store(url, "staging", tmp_path) as other,
        hold(one.locks, WHOLE, "production", 0, print),
        hold(other.locks, WHOLE, "staging", 0, print),
    ):
        assert [holder.purpose for holder in one.locks.holders("platform")] == ["production"]
