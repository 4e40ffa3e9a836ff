"""Locks of a PostgreSQL server: advisory locks of one session.

The session must be the server's own, so a pooler between must not share sessions between clients.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Engine, delete, insert, select, text

from controlplane.store.locks import Holder, Wanted, locked
from controlplane.store.tables import LockHolderRow

Errors = Callable[[], AbstractContextManager[None]]
"""Gives a context in which errors of the database become StoreErrors."""

# An advisory lock's number is shown in two halves.
_LIVE = text(
    """
    SELECT l.pid FROM pg_locks l
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (l.classid::bigint << 32 | l.objid::bigint) = :key
    """
)


class ServerLocks:
    """Locks of one platform."""

    def __init__(self, engine: Engine, errors: Errors, platform: str) -> None:
        """Use sessions of the engine."""
        self.engine = engine
        self.errors = errors
        self._platform = platform

    def acquire(self, wanted: Sequence[Wanted], holder: Holder) -> "HeldSession":
        """Hold all of them, or raise LockedError at once."""
        held = HeldSession(self, holder)
        try:
            for lock in wanted:
                held.take(lock)
        except BaseException:
            held.release()
            raise
        return held

    def holders(self, name: str) -> list[Holder]:
        """Who holds a lock now."""
        key = self.key(name)
        with self.errors(), self.engine.connect() as connection:
            live = set(connection.execute(_LIVE, {"key": key}).scalars())
            rows = connection.execute(select(LockHolderRow).where(LockHolderRow.key == key)).all()
        return [Holder(row.who, row.pid, row.since, row.purpose) for row in rows if row.backend in live]

    def key(self, name: str) -> int:
        """The number of a lock: 63 bits of a digest of its name."""
        digest = hashlib.blake2b(f"{self._platform}/{name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1


class HeldSession:
    """Locks that one session holds; they end with it."""

    def __init__(self, locks: ServerLocks, holder: Holder) -> None:
        """Open the session, which no pool takes back: ending it is what gives the locks up."""
        self._locks = locks
        self._holder = holder
        self._keys: list[int] = []
        with locks.errors():
            connection = locks.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()
            self._connection = connection
            self._backend: int = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()

    def take(self, lock: Wanted) -> None:
        """Hold one more lock, or raise LockedError."""
        function = "pg_try_advisory_lock_shared" if lock.shared else "pg_try_advisory_lock"
        key = self._locks.key(lock.name)
        with self._locks.errors():
            got = self._connection.execute(text(f"SELECT {function}(:key)"), {"key": key}).scalar_one()
            if not got:
                raise locked(lock.name, self._locks.holders(lock.name))
            # What sessions that died have left is theirs no more, nor is the number of a server's process.
            live = self._connection.execute(_LIVE, {"key": key}).scalars().all()
            stale = (LockHolderRow.key == key) & (
                LockHolderRow.backend.not_in(live) | (LockHolderRow.backend == self._backend)
            )
            self._connection.execute(delete(LockHolderRow).where(stale))
            self._connection.execute(
                insert(LockHolderRow).values(
                    key=key,
                    backend=self._backend,
                    name=lock.name,
                    who=self._holder.who,
                    pid=self._holder.pid,
                    since=self._holder.since,
                    purpose=self._holder.purpose,
                )
            )
        self._keys.append(key)

    def add(self, name: str) -> None:
        """Hold one more lock, which nobody else asks for."""
        self.take(Wanted(name))

    def check(self) -> None:
        """Raise StoreError when the session, and so the locks, are lost."""
        with self._locks.errors():
            self._connection.execute(text("SELECT 1"))

    def release(self) -> None:
        """Hold none of them any more."""
        try:
            if self._keys and not self._connection.invalidated:
                mine = (LockHolderRow.backend == self._backend) & LockHolderRow.key.in_(self._keys)
                with self._locks.errors():
                    self._connection.execute(delete(LockHolderRow).where(mine))
                    # The server notices the end of a session only a little later.
                    self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
        finally:
            self._keys = []
            self._connection.close()
