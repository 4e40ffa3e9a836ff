"""What a browser has begun and not finished, and failed logins: small rows that run out.

They are no objects of the API, so they have tables of their own beside those of the store.
"""

import json
from datetime import timedelta
from typing import Any

from .. import clock
from ..store import Store, Tx

_TABLES = (
    "CREATE TABLE IF NOT EXISTS login_drafts"
    " (key TEXT PRIMARY KEY, data TEXT NOT NULL, expires TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS login_drafts_expires ON login_drafts (expires)",
    "CREATE TABLE IF NOT EXISTS login_failures (subject TEXT NOT NULL, happened TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS login_failures_subject ON login_failures (subject, happened)",
)


def prepare(store: Store) -> None:
    """Make the tables that are not there yet."""
    with store.write() as tx:
        for statement in _TABLES:
            tx.connection.execute(statement)


def load(tx: Tx, key: str) -> dict[str, Any] | None:
    """The data of a draft that has not run out."""
    row = tx.connection.execute(
        "SELECT data FROM login_drafts WHERE key = ? AND expires > ?", (key, clock.now())
    ).fetchone()
    return None if row is None else dict(json.loads(row[0]))


def save(tx: Tx, key: str, data: dict[str, Any], lasts: timedelta) -> None:
    """Keep the data of a draft from now for a while; those that ran out go."""
    tx.connection.execute("DELETE FROM login_drafts WHERE expires <= ?", (clock.now(),))
    tx.connection.execute(
        "INSERT INTO login_drafts (key, data, expires) VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET data = excluded.data, expires = excluded.expires",
        (key, json.dumps(data), clock.later(lasts)),
    )


def drop(tx: Tx, key: str) -> None:
    """Forget a draft."""
    tx.connection.execute("DELETE FROM login_drafts WHERE key = ?", (key,))


def add_failure(tx: Tx, subject: str) -> None:
    """Remember a failed login."""
    tx.connection.execute(
        "INSERT INTO login_failures (subject, happened) VALUES (?, ?)", (subject, clock.now())
    )


def failures(tx: Tx, subject: str, within: timedelta) -> int:
    """How many logins failed within the last while; those before go."""
    since = clock.later(-within)
    tx.connection.execute("DELETE FROM login_failures WHERE happened < ?", (since,))
    row = tx.connection.execute(
        "SELECT count(*) FROM login_failures WHERE subject = ?", (subject,)
    ).fetchone()
    return int(row[0])


def clear_failures(tx: Tx, subject: str) -> None:
    """Forget the failed logins of a subject."""
    tx.connection.execute("DELETE FROM login_failures WHERE subject = ?", (subject,))
