"""The store, on both databases: its tables, its journal, and what is read back."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from store_site import Site

from controlplane.model.secrets import Secret
from controlplane.reconcile.schedule import Attempt, Result
from controlplane.state import Action, Change, Difference, FieldChange, Key
from controlplane.store import Store, StoreError, comparisons, database, history, open_store, rollouts
from controlplane.store.comparisons import Comparison
from controlplane.store.journal import RunEnd, RunJournal, RunResult, begin_run
from controlplane.store.locks import Holder, Wanted, hold
from controlplane.store.rollouts import Event, RolloutJournal
from controlplane.store.tables import APPEND_ONLY, Base


@pytest.fixture
def store(site: Site) -> Iterator[Store]:
    with open_store(site) as opened:
        yield opened


@pytest.fixture
def run(store: Store) -> Iterator[RunJournal]:
    holder = Holder.myself("bic apply")
    with hold(store.locks, [Wanted("platform")], "bic apply", 0, print) as held:
        yield begin_run(store, held, holder, platform="test", actor="alice", scope="the whole platform")


def change(name: str, facility: str = "nantes") -> Change:
    fields = (FieldChange("type", "a", "b"), FieldChange("members", ("x", "y"), ("y", "z")))
    return Change(Action.UPDATE, Key("group", name), fields, facility=facility, team="cells")


def test_the_tables_are_those_of_the_migrations(store: Store) -> None:
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [database.HEAD]
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_opening_again_changes_nothing(site: Site, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MIGRATIONS", Path("/nowhere"))
    with open_store(site, migrate=False) as again, again.reading() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM run")).scalar() == 0


def test_many_processes_may_open_a_new_store_at_once(site: Site) -> None:
    command = site.python("open_store(site).close()")
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    assert [(process.communicate()[1], process.returncode) for process in running] == [(b"", 0)] * 3


def test_a_newer_store_is_refused_and_an_empty_one_is_not_made_by_readers(site: Site) -> None:
    with pytest.raises(StoreError, match="is not up to date"):
        open_store(site, migrate=False)
    with open_store(site) as opened, opened.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer version of bic: its tables are at revision 9999"):
        open_store(site)


def test_a_migration_that_is_cut_off_leaves_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    def fail(statement: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(op, "execute", fail)
        with pytest.raises(KeyboardInterrupt):
            open_store(site)
    with open_store(site) as opened, opened.reading() as connection:
        assert set(sa.inspect(connection).get_table_names()) == {*Base.metadata.tables, "alembic_version"}


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = 'x'", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_journal_is_append_only(store: Store, run: RunJournal, table: str, statement: str) -> None:
    if statement.startswith("TRUNCATE") and store.url.get_backend_name() == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    run.of("memory/a").started([change("one")])
    run.end(RunEnd(RunResult.DONE, done=1))
    RolloutJournal(store, run).write(Event.CONFIRMED, zone="bicZone", wave="canary", server="dc2-irods")
    column = "actor" if table == "run" else "text"
    with pytest.raises(StoreError, match=r"append-only"), store.writing() as connection:
        connection.execute(sa.text(statement.format(table, column)))
    assert history.runs(store, "test")[0].done == 1


def test_a_rollout_is_told_in_order(store: Store, run: RunJournal) -> None:
    journal = RolloutJournal(store, run)
    journal.write(Event.WAVE, zone="bicZone", wave="canary", text="dc2-irods")
    journal.write(Event.ACTIVATED, zone="bicZone", wave="canary", server="dc2-irods", closed=1.5)
    told = rollouts.events(store, "test")
    assert [(one.event, one.server, one.closed, one.run) for one in told] == [
        ("wave", "", None, run.id),
        ("activated", "dc2-irods", 1.5, run.id),
    ]
    assert rollouts.events(store, "test", limit=1) == told[1:]
    assert rollouts.events(store, "other") == rollouts.events(store, "test", run=run.id + 1) == []
    json.dumps([one.as_json() for one in told])


def test_the_journal_tells_what_happened(store: Store, run: RunJournal) -> None:
    one, two, three, four = (change(name) for name in ("one", "two", "three", "four"))
    journal = run.of("memory/a")
    journal.started([one, two, four])
    assert history.runs(store, "test")[0].result == history.RUNNING
    journal.ended(
        [
            Attempt(one, Result.DONE, "with care"),
            Attempt(two, Result.FAILED, "it broke"),
            Attempt(three, Result.SKIPPED, "group two was not done"),
        ]
    )
    run.end(RunEnd(RunResult.FAILED, 1, 1, 1, "memory/b: no answer"))
    past = history.run(store, "test", run.id)
    assert past is not None
    assert (past.result, past.done, past.failed, past.skipped) == ("failed", 1, 1, 1)
    assert (past.actor, past.command, past.scope) == ("alice", "bic apply", "the whole platform")
    assert past.text == "memory/b: no answer"
    assert past.seconds is not None
    assert past.seconds >= 0
    found = history.changes(store, run.id)
    assert [(item.name, item.result, item.text) for item in found] == [
        ("one", "done", "with care"),
        ("two", "failed", "it broke"),
        ("three", "skipped", "group two was not done"),
        ("four", "started", ""),
    ]
    assert found[0].fields == {
        "type": {"before": "a", "after": "b"},
        "members": {"added": ["z"], "removed": ["x"]},
    }
    assert found[2].started is None
    assert history.run(store, "other", run.id) is None


def test_a_run_that_was_killed_is_interrupted(store: Store) -> None:
    holder = Holder.myself("bic apply")
    with hold(store.locks, [Wanted("platform")], "bic apply", 0, print) as held:
        run = begin_run(store, held, holder, platform="test", actor="alice", scope="nantes", plan="p1")
        run.of("memory/a").started([change("one")])
        run.of("memory/a").ended([Attempt(change("two", "rennes"), Result.DONE)])
    past = history.runs(store, "test")[0]
    assert (past.result, past.done, past.ended) == ("interrupted", 1, None)
    assert history.attempted(store, "test", "p1") == {("memory/a", "group", "one")}
    assert history.attempted(store, "test", "p2") == set()
    assert [item.id for item in history.runs(store, "test", facility="rennes")] == [run.id]
    assert history.runs(store, "test", facility="lille") == []


def test_the_newest_runs_come_first_and_no_more_than_asked_for(store: Store) -> None:
    for actor in ("alice", "bob", "carol"):
        with hold(store.locks, [Wanted("platform")], "bic apply", 0, print) as held:
            begin_run(store, held, Holder.myself("bic apply"), platform="test", actor=actor, scope="").end(
                RunEnd(RunResult.NOTHING)
            )
    assert [item.actor for item in history.runs(store, "test", limit=2)] == ["carol", "bob"]


def test_comparisons_are_kept_and_the_old_ones_forgotten(store: Store) -> None:
    now = datetime.now(UTC)
    old = Comparison("memory/old", now - timedelta(days=100), 1.0, counts={("user", Difference.MISSING): 9})
    good = Comparison("memory/a", now - timedelta(hours=1), 2.0, counts={("user", Difference.MISSING): 3})
    bad = Comparison("memory/a", now, 0.5, "no answer")
    for item in (old, good, bad):
        comparisons.save(store, "test", item)
    assert [(item.at, item.error) for item in comparisons.latest(store, "test", succeeded=False)] == [
        (now, "no answer")
    ]
    assert comparisons.latest(store, "test", succeeded=True) == [good]
    assert comparisons.latest(store, "other", succeeded=True) == []
    with store.reading() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM drift_count")).scalar() == 1


def test_the_file_is_private_and_reads_go_on_beside_a_write(tmp_path: Path) -> None:
    with open_store(Site(tmp_path / "state")) as opened:
        for file in ("", "-wal", "-shm"):
            assert stat.S_IMODE(os.stat(f"{tmp_path}/state/store.sqlite{file}").st_mode) == 0o600
        with opened.writing() as connection:
            connection.execute(sa.text("DELETE FROM drift_check"))
            assert history.runs(opened, "test") == []


def test_a_database_that_cannot_be_used_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql_socket: Path
) -> None:
    secret = Secret.from_environment("TEST_STORE")
    for url, message in (
        (f"postgresql://tester:hunter2@/missing?host={postgresql_socket}", 'missing on .*"missing" does not'),
        ("postgresql://tester:hunter2@127.0.0.1:1/bic", "bic on 127.0.0.1 cannot be used: .*refused"),
        ("mysql://root:hunter2@db/bic", "a store on mysql is not supported"),
        ("hunter2", "cannot be understood"),
        ("sqlite:///" + str(tmp_path / "file" / "store"), "/file: File exists"),
    ):
        (tmp_path / "file").touch()
        monkeypatch.setenv("TEST_STORE", url)
        with pytest.raises(StoreError, match=message) as caught:
            open_store(Site(tmp_path, secret))
        assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_text("something else " * 100)
    with pytest.raises(StoreError, match=r"store\.sqlite cannot be used: file is not a database"):
        open_store(Site(tmp_path))
