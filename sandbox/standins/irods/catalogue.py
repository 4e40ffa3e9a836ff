"""The catalogue: one SQLite file in WAL mode, a connection per thread to read, one for all that is written.

A connection forgets what it has read of the file as soon as another one has written. With one that writes,
what an operation looks up is in memory, however large the catalogue is.
"""

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

_CHECKPOINT_PAGES = 16_000
"""Pages of new content (64 MB) after which they are moved into the file. SQLite's own 1000 come after some
hundred operations, which touch the more different pages the larger the catalogue is, and all are written
again."""


def timestamp() -> str:
    """Return the present time as iRODS stores it: eleven digits of seconds since 1970."""
    return f"{int(time.time()):011d}"


class Transaction:
    """What an operation may do with the catalogue between two commits."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.now = timestamp()

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement and return the number of rows it changed."""
        return self.connection.execute(sql, parameters).rowcount

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return all rows of a query."""
        return self.connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """Return the first row of a query, or None."""
        found: Row | None = self.connection.execute(sql, parameters).fetchone()
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
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        """The connection for changes, for whoever holds the lock."""

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, isolation_level=None, timeout=30, cached_statements=256, check_same_thread=False
        )
        connection.executescript(
            "pragma journal_mode=wal; pragma synchronous=normal; pragma case_sensitive_like=on;"
            f"pragma cache_size=-32768; pragma wal_autocheckpoint={_CHECKPOINT_PAGES};"
        )
        return connection

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._threads.connection = self._connect()
        return connection

    def close_thread(self) -> None:
        """Close the calling thread's connection, if it has one."""
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is not None:
            connection.close()
            self._threads.connection = None

    def close(self) -> None:
        """Close the calling thread's connection and the one for changes; they are made again when needed."""
        self.close_thread()
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def create(self, zone: str, admin: str, password: str) -> bool:
        """Make a fresh zone unless the catalogue holds one already; return whether it was made.

        Raises `ValueError` when the file holds a catalogue of another zone or schema.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch(mode=0o600)
        with self.write() as tx:
            if tx.value("select 1 from sqlite_master where name = 'r_zone_main'") is None:
                schema.create(tx.connection, zone, admin, password, tx.now)
                return True
            existing = tx.value("select zone_name from r_zone_main where zone_type_name = 'local'")
            version = schema.version(tx.connection)
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
            yield Transaction(self._reader())
        except sqlite3.Error as error:
            raise IrodsError(Code.CAT_SQL_ERR, str(error)) from error

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Change the catalogue: all of the block's statements are committed together, or none."""
        self.available()
        with self._lock:
            try:
                if self._writer is None:
                    self._writer = self._connect()
                connection = self._writer
                connection.execute("begin immediate")
                try:
                    yield Transaction(connection)
                    connection.execute("commit")
                except BaseException:
                    # Some errors of a commit have rolled back already.
                    if connection.in_transaction:
                        connection.execute("rollback")
                    raise
            except sqlite3.Error as error:
                raise IrodsError(Code.CAT_SQL_ERR, str(error)) from error
