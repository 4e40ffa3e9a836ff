"""The copy of the catalogue in the zone's database, and the way back from it.

The stand-in works on a SQLite file. iRODS works on the database itself, so whoever backs the database up has
the zone, and whoever restores it has the zone as it was then. The same holds here: the running provider
copies what has changed to tables of the same names, and a server that finds another copy than the one it
wrote last takes the database's word and makes its file anew. What was written in the last second before a
loss of power is in the file alone; the next start copies it.
"""

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import schema
from .database import DatabaseError
from .errors import Code, IrodsError
from .release import CATALOGUE_SCHEMA

#: Seconds between two looks at what has changed.
_INTERVAL = 1.0
#: A copy may take this share of the time.
_SHARE = 0.1
#: Rows that one statement inserts; a statement has at most 32,767 parameters.
_BATCH = 200
_OPTIONS = (
    "create table if not exists r_grid_configuration (namespace text, option_name text, option_value text,"
    " primary key (namespace, option_name))"
)
_TYPES = {"integer": "bigint", "text": "text"}

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the catalogue: its name, its columns with their types, the places of its key's columns."""

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[int, ...]

    @property
    def definition(self) -> str:
        """The statement that makes the table in the database."""
        parts = [f"{name} {_TYPES[kind]}" for name, kind in self.columns]
        if self.key:
            parts.append(f"primary key ({', '.join(self.columns[place][0] for place in self.key)})")
        return f"create table {self.name} ({', '.join(parts)})"


def tables(catalogue: sqlite3.Connection) -> list[Table]:
    """Return the tables of a catalogue file."""
    names = catalogue.execute(
        "select name from sqlite_master where type = 'table' and name not like 'sqlite%' order by name"
    )
    found = []
    for (name,) in names.fetchall():
        columns = catalogue.execute(f"pragma table_info({name})").fetchall()
        key = sorted((column[5], place) for place, column in enumerate(columns) if column[5])
        found.append(
            Table(name, tuple((column[1], column[2].lower()) for column in columns), tuple(p for _, p in key))
        )
    return found


def _batches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), _BATCH):
        yield rows[start : start + _BATCH]


def _insert(cursor: Any, name: str, columns: Sequence[str], rows: Iterable[Row]) -> None:  # noqa: ANN401 - either driver's
    for batch in _batches(list(rows)):
        row = f"({', '.join('?' * len(columns))})"
        cursor.execute(
            f"insert into {name} ({', '.join(columns)}) values {', '.join([row] * len(batch))}",  # noqa: S608 - own names
            [value for values in batch for value in values],
        )


def _delete(cursor: Any, table: Table, rows: Iterable[Row]) -> None:  # noqa: ANN401 - pyodbc has no types
    row = " and ".join(f"{table.columns[place][0]} = ?" for place in table.key)
    for batch in _batches(list(rows)):
        cursor.execute(
            f"delete from {table.name} where {' or '.join([f'({row})'] * len(batch))}",  # noqa: S608 - own names
            [values[place] for values in batch for place in table.key],
        )


def _options(connection: Any) -> dict[str, str]:  # noqa: ANN401 - either driver's
    """Return the stand-in's own options in a file or database, with the version of the tables as `schema`."""
    rows = connection.execute(
        "select namespace, option_name, option_value from r_grid_configuration"
    ).fetchall()
    own = {name: value for namespace, name, value in rows if namespace == "standin"}
    versions = [
        value for namespace, name, value in rows if (namespace, name) == ("database", "schema_version")
    ]
    return own | ({"schema": versions[0]} if versions else {})


class Mirror:
    """Keeps the database's copy of one catalogue file.

    `connect` opens a connection to the database that commits only when told; `report` is told why a copy in
    the background failed.
    """

    def __init__(
        self, path: Path, connect: Callable[[], Any], report: Callable[[str], None] = lambda _text: None
    ) -> None:
        self._path = path
        self._connect = connect
        self._report = report
        self._database: Any = None
        self._catalogue: sqlite3.Connection | None = None
        self._copied: dict[Table, set[Row]] = {}
        self._token: str | None = None
        self._seen: int | None = None
        self._foreign = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def available(self) -> None:
        """Raise -806000 when somebody else changed the database while the server ran."""
        if self._foreign:
            raise IrodsError(Code.CAT_SQL_ERR)

    def catalogue_id(self) -> str | None:
        """Return which catalogue the database holds; None for none. Raises `DatabaseError`."""
        return self._ask().get("catalogue_id")

    def _ask(self) -> dict[str, str]:
        connection = self._connect()
        try:
            connection.execute(_OPTIONS)
            found = _options(connection)
            connection.commit()
        except Exception as error:  # drivers raise whatever they like
            raise DatabaseError(f"the catalog database refuses: {error.args[-1]}") from error
        finally:
            connection.close()
        if found and "catalogue_id" not in found:
            raise DatabaseError("the database holds a catalogue that is not the stand-in's")
        return found

    def settle(self) -> bool:
        """Make file and database agree before the server runs; return whether the file was made anew.

        The file counts when the database holds the copy that was last made from it; otherwise the database
        was restored or belongs to another file, and counts. Raises `DatabaseError`.
        """
        there = self._ask()
        if "catalogue_id" not in there:
            raise DatabaseError(
                "the catalog database holds no catalogue: run setup_irods.py, or restore a backup"
            )
        if int(there.get("schema", CATALOGUE_SCHEMA)) > CATALOGUE_SCHEMA:
            raise DatabaseError(
                f"the catalogue has schema {there['schema']}, newer than {CATALOGUE_SCHEMA} of this server: "
                "it cannot go down. Install the newer packages, or restore a backup from before the upgrade"
            )
        here = self._own_options()
        token = there.get("copy")
        ours = here.get("catalogue_id") == there["catalogue_id"] and (
            token is None or token in {here.get("copy"), here.get("copy_before")}
        )
        if not ours:
            self._load(there)
        return not ours

    def _own_options(self) -> dict[str, str]:
        if not self._path.exists():
            return {}
        connection = sqlite3.connect(self._path)
        try:
            return _options(connection)
        except sqlite3.OperationalError:
            return {}
        finally:
            connection.close()

    def _load(self, options: dict[str, str]) -> None:
        """Make the file from the database; the file that was there is kept beside it."""
        building = self._path.with_name(f"{self._path.name}.new")
        building.unlink(missing_ok=True)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        building.touch(mode=0o600)
        catalogue = sqlite3.connect(building)
        database = self._connect()
        try:
            schema.make_tables(catalogue, int(options.get("schema", CATALOGUE_SCHEMA)))
            for table in tables(catalogue):
                # What the version of the tables brought along is in the database too.
                catalogue.execute(f"delete from {table.name}")  # noqa: S608 - own names
                cursor = database.execute(f"select * from {table.name}")  # noqa: S608
                names = [column[0] for column in cursor.description]
                _insert(catalogue, table.name, names, (tuple(row) for row in cursor.fetchall()))
            catalogue.commit()
        except Exception as error:  # drivers raise whatever they like
            raise DatabaseError(f"the catalog database cannot be read: {error}") from error
        finally:
            catalogue.close()
            database.close()
        set_aside(self._path, "before-restore")
        building.rename(self._path)

    def copy(self) -> None:
        """Copy what has changed since the last copy, everything at the first. Raises `DatabaseError`."""
        catalogue = self._open()
        seen = catalogue.execute("pragma data_version").fetchone()[0]
        if seen == self._seen:
            return
        before, token = self._token, uuid.uuid4().hex
        self._remember(copy=token, copy_before=before or _options(catalogue).get("copy", ""))
        catalogue.execute("begin")
        try:
            wanted = {
                table: set(catalogue.execute(f"select * from {table.name}").fetchall())  # noqa: S608 - own names
                for table in tables(catalogue)
            }
        finally:
            catalogue.execute("rollback")
        self._write(wanted, before)
        self._remember(copy_before="")
        self._copied, self._token, self._seen = wanted, token, seen

    def _open(self) -> sqlite3.Connection:
        if self._catalogue is None:
            self._catalogue = sqlite3.connect(
                self._path, isolation_level=None, timeout=30, check_same_thread=False
            )
        return self._catalogue

    def _remember(self, **options: str) -> None:
        catalogue = self._open()
        catalogue.execute("begin immediate")
        for name, value in options.items():
            catalogue.execute(
                "insert or replace into r_grid_configuration values ('standin', ?, ?)", (name, value)
            )
        catalogue.execute("commit")

    def _write(self, wanted: dict[Table, set[Row]], before: str | None) -> None:
        """Bring the database from what was copied to what is wanted, in one transaction."""
        try:
            if self._database is None:
                self._database = self._connect()
            cursor = self._database.cursor()
            self._foreign = before is not None and _options(cursor).get("copy") != before
            if self._foreign:
                text = "somebody changed the catalog database while the server ran: restart the server"
                raise DatabaseError(text)  # noqa: TRY301 - the connection is of no more use here either
            for table, rows in wanted.items():
                copied = self._copied.get(table)
                if copied is None:
                    cursor.execute(f"drop table if exists {table.name}")
                    cursor.execute(table.definition)
                    copied = set()
                elif not table.key and copied != rows:
                    cursor.execute(f"delete from {table.name}")  # noqa: S608 - own names
                    copied = set()
                _delete(cursor, table, copied - rows)
                _insert(cursor, table.name, [name for name, _ in table.columns], rows - copied)
            self._database.commit()
        except Exception as error:  # drivers raise whatever they like
            # It may be the connection itself that is gone; what it began ends with it.
            self._database = None
            raise DatabaseError(str(error)) from error

    def start(self) -> None:
        """Go on copying in a thread of its own."""
        self._thread = threading.Thread(target=self._follow, daemon=True, name="mirror")
        self._thread.start()

    def _follow(self) -> None:
        fault = ""
        pause = _INTERVAL
        while not self._stop.wait(pause):
            begun = time.monotonic()
            try:
                self.copy()
            except (DatabaseError, sqlite3.Error) as error:
                if str(error) != fault:
                    fault = str(error)
                    self._report(f"the catalogue was not copied to the database: {fault}")
            else:
                fault = ""
            pause = max(_INTERVAL, (time.monotonic() - begun) / _SHARE)

    def stop(self) -> None:
        """Copy what is left and end; a database that is away gets it at the next start."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        try:
            self.copy()
        except (DatabaseError, sqlite3.Error) as error:
            self._report(f"the catalogue was not copied to the database: {error}")
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for connection in (self._database, self._catalogue):
            if connection is not None:
                connection.close()
        self._database = self._catalogue = None


def set_aside(path: Path, reason: str) -> None:
    """Rename a catalogue's files, in place of what an earlier call left under that name."""
    for suffix in ("-wal", "-shm", ""):
        source = Path(f"{path}{suffix}")
        if source.exists():
            source.replace(f"{path}.{reason}{suffix}")
