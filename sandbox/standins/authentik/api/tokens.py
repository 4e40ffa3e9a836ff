"""Tokens and sessions."""

import re
from typing import Any

from .. import accounts, clock, events, permissions
from ..http import NO_CONTENT, Answer, Call, Route, denied, invalid, route
from ..models.core import SESSION, TOKEN, USER
from ..models.core import key as new_key
from ..models.fields import Invalid, Text
from ..models.registry import by_name
from ..store import Row, column
from . import users
from .views import Views, plain

_EXPIRING = "goauthentik.io/user/token-expires"
_VIEW_KEY = "authentik_core.view_token_key"


def represent(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return tokens as the API shows them, without their keys."""
    people = call.tx.many(USER, [row["user"] for row in rows])
    shown = dict(zip(people, users.represent(call, list(people.values())), strict=True))
    return [basic | {"user_obj": shown.get(basic["user"])} for basic in plain(call, rows)]


def validate(call: Call, instance: Row | None, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Set what the server decides: whose a token is, when it runs out."""
    intent = cleaned.get("intent", instance["intent"] if instance else "api")
    if intent not in ("api", "app_password"):
        invalid({"intent": [f"Invalid intent {intent}"]})
    if instance is not None and cleaned.get("user", instance["user"]) != instance["user"]:
        invalid({"user": ["User cannot be changed"]})
    if instance is None:
        if not call.rights.superuser:
            cleaned |= {
                "user": call.caller["pk"],
                "expiring": bool(call.caller["attributes"].get(_EXPIRING, True)),
            }
        cleaned["user"] = cleaned.get("user") or call.caller["pk"]
        cleaned["key"] = new_key(_key_length(call))
        if intent == "api":
            cleaned["expires"] = accounts.default_expiry(call.tx)
    elif intent == "api":
        cleaned.pop("expires", None)
    return cleaned


def _key_length(call: Call) -> int:
    settings = call.tx.find("authentik_core.settings") or {}
    return int(settings.get("default_token_length", 60))


def _created(call: Call, row: Row) -> None:
    """Let its owner see the key of a token that they made."""
    if not call.rights.superuser:
        role = permissions.managed_role(call.tx, call.caller["pk"])
        permissions.assign(call.tx, role["pk"], _VIEW_KEY, TOKEN, row["pk"])


def _own(call: Call, given: list[str]) -> tuple[str, list[Any]] | None:
    if call.rights.superuser:
        return None
    return f"{column('user')} = ?", [call.caller["pk"]]


def _of_user(call: Call, given: list[str]) -> tuple[str, list[Any]]:
    found = call.tx.find(USER, username=given[-1])
    return f"{column('user')} = ?", [found["pk"] if found else -1]


VIEWS = Views(
    model=by_name(TOKEN),
    path="core/tokens",
    represent=represent,
    validate=validate,
    after_create=_created,
    scope=_own,
    create_freely=True,
    owner_field="user",
    filters={"user__username": _of_user},
    filter_fields=("identifier", "intent", "description", "expires", "expiring", "managed"),
)
# Its key is a matter of permissions alone, not of whose it is.
_OF_OTHERS = Views(model=by_name(TOKEN), path="core/tokens", represent=represent)


def view_key(call: Call) -> Answer:
    """Answer a token's key, and record that it was looked at."""
    row = _OF_OTHERS.one(call, _VIEW_KEY)
    events.record(
        call.tx, "secret_view", "authentik.core.api.tokens", call.caller, {"secret": events.describe(row)}
    )
    return Answer({"key": row["key"]})


def set_key(call: Call) -> Answer:
    """Give a token a key of the caller's choice."""
    row = _OF_OTHERS.one(call, "authentik_core.set_token_key")
    if "key" not in call.data:
        invalid({"key": ["This field is required."]})
    try:
        value = Text().clean(call.data["key"], call.tx)
    except Invalid as error:
        invalid({"key": error.detail})
    call.tx.update(TOKEN, row["pk"], {"key": value})
    events.model_changed(call.tx, "model_updated", row, call.caller, call.client_ip)
    return NO_CONTENT


def represent_sessions(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return sessions as the API shows them."""
    other = {"family": "Other", "major": None, "minor": None, "patch": None}
    return [
        {
            "uuid": row["pk"],
            "current": call.session is not None and call.session["pk"] == row["pk"],
            "user_agent": {
                "string": row["last_user_agent"],
                "user_agent": other,
                "os": other | {"patch_minor": None},
                "device": {"family": "Other", "brand": None, "model": None},
            },
            "geo_ip": None,
            "asn": None,
            **{name: row[name] for name in ("user", "last_ip", "last_user_agent", "last_used", "expires")},
        }
        for row in rows
    ]


def _visible_sessions(call: Call, given: list[str]) -> tuple[str, list[Any]]:
    open_now, moment = f"{column('expires')} > ? AND {column('user')} IS NOT NULL", clock.now()
    if call.rights.has("authentik_core.view_authenticatedsession"):
        return open_now, [moment]
    return f"{open_now} AND {column('user')} = ?", [moment, call.caller["pk"]]


SESSIONS = Views(
    model=by_name(SESSION),
    path="core/authenticated_sessions",
    represent=represent_sessions,
    methods=("list", "retrieve", "destroy", "used_by"),
    scope=_visible_sessions,
    owner_field="user",
    filters={"user__username": _of_user},
    filter_fields=("last_ip", "last_user_agent"),
)


def end_sessions(call: Call) -> Answer:
    """End all sessions of some people."""
    keys = [part for value in call.query.get("user_pks", []) for part in re.split(",", value) if part]
    if not keys:
        invalid({"user_pks": ["This field is required."]})
    if not all(part.isdigit() for part in keys):
        invalid({"user_pks": ["A valid integer is required."]})
    if not call.rights.has("authentik_core.delete_authenticatedsession"):
        denied()
    before = call.tx.count(SESSION)
    for part in keys:
        accounts.end_sessions(call.tx, int(part))
    return Answer({"deleted": before - call.tx.count(SESSION)})


def routes() -> list[Route]:
    """Return the paths of tokens and sessions."""
    return [
        *VIEWS.routes(
            route("core/tokens/{pk}/view_key/", get=view_key),
            route("core/tokens/{pk}/set_key/", post=set_key),
        ),
        *SESSIONS.routes(route("core/authenticated_sessions/bulk_delete/", delete=end_sessions)),
    ]
