"""Which exchanges are not replayed, and which answer otherwise now: each with its reason."""

import time
from typing import Any

import httpx
from authentik_under_test import AuthentikServer
from recorded_exchanges import Correspondence

_UNUSED = "nothing of ours asks this, and the stand-in does not have it"
_SHIPPED = "counts or lists what upstream ships beside what we use"
_BROWSER = "needs somebody who has logged in with a browser: the tests of the login do that"
_NUMBERS = "names accounts whose numbers depend on how many a failed attempt has used up"
_EVENTS = "the events of exchanges that are not replayed are missing; test_events has its own"
_RECEIVER = "needs the recording's own webhook receiver; test_events has one"
_BULK = "is about objects of the bulk measurement, whose creation the recording leaves out"
_TRANSLATED = "translations: FACTS says to send no Accept-Language"

NOT_REPLAYED: dict[str, str] = {
    "admin/version/history": _UNUSED,
    "admin/system": "describes the machine, and can be posted to, which nothing of ours does",
    "nonadmin/GET /admin/system/": "can be posted to, which nothing of ours does",
    "admin/apps": _UNUSED,
    "proto/OPTIONS": _UNUSED,
    "proto/api root": "the page of the API browser",
    "proto/Accept-Language de error": _TRANSLATED,
    "proto/Accept-Language fr error": _TRANSLATED,
    "groups/used_by": "names upstream's helper tables of the tree beside the groups",
    "users/recovery_email no body": _UNUSED,
    "tokens/list": _NUMBERS,
    'tokens/list {"managed": ""}': _NUMBERS,
    'tokens/list {"expiring": "false"}': _NUMBERS,
    "flows/export": _UNUSED,
    "flows/import valid": _UNUSED,
    "flows/import invalid yaml": _UNUSED,
    "flows/import unknown model": _UNUSED,
    "flows/import no file": _UNUSED,
    "pm/all types": _UNUSED,
    "pm/test": _UNUSED,
    "providers/all types": _UNUSED,
    "app/patch slug rename": "shows the provider with the slug that it had before",
    "app/patch slug back": "shows the provider with the slug that it had before",
    "oauth2/preview_user": _UNUSED,
    "oidc/access token as API bearer": _BROWSER,
    "login/me with session": _BROWSER,
    "login/POST with session no csrf": _BROWSER,
    "sessions/list": _BROWSER,
    "sessions/filter user": _BROWSER,
    "sessions/get": _BROWSER,
    "sessions/delete": _BROWSER,
    "source/oauth github": "the real server calls out to GitHub; the stand-in knows OpenID Connect only",
    "source/oauth types": _UNUSED,
    "source/all types": _UNUSED,
    "entitlement/create": _UNUSED,
    "entitlement/list": _UNUSED,
    "bp/available": "the recorded server had no worker that could answer",
    "bp/create forbidden model token": "names a class of upstream's code",
    "events/list": _EVENTS,
    "events/list actions": _EVENTS,
    "events/list action": _EVENTS,
    "events/list username": _EVENTS,
    "events/list ordering": _EVENTS,
    "events/list context model": _EVENTS,
    "events/actions": "2026.8 knows more kinds of events",
    "events/volume": _UNUSED,
    "transport/test": _RECEIVER,
    "transport/test failing": _RECEIVER,
    "transport/test refused": _RECEIVER,
    "brand/patch recovery": "names a flow that only upstream ships",
    "users/recovery with wrong designation flow": "needs the flow that only upstream ships",
    "delete/group with members": _BULK,
    "delete/member still there": _BULK,
}
# Exchanges that are replayed, but of whose answers only the status is compared: that status, and why.
DIFFERENT: dict[str, tuple[int, str]] = {
    "bp/import endpoint": (415, "2026.2 had no such endpoint; 2026.8 takes a form with a file there"),
    "pm/scope list": (200, _SHIPPED),
    "binding/user": (201, "shows when somebody has logged in with a browser"),
    "binding/list target": (200, "shows when somebody has logged in with a browser"),
    "admin/models": (200, _SHIPPED),
    "nonadmin/GET /core/brands/current/": (200, _SHIPPED),
    "brand/current": (200, _SHIPPED),
    "rbac/permissions search": (200, _SHIPPED),
    "flows/list": (200, _SHIPPED),
    "flows/bindings": (200, _SHIPPED),
    "pm/scope by managed": (200, "has the expression that upstream ships"),
    "pm/scope by scope_name": (200, "has the expression that upstream ships"),
    "pm/all": (200, _SHIPPED),
    "source/all": (200, _SHIPPED),
    "policy/all": (200, _SHIPPED),
    "bp/list": (200, _SHIPPED),
    "rule/list": (200, _SHIPPED),
}
# Requests that the recording left out because they were like others, by the exchange that they follow.
LEFT_OUT: dict[int, list[tuple[str, Any]]] = {
    113: [
        (
            "/api/v3/core/users/",
            {
                "username": f"seed{number}",
                "name": f"Seed {number}",
                "email": f"seed{number}@example.test",
                "attributes": {"orcid": f"0000-{number}", "n": number},
            },
        )
        for number in (3, 4)
    ]
}
_DEADLINE_SECONDS = 90


def subject_of(exchange: dict[str, Any]) -> str:
    """Return where an exchange's answer begins: providers have numbers of their own."""
    return "provider" if "/providers/" in exchange["request"]["path"] else ""


def wait_for(
    exchange: dict[str, Any], client: httpx.Client, server: AuthentikServer, keys: Correspondence
) -> None:
    """Wait, before a look at what the worker did with a blueprint, until it has done all it had to."""
    looks = exchange["op"].startswith("bp/") and exchange["request"]["method"] == "GET"
    if not looks:
        return
    deadline = time.monotonic() + _DEADLINE_SECONDS
    headers = {"Authorization": f"Bearer {server.token}"}
    query = {"actor_name": "authentik.blueprints.v1.tasks.apply_blueprint", "page_size": 100}
    while time.monotonic() < deadline:
        tasks = client.get("/api/v3/tasks/tasks/", params=query, headers=headers).json()["results"]
        if all(task["state"] in ("done", "rejected") for task in tasks):
            return
        time.sleep(0.1)


def headers_of(exchange: dict[str, Any], server: AuthentikServer, seen: dict[str, Any]) -> dict[str, str]:
    """Return a request's headers: who asks, and what kind of body it has."""
    op, request = exchange["op"], exchange["request"]
    headers = dict(request.get("headers", {}))
    if request.get("body") is not None and "Content-Type" not in headers:
        form = op == "proto/form body"
        headers["Content-Type"] = "application/x-www-form-urlencoded" if form else "application/json"
    schemes = {
        "auth/scheme Token": f"Token {server.token}",
        "auth/scheme lowercase bearer": f"bearer {server.token}",
        "auth/Bearer only": "Bearer",
        "auth/basic": "Basic YWthZG1pbjpwYXNzd29yZA==",
        "auth/basic with token as password": "Basic YWthZG1pbjp0b2tlbg==",
    }
    if exchange["as"] == "admin":
        headers["Authorization"] = f"Bearer {server.token}"
    elif op in schemes:
        headers["Authorization"] = schemes[op]
    elif exchange["as"] == "other":
        headers["Authorization"] = f"Bearer {_other(op, seen)}"
    return headers


def _other(op: str, seen: dict[str, Any]) -> str:
    if op.startswith("auth/wrong"):
        return "wrong-token"
    if op.startswith("tokens/service account token"):
        return str(seen["service_account/create"]["token"])
    if op in ("tokens/use set key", "tokens/use deleted"):
        return "fixed-key-0123456789"
    return str(seen["tokens/view_key ana"]["key"])
