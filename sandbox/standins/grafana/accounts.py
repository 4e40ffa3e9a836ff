"""The administrator's account, which the first start makes, and the sessions of who logged in with it."""

import contextlib
import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

_COST = {"n": 2**14, "r": 8, "p": 1}


class Accounts:
    """What the database keeps: who may log in, by a hash of the password."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.sessions: dict[str, str] = {}
        with self._open() as connection:
            connection.execute(
                "create table if not exists user (login text primary key, salt blob, hash blob)"
            )

    def first(self, login: str, password: str) -> None:
        """Make the account unless there is one: as upstream, its password counts at the first start only."""
        with self._open() as connection:
            if not connection.execute("select 1 from user").fetchone():
                self._put(connection, login, password)

    def reset(self, login: str, password: str) -> None:
        """Give the account another password."""
        with self._open() as connection:
            self._put(connection, login, password)

    def knows(self, login: str, password: str) -> bool:
        """Whether this is the account's password."""
        with self._open() as connection:
            row = connection.execute("select salt, hash from user where login = ?", (login,)).fetchone()
        salt, wanted = row or (b"", b"")
        return hmac.compare_digest(_hash(password, salt), wanted) and bool(row)

    def enter(self, login: str) -> str:
        """Begin a session, and return what its cookie says."""
        token = secrets.token_hex(16)
        self.sessions[token] = login
        return token

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection, connection:
            yield connection

    @staticmethod
    def _put(connection: sqlite3.Connection, login: str, password: str) -> None:
        salt = secrets.token_bytes(16)
        connection.execute(
            "insert or replace into user (login, salt, hash) values (?, ?, ?)",
            (login, salt, _hash(password, salt)),
        )


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt or b"-", **_COST)
