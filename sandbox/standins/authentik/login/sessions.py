"""Browser sessions: anonymous ones, which hold what was begun, and those of somebody who has logged in.

The cookie holds a random key. For somebody who has logged in it is the key of a row that the API lists; when
that row is deleted, or the person is made inactive, the session is over with the next request.
"""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .. import accounts, clock
from ..models.core import SESSION, USER
from ..store import Row, Tx
from . import drafts
from .call import Call

COOKIE = "authentik_session"
ANONYMOUS_LASTS = timedelta(days=1)
# Upstream's life of a session that has none of its own, and ends with the browser.
BROWSER_LASTS = timedelta(days=1)


@dataclass
class Session:
    """A browser's session. Changes of `data` are kept by `save`."""

    key: str
    data: dict[str, Any] = field(default_factory=dict)
    user: Row | None = None
    row: Row | None = None
    max_age: int | None = None
    is_new: bool = False

    @property
    def csrf_token(self) -> str:
        """What a form of ours must bring along."""
        return str(self.data.setdefault("csrf", secrets.token_urlsafe(24)))


def load(tx: Tx, call: Call) -> Session:
    """The session of a request's cookie, or a new anonymous one."""
    key = call.cookies.get(COOKIE, "")
    row = accounts.session_of_key(tx, key) if key else None
    if row is not None:
        user = tx.require(USER, row["user"])
        return Session(key, dict(row["data"]), user, row)
    data = drafts.load(tx, key) if key else None
    if data is None:
        return Session(secrets.token_urlsafe(32), is_new=True)
    return Session(key, data)


def save(tx: Tx, session: Session, call: Call) -> None:
    """Keep the data of a session."""
    if session.row is None:
        drafts.save(tx, session.key, session.data, ANONYMOUS_LASTS)
        return
    changes = {"data": session.data, "last_used": clock.now(), "last_ip": call.client_ip}
    tx.update(SESSION, session.row["pk"], changes)


def log_in(tx: Tx, session: Session, call: Call, user: Row, lasts: timedelta, **facts: object) -> None:
    """Make the session somebody's, under a new key; the old key is worth nothing any more.

    `lasts` of zero is a session that ends with the browser. `facts` say how they logged in.
    """
    _forget(tx, session)
    row = accounts.open_session(tx, user["pk"], call.client_ip, call.user_agent, lasts or BROWSER_LASTS)
    session.key, session.row, session.is_new = str(row["session_key"]), row, True
    session.user = tx.require(USER, user["pk"])
    session.max_age = int(lasts.total_seconds()) or None
    session.data.pop("csrf", None)
    session.data["login"] = {"id": secrets.token_urlsafe(12), "time": clock.now(), **facts}


def log_out(tx: Tx, session: Session) -> None:
    """End the session; what follows is a new anonymous one."""
    _forget(tx, session)
    session.key, session.row, session.user, session.is_new = secrets.token_urlsafe(32), None, None, True
    session.data = {"plan": session.data.get("plan")} if session.data.get("plan") else {}


def _forget(tx: Tx, session: Session) -> None:
    if session.row is not None:
        tx.delete(SESSION, session.row["pk"])
    else:
        drafts.drop(tx, session.key)
