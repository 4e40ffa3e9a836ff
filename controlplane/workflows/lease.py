"""Who is alive: a worker holds the lease of its name, and nobody takes over the work of one that holds it.

In PostgreSQL a lease is an advisory lock of a session that the worker keeps busy. The server ends the
session, and with it the lease, as soon as the process is gone, and after `TIMEOUT` seconds of silence when
the machine, the network or the process hangs. So no clocks are compared and nothing has to be cleaned up.
Beside the embedded database, whose workers are on one machine, it is a lock on a file, which the kernel gives
up with the process.

A lease that was lost is not taken again: others may have begun the worker's work meanwhile.
"""

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from controlplane.workflows.database import Database
from controlplane.workflows.port import WorkerNameTakenError

BEAT = 5.0
"""Seconds between two signs of life."""

TIMEOUT = 30.0
"""Seconds of silence after which PostgreSQL (14 and newer) ends a lease: its `idle_session_timeout`."""

Lost = Callable[[str], None]
"""Told, in another thread, why the lease is lost. The process should end at once."""


class Lease(Protocol):
    """The exclusive use of one worker's name."""

    def acquire(self) -> None:
        """Take it and keep it. Raises WorkerNameTakenError when another process has it."""

    def release(self) -> None:
        """Give it back, if it is held."""


class FileLease:
    """The lease of the one process that may run work beside an embedded database."""

    def __init__(self, database_file: Path) -> None:
        """Know the file that is locked, which lies beside the database's."""
        self._path = database_file.with_suffix(".lock")
        self._descriptor = -1

    def acquire(self) -> None:
        """Lock the file, and leave in it who did."""
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise WorkerNameTakenError(
                f"process {holder} works on this platform's queue already; with PostgreSQL as the store, "
                "any number of processes can"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back. The file stays: removing it could remove the lock of the next process."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class PostgresLease:
    """A lease that PostgreSQL keeps."""

    def __init__(self, database: Database, name: str, lost: Lost) -> None:
        """Know whose lease it is; `acquire` takes it."""
        self._application = database.application
        self._name = name
        self._lost = lost
        self._engine = database.engine(f"{_prefix(database)}{name}")
        self._released = threading.Event()
        self._heart: threading.Thread | None = None

    def acquire(self) -> None:
        """Take the lock and begin to give signs of life."""
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text(f"SET idle_session_timeout = '{TIMEOUT:.0f}s'"))
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key(self._name)}):
            connection.close()
            self._engine.dispose()
            raise WorkerNameTakenError(
                f"a worker named {self._name} runs already, or was cut off less than {TIMEOUT:.0f} s ago; "
                "wait, or give this one another name with --name"
            )
        self._heart = threading.Thread(target=self._beat, args=(connection,), name="lease", daemon=True)
        self._heart.start()

    def release(self) -> None:
        """End the session, and so the lock."""
        self._released.set()
        if self._heart is not None:
            self._heart.join()
        self._engine.dispose()

    @contextmanager
    def unheld(self, name: str) -> Iterator[bool]:
        """Try to take that lease for as long as the context lasts."""
        with self._engine.begin() as connection:
            yield bool(
                connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": self._key(name)})
            )

    def _beat(self, connection: Connection) -> None:
        try:
            while not self._released.wait(BEAT):
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())
            self._lost(f"the session with PostgreSQL is gone: {reason}")
        finally:
            # Ended, not given back to the pool, where it would keep the lock.
            connection.invalidate()
            connection.close()

    def _key(self, name: str) -> int:
        digest = hashlib.sha256(f"{self._application}/{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)


def living(database: Database, engine: Engine) -> list[str]:
    """The names of the workers that hold a lease in a PostgreSQL database."""
    prefix = _prefix(database)
    query = text(
        "SELECT DISTINCT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
        " AND starts_with(application_name, :prefix) ORDER BY 1"
    )
    with engine.connect() as connection:
        return [str(row[0])[len(prefix) :] for row in connection.execute(query, {"prefix": prefix})]


def _prefix(database: Database) -> str:
    return f"{database.application} worker "
