"""The stand-in's copy of its catalogue in the zone's database, restores from it, and upgrades."""

import contextlib
import json
import shutil
import sqlite3

import pytest
from irods_configuration import configuration

from sandbox.standins.irods import database, mirror, schema, upgrade
from sandbox.standins.irods.catalogue import Catalogue
from sandbox.standins.irods.errors import IrodsError
from sandbox.standins.irods.release import CATALOGUE_SCHEMA


def comment(path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("select r_comment from r_user_main where user_name = 'rods'").fetchone()[0]


def set_comment(path, text: str) -> None:
    catalogue = Catalogue(path)
    with catalogue.write() as tx:
        tx.execute("update r_user_main set r_comment = ? where user_name = 'rods'", (text,))
    catalogue.close()


def configure(layout) -> None:
    plugins = configuration()["plugin_configuration"] | {
        "database": {
            "technology": "postgres",
            "host": "db.test",
            "port": 5432,
            "name": "ICAT",
            "odbc_driver": "PostgreSQL Unicode",
            "username": "irods",
            "password": "of the database",
        }
    }
    document = configuration(catalog_service_role="provider", plugin_configuration=plugins)
    layout.server_config.write_text(json.dumps(document))


@pytest.fixture
def path(layout):
    catalogue = Catalogue(layout.catalogue)
    catalogue.create("tempZone", "rods", "rods")
    with catalogue.write() as tx:
        tx.execute("insert into r_grid_configuration values ('standin', 'catalogue_id', 'one')")
    catalogue.close()
    return layout.catalogue


@pytest.fixture
def start(path, postgres):
    """Make a mirror as a starting server does; all of them are closed at the end."""
    with contextlib.ExitStack() as stack:

        def make() -> mirror.Mirror:
            made = mirror.Mirror(path, lambda: database.connect({}, autocommit=False))
            stack.callback(made.close)
            return made

        make().copy()
        yield make


def test_copy_holds_every_row_and_follows_changes(path, postgres, start):
    server = start()
    server.copy()
    for name in ("first", "second"):
        set_comment(path, name)
        server.copy()
        with (
            contextlib.closing(sqlite3.connect(path)) as catalogue,
            contextlib.closing(sqlite3.connect(postgres)) as copy,
        ):
            for table in mirror.tables(catalogue):
                rows = f"select * from {table.name}"  # noqa: S608
                if table.name != "r_grid_configuration":
                    assert set(catalogue.execute(rows)) == set(copy.execute(rows)), table.name
        assert comment(postgres) == name


def test_nothing_is_written_while_nothing_changes(postgres, start):
    server = start()
    server.copy()
    before = postgres.read_bytes()
    server.copy()
    assert postgres.read_bytes() == before


def test_restored_database_makes_the_file_anew(path, postgres, start, tmp_path):
    server = start()
    set_comment(path, "backed up")
    server.copy()
    backup = shutil.copy(postgres, tmp_path / "backup")
    set_comment(path, "lost")
    server.copy()
    server.close()
    assert start().settle() is False
    shutil.copy(backup, postgres)
    assert start().settle() is True
    assert comment(path) == "backed up"
    assert comment(path.with_name(f"{path.name}.before-restore")) == "lost"
    assert start().settle() is False


def test_changes_that_were_not_copied_outlive_a_power_cut(path, start):
    set_comment(path, "not copied")
    assert start().settle() is False
    assert comment(path) == "not copied"


@pytest.mark.parametrize("committed", [True, False])
def test_power_cut_in_a_copy_is_not_taken_for_a_restore(path, start, monkeypatch, committed):
    server = start()
    server.copy()
    set_comment(path, "in flight")
    write = mirror.Mirror._write

    def cut(self, *arguments):
        if committed:
            write(self, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(mirror.Mirror, "_write", cut)
    with pytest.raises(KeyboardInterrupt):
        server.copy()
    assert start().settle() is False
    assert comment(path) == "in flight"


def test_database_that_changes_beneath_a_running_server_stops_the_catalogue(path, postgres, start, tmp_path):
    server = start()
    server.copy()
    server.available()
    backup = shutil.copy(postgres, tmp_path / "backup")
    set_comment(path, "later")
    server.copy()
    shutil.copy(backup, postgres)
    set_comment(path, "on top of it")
    with pytest.raises(database.DatabaseError, match="changed the catalog database"):
        server.copy()
    with pytest.raises(IrodsError):
        server.available()


def test_empty_and_foreign_databases_are_refused(path, postgres):
    server = mirror.Mirror(path, lambda: database.connect({}, autocommit=False))
    with pytest.raises(database.DatabaseError, match="holds no catalogue"):
        server.settle()
    with contextlib.closing(sqlite3.connect(postgres)) as connection:
        connection.execute("insert into r_grid_configuration values ('database', 'schema_version', '12')")
        connection.commit()
    with pytest.raises(database.DatabaseError, match="not the stand-in's"):
        server.settle()


@pytest.fixture
def older(path, postgres):
    """The catalogue and its copy as the older packages made them."""
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        schema.make_tables(connection, CATALOGUE_SCHEMA - 1)
        connection.execute("insert into r_user_main (user_name, r_comment) values ('rods', 'old')")
        connection.execute("insert into r_grid_configuration values ('standin', 'catalogue_id', 'one')")
        connection.commit()
    with contextlib.closing(mirror.Mirror(path, lambda: database.connect({}, autocommit=False))) as server:
        server.copy()
    return postgres.read_bytes()


def test_upgrade_changes_the_tables_and_only_a_restore_undoes_it(path, postgres, older, layout, monkeypatch):
    configure(layout)
    layout.version.write_text('{"irods_version": "5.0.1"}')
    for _ in range(2):
        upgrade.upgrade(layout)
        with contextlib.closing(sqlite3.connect(postgres)) as connection:
            assert schema.version(connection) == CATALOGUE_SCHEMA
    monkeypatch.setattr(mirror, "CATALOGUE_SCHEMA", CATALOGUE_SCHEMA - 1)
    server = mirror.Mirror(path, lambda: database.connect({}, autocommit=False))
    with pytest.raises(database.DatabaseError, match="cannot go down"):
        server.settle()
    postgres.write_bytes(older)
    assert server.settle() is True
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert schema.version(connection) == CATALOGUE_SCHEMA - 1
    assert comment(path) == "old"


def test_upgrade_refuses_to_go_down(layout, postgres, path):
    configure(layout)
    layout.version.write_text('{"irods_version": "5.1.0"}')
    with pytest.raises(upgrade.UpgradeError, match="Downgrade detected"):
        upgrade.upgrade(layout)
