"""Events: what happened, and who is told."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from . import clock, tasks
from .models import by_name
from .models.core import BRAND
from .models.operations import EVENT
from .store import Row, Tx

_KEPT_DAYS = 365
DISPATCH = "authentik.events.tasks.event_trigger_dispatch"
# What is no news: kept for the server's own sake.
_SILENT = {
    EVENT,
    "authentik_tasks.task",
    "authentik_events.notification",
    "authentik_core.authenticatedsession",
    "authentik_rbac.objectpermission",
    "authentik_providers_oauth2.authorizationcode",
    "authentik_providers_oauth2.accesstoken",
    "authentik_providers_oauth2.refreshtoken",
}


def describe_user(user: Row | None) -> dict[str, Any]:
    """Return how an event names a person."""
    if user is None:
        return {"pk": None, "email": "", "username": "AnonymousUser"}
    return {"pk": user["pk"], "email": user["email"], "username": user["username"]}


def describe(row: Row) -> dict[str, Any]:
    """Return how an event names an object."""
    spec = by_name(row["model"])
    pk = row["pk"].replace("-", "") if isinstance(row["pk"], str) else row["pk"]
    return {"pk": pk, "app": spec.app, "name": str(row.get(spec.display, "")), "model_name": spec.short}


def record(  # noqa: PLR0917 - callers read well by position
    tx: Tx,
    action: str,
    app: str,
    user: Row | None,
    context: Mapping[str, Any],
    client_ip: str | None = None,
) -> Row:
    """Record an event and queue what rules make of it."""
    brand = tx.find(BRAND, default=True)
    event = tx.insert(
        EVENT,
        {
            "action": action,
            "app": app,
            "user": describe_user(user),
            "context": dict(context),
            "client_ip": client_ip,
            "expires": clock.later(timedelta(days=_KEPT_DAYS)),
            "brand": {
                "pk": brand["pk"].replace("-", ""),
                "app": "authentik_brands",
                "name": "Default brand" if brand["default"] else brand["domain"],
                "model_name": "brand",
            }
            if brand
            else {},
        },
    )
    tasks.enqueue(tx, DISPATCH, {"event": event["pk"]})
    return event


def model_changed(
    tx: Tx, action: str, row: Row, user: Row | None, client_ip: str | None = None, **more: object
) -> None:
    """Record that an object was made (`model_created`), changed or deleted, unless that is no news."""
    if row["model"] not in _SILENT:
        record(tx, action, "authentik.events.middleware", user, {"model": describe(row), **more}, client_ip)
