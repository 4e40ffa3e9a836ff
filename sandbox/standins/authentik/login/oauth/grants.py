"""Codes and tokens as the store keeps them."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ... import accounts, clock
from ...models.core import USER
from ...models.core import key as random_key
from ...store import Row, Tx
from ..keys import half_hash
from ..sessions import Session
from .claims import Subject, signing_key
from .parameters import OFFLINE_ACCESS, Parameters

CODE = "authentik_providers_oauth2.authorizationcode"
ACCESS, REFRESH = "authentik_providers_oauth2.accesstoken", "authentik_providers_oauth2.refreshtoken"


def login_of(session: Session) -> dict[str, Any]:
    """How and when the session's person logged in, for tokens."""
    sid = hashlib.sha256(session.key.encode()).hexdigest()
    return {**session.data.get("login", {"time": clock.now()}), "sid": sid}


def make_code(tx: Tx, provider: Row, user: Row, session: Session, asked: Parameters) -> str:
    """A new code, bound to client, address and challenge."""
    row = tx.insert(
        CODE,
        {
            "token": secrets.token_hex(16),
            "provider": provider["pk"],
            "user": user["pk"],
            "session": session.row["pk"] if session.row else None,
            "scope": list(asked.scope),
            "auth_time": str(login_of(session)["time"]),
            "expires": clock.later(clock.duration(str(provider["access_code_validity"]))),
            "data": {
                "redirect_uri": asked.redirect_uri,
                "nonce": asked.nonce,
                "challenge": asked.code_challenge,
                "method": asked.code_challenge_method,
                "login": login_of(session),
            },
        },
    )
    return str(row["token"])


def issue(
    subject: Subject, login: Mapping[str, Any], nonce: str | None, session: str | None
) -> dict[str, Any]:
    """New tokens: access and ID token, and with the scope `offline_access` a refresh token.

    A refresh token outlives the session in which it was given; the other two end with it.
    """
    tx, provider, user = subject.tx, subject.provider, subject.user
    key = signing_key(tx, provider)
    lasts = clock.duration(str(provider["access_token_validity"]))
    claims = subject.id_token(expires=clock.parse(clock.later(lasts)), login=login, nonce=nonce)
    scope = " ".join(subject.scope)
    access = key.sign({**claims, "azp": provider["client_id"], "uid": random_key(40), "scope": scope})
    kept = {"provider": provider["pk"], "user": user["pk"], "scope": list(subject.scope)}
    kept |= {"auth_time": login["time"], "data": {"nonce": nonce, "login": dict(login)}}
    tx.insert(ACCESS, {**kept, "token": access, "session": session, "expires": clock.later(lasts)})
    answer: dict[str, Any] = {
        "access_token": access,
        "token_type": "Bearer",
        "scope": scope,
        "expires_in": int(lasts.total_seconds()),
        "id_token": key.sign({**claims, "at_hash": half_hash(access)}),
    }
    if OFFLINE_ACCESS in subject.scope:
        expires = clock.later(clock.duration(str(provider["refresh_token_validity"])))
        token = random_key(128)
        tx.insert(REFRESH, {**kept, "token": token, "expires": expires})
        answer["refresh_token"] = token
    return answer


def is_valid(tx: Tx, row: Row | None) -> bool:
    """Whether a token is there, not revoked, not over, and its person active."""
    if row is None or row["revoked"] or not accounts.is_current(row):
        return False
    user = tx.get(USER, row["user"])
    return user is not None and bool(user["is_active"])


def revoke_all(tx: Tx, user: int, provider: int) -> None:
    """Revoke what somebody gave to a client: a refresh token that was used twice is in wrong hands."""
    for model in (ACCESS, REFRESH):
        for row in tx.select(model, user=user, provider=provider):
            tx.update(model, row["pk"], {"revoked": True})


def needs_rotation(provider: Row, row: Row) -> bool:
    """Whether a refresh gives a new refresh token: always, or with a threshold near the old one's end."""
    threshold: timedelta = clock.duration(str(provider["refresh_token_threshold"]))
    return not threshold or row["expires"] is None or row["expires"] < clock.later(threshold)
