"""The catalogue: one SQLite file in WAL mode, a connection per thread, one writer at a time."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import schema
from .errors import Code, IrodsError
from .release import CATALOGUE_SCHEMA

Row = tuple[Any, ...]


def timestamp() -> str:
    """Return the present time as iRODS stores it: eleven digits of seconds since 1970."""
    return f"{int(time.time()):011d}"


class Transaction:
    """What an operation may do with the catalogue between two commits."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.now = timestamp()

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement and return the number of rows it changed."""
        return self._connection.execute(sql, parameters).rowcount

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return all rows of a query."""
        return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """Return the first row of a query, or None."""
        found: Row | None = self._connection.execute(sql, parameters).fetchone()
        return found

    def value(self, sql: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401 - as the column is
        """Return the first column of the first row, or None."""
        found = self.row(sql, parameters)
        return None if found is None else found[0]

    def new_id(self) -> int:
        """Return the next object id. Ids grow and are never used again."""
        return int(self.value("update r_objectid set last = last + 1 returning last"))


class Catalogue:
    """The catalogue of one zone.

    `available` is called before each access and raises `IrodsError` while the zone's database server is not
    reachable, so that the stand-in fails as iRODS does.
    """

    def __init__(self, path: Path, available: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self.available = available
        self._threads = threading.local()
        self._writer = threading.Lock()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=30, cached_statements=256)
            connection.executescript(
                "pragma journal_mode=wal; pragma synchronous=normal; pragma case_sensitive_like=on;"
                "pragma cache_size=-32768;"
            )
            self._threads.connection = connection
        return connection

    def close_thread(self) -> None:
        """Close the calling thread's connection, if it has one."""
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is not None:
            connection.close()
            self._threads.connection = None

    def create(self, zone: str, admin: str, password: str) -> bool:
        """Make a fresh zone unless the catalogue holds one already; return whether it was made.

        Raises `ValueError` when the file holds a catalogue of another zone or schema.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch(mode=0o600)
        with self.write() as tx:
            if tx.value("select 1 from sqlite_master where name = 'r_zone_main'") is None:
                schema.create(self._connection(), zone, admin, password, tx.now)
                return True
            existing = tx.value("select zone_name from r_zone_main where zone_type_name = 'local'")
            version = schema.version(self._connection())
        if existing != zone:
            raise ValueError(f"{self.path} holds the catalogue of zone {existing}, not of {zone}")
        if version != CATALOGUE_SCHEMA:
            raise ValueError(f"{self.path} has schema {version}, this server needs {CATALOGUE_SCHEMA}")
        return False

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Read from the catalogue; each statement sees the last commit."""
        self.available()
        try:
            yield Transaction(self._connection())
        except sqlite3.Error as error:
            raise IrodsError(Code.CAT_SQL_ERR, str(error)) from error

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Change the catalogue: all of the block's statements are committed together, or none."""
        self.available()
        with self._writer:
            connection = self._connection()
            try:
                connection.execute("begin immediate")
                try:
                    yield Transaction(connection)
                except BaseException:
                    connection.execute("rollback")
                    raise
                connection.execute("commit")
            except sqlite3.Error as error:
                raise IrodsError(Code.CAT_SQL_ERR, str(error)) from error
