"""The role postgresql_backup: backups that are whole, drills that find out when one is not, and a restore."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from testinfra.host import Host

FOLDER = "/var/backups/postgresql/ICAT"
METRICS = "/var/lib/prometheus/node-exporter"


def backup(host: Host, *words: str) -> Any:
    """Run the command as the system account of PostgreSQL and return its result."""
    return json.loads(
        host.check_output(f"cd / && runuser -u postgres -- postgresql-backup {' '.join(words)}")
    )


def refused(host: Host, *words: str) -> str:
    """Run the command, see it fail without a traceback, and return what it said."""
    result = host.run(f"cd / && runuser -u postgres -- postgresql-backup {' '.join(words)}")
    assert result.rc == 1
    assert "Traceback" not in result.stderr
    return str(result.stderr)


def sql(host: Host, statement: str, database: str = "ICAT") -> str:
    return str(host.check_output("cd / && runuser -u postgres -- psql -AtX -c %s %s", statement, database))


def databases(host: Host) -> set[str]:
    return set(sql(host, "select datname from pg_database").split())


@pytest.fixture(autouse=True)
def things(host: Host) -> Iterator[None]:
    """A table with ten rows in a database without backups."""
    sql(host, "create table things (number int, written bigint)")
    sql(host, "insert into things select n, 0 from generate_series(1, 10) n")
    host.check_output(f"rm -rf {FOLDER}")
    yield
    sql(host, "drop table things")
    for name in databases(host):
        if name.startswith("ICAT_"):
            sql(host, f'drop database "{name}"', "postgres")
    host.check_output(f"rm -rf {FOLDER}")


def test_timers_run_and_units_are_confined(host: Host) -> None:
    timers = host.check_output("systemctl list-timers --all --output=json 'postgresql-*@ICAT.timer'")
    assert {timer["unit"] for timer in json.loads(timers)} == {
        "postgresql-backup@ICAT.timer",
        "postgresql-restore-drill@ICAT.timer",
    }
    exposure = host.check_output(
        "systemd-analyze security --no-pager postgresql-backup@ICAT.service | tail -1"
    )
    assert "OK" in exposure, exposure


def test_unit_makes_a_private_backup_and_shows_it_to_the_metrics(host: Host) -> None:
    host.check_output("systemctl start postgresql-backup@ICAT.service")
    (manifest,) = backup(host, "list", "ICAT")
    assert manifest["tables"] == {"public.things": 10}
    assert manifest["checks"] == {"newest": "10"}
    for suffix in (".dump", ".json"):
        file = host.file(f"{FOLDER}/{manifest['backup']}{suffix}")
        assert (file.user, oct(file.mode)) == ("postgres", "0o600")
    assert oct(host.file(FOLDER).mode) == "0o700"
    host.check_output("systemctl start postgresql-restore-drill@ICAT.service")
    for kind in ("backup", "restore_drill"):
        text = host.file(f"{METRICS}/postgresql_{kind}_ICAT.prom").content_string
        line = f'bic_postgresql_{kind}_last_success_timestamp_seconds{{database="ICAT"}} '
        assert abs(int(text.split(line)[1].split()[0]) - manifest["begun"]) < 60
        assert host.file(f"{METRICS}/postgresql_{kind}_ICAT.prom").mode == 0o644


def test_backup_that_changed_on_disk_fails_the_drill(host: Host) -> None:
    name = backup(host, "take", "ICAT")["backup"]
    assert backup(host, "drill", "ICAT")["rows"] == 10
    host.check_output(f"printf x | dd of={FOLDER}/{name}.dump bs=1 seek=100 conv=notrunc status=none")
    assert "checksum differs" in refused(host, "drill", "ICAT")


def test_backup_without_a_row_fails_the_drill(host: Host) -> None:
    name = backup(host, "take", "ICAT")["backup"]
    host.check_output(f"""sed -i 's/"public.things": 10/"public.things": 11/' {FOLDER}/{name}.json""")
    assert "11 was backed up, 10 was restored" in refused(host, "drill", "ICAT")
    assert "there is no backup 19990101T000000Z" in refused(host, "drill", "ICAT", "19990101T000000Z")


def test_dump_without_a_manifest_is_no_backup_and_old_ones_go(host: Host) -> None:
    names = []
    for _ in range(3):
        names.append(backup(host, "take", "ICAT")["backup"])
        host.check_output("sleep 1.1")
    host.check_output(
        f"touch {FOLDER}/20990101T000000Z.dump {FOLDER}/.20990101T000000Z.dump.partial {FOLDER}/note"
    )
    assert [found["backup"] for found in backup(host, "list", "ICAT")] == names[-2:]
    newest = backup(host, "take", "ICAT")["backup"]
    whole = {f"{name}{suffix}" for name in (names[-1], newest) for suffix in (".dump", ".json")}
    assert set(host.check_output(f"ls -A {FOLDER}").split()) == whole | {".lock", "note"}


def test_drill_cleans_up_what_a_killed_one_left_and_nothing_else(host: Host) -> None:
    backup(host, "take", "ICAT")
    sql(host, 'create database "ICAT_drill"', "postgres")
    backup(host, "drill", "ICAT")
    assert "ICAT_drill" not in databases(host)
    sql(host, 'create database "ICAT_drill"', "postgres")
    sql(host, "create table precious (n int)", "ICAT_drill")
    assert "did not make" in refused(host, "drill", "ICAT")
    assert "ICAT_drill" in databases(host)


def test_restore_puts_the_backup_in_place_and_keeps_what_was_there(host: Host) -> None:
    name = backup(host, "take", "ICAT")["backup"]
    sql(host, "insert into things values (11, extract(epoch from now()) + 1)")
    assert backup(host, "changes", "ICAT", name) == {"things": 1}
    host.check_output("systemd-run --unit=busy --uid=postgres psql -c 'select pg_sleep(60)' ICAT")
    assert "1 connections use ICAT" in refused(host, "restore", "ICAT", name)
    sql(host, "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'ICAT'", "postgres")
    kept = backup(host, "restore", "ICAT", name)["kept"]
    assert sql(host, "select count(*), max(number) from things") == "10|10"
    assert sql(host, "select max(number) from things", kept) == "11"
    owner = "select rolname from pg_roles join pg_database on datdba = pg_roles.oid where datname = 'ICAT'"
    assert sql(host, owner) == "irods"
    assert databases(host) >= {"ICAT", kept}
    assert "ICAT_restoring" not in databases(host)
