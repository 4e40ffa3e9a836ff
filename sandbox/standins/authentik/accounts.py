"""People: their groups, passwords, tokens and sessions, as the store has them."""

import hashlib
from datetime import timedelta

from . import clock, passwords
from .models.core import GROUP, ROLE, SESSION, TOKEN, USER
from .models.core import key as new_key
from .store import Key, Row, Tx


def uid(tx_secret: str, user: Row) -> str:
    """Return what the API calls `uid`: stable, and not to be guessed without the server's secret key."""
    return hashlib.sha256(f"{user['pk']}-{tx_secret}".encode()).hexdigest()


def groups_of(tx: Tx, user: Key) -> list[str]:
    """Return the keys of the groups that a person is directly in."""
    return [str(pk) for pk in tx.linked_from(GROUP, "users", [user]).get(user, [])]


def all_groups(tx: Tx, user: Key) -> list[Row]:
    """Return the groups that a person is in, directly or by a group's parents."""
    return list(with_ancestors(tx, groups_of(tx, user)).values())


def with_ancestors(tx: Tx, groups: list[str]) -> dict[str, Row]:
    """Return groups with all their ancestors, by key; cycles are no harm."""
    found: dict[str, Row] = {}
    pending = list(groups)
    while pending:
        rows = tx.many(GROUP, [pk for pk in pending if pk not in found])
        found |= rows
        parents = tx.links_of(GROUP, "parents", rows)
        pending = [pk for keys in parents.values() for pk in keys if pk not in found]
    return found


def roles_of(tx: Tx, user: Key) -> list[str]:
    """Return the keys of the roles that a person has, by themselves or by groups and their ancestors."""
    own = tx.linked_from(ROLE, "users", [user]).get(user, [])
    groups = with_ancestors(tx, groups_of(tx, user))
    inherited = tx.links_of(GROUP, "roles", groups)
    return list(dict.fromkeys([*own, *(pk for keys in inherited.values() for pk in keys)]))


def is_superuser(tx: Tx, user: Key) -> bool:
    """Whether a person is in a group of superusers, directly or by ancestors."""
    return any(group["is_superuser"] for group in all_groups(tx, user))


def set_password(tx: Tx, user: Key, password: str) -> None:
    """Give a person a new password."""
    tx.update(USER, user, {"password": passwords.make(password), "password_change_date": clock.now()})


def check_password(tx: Tx, user: Row, password: str) -> bool:
    """Whether this is the person's password."""
    return passwords.check(password, user["password"])


def is_current(row: Row) -> bool:
    """Whether a token or session has not run out."""
    return not row.get("expiring", True) or row["expires"] is None or row["expires"] > clock.now()


def token_of_key(tx: Tx, token_key: str, intent: str) -> Row | None:
    """Return the token with a key and an intent that has not run out, of an active person."""
    for token in tx.select(TOKEN, key=token_key, intent=intent):
        user = tx.get(USER, token["user"])
        if is_current(token) and user is not None and user["is_active"]:
            return token
    return None


def check_app_password(tx: Tx, user: Row, password: str) -> bool:
    """Whether this is a current app password of the person."""
    return any(
        is_current(token) and token["key"] == password
        for token in tx.select(TOKEN, user=user["pk"], intent="app_password")
    )


def open_session(tx: Tx, user: Key, ip: str, agent: str, lasts: timedelta) -> Row:
    """Open a browser's session; its `session_key` is the cookie's value."""
    tx.update(USER, user, {"last_login": clock.now()})
    return tx.insert(
        SESSION,
        {
            "session_key": new_key(43),
            "user": user,
            "last_ip": ip,
            "last_user_agent": agent,
            "expires": clock.later(lasts),
        },
    )


def session_of_key(tx: Tx, session_key: str) -> Row | None:
    """Return the session with a key that has not run out, of an active person."""
    session = tx.find(SESSION, session_key=session_key)
    if session is None or not is_current(session):
        return None
    user = tx.get(USER, session["user"])
    return session if user is not None and user["is_active"] else None


def end_sessions(tx: Tx, user: Key) -> None:
    """End all sessions of a person."""
    for session in tx.select(SESSION, user=user):
        tx.delete(SESSION, session["pk"])


def oauth_token(tx: Tx, token_key: str) -> Row | None:
    """Return the OAuth access token that opens the API, if it has that scope and has not run out."""
    token = tx.find("authentik_providers_oauth2.accesstoken", token=token_key)
    if (
        token is None
        or token["revoked"]
        or not is_current(token)
        or "goauthentik.io/api" not in token["scope"]
    ):
        return None
    user = tx.get(USER, token["user"])
    return token if user is not None and user["is_active"] else None


def default_expiry(tx: Tx, **duration: float) -> str:
    """Return when a token made now runs out, after a given time or by the server's setting."""
    if duration:
        return clock.later(timedelta(**duration))
    settings = tx.find("authentik_core.settings") or {"default_token_duration": "minutes=30"}
    return clock.later(clock.duration(settings["default_token_duration"]))
