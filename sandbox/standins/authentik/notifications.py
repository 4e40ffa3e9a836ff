"""Telling people and machines of events: which rules match, and how transports send."""

import ssl
from typing import Any

import httpx

from . import tasks
from .login import policies
from .login.expressions import ExpressionError, Record, evaluate
from .models.core import GROUP, KEYPAIR, USER
from .models.flows import BINDING, POLICY
from .models.operations import EVENT, NOTIFICATION, RULE, TRANSPORT
from .release import VERSION
from .settings import Settings
from .store import Row, Store, Tx

_SECONDS = 20.0
_MATCHER = "authentik_policies_event_matcher.eventmatcherpolicy"
_FIELDS = {"model": "matched_model"}
SEND = "authentik.events.tasks.notification_transport"


class SendError(Exception):
    """A notification could not be sent; the message says why."""


def dispatch(settings: Settings, store: Store, arguments: dict[str, Any]) -> None:
    """Queue what the rules make of an event."""
    with store.write() as tx:
        event = tx.get(EVENT, arguments["event"])
        if event is None:
            return
        for rule in tx.rows(RULE):
            if _matches(tx, rule, event, settings):
                _queue(tx, rule, event)


def _matches(tx: Tx, rule: Row, event: Row, settings: Settings) -> bool:
    """Whether a rule is for an event: one of its policies says so; a rule without policies is for none."""
    bindings = [row for row in tx.select(BINDING, target=rule["pk"]) if row["enabled"]]
    return any(_passes(tx, binding, event, settings) != binding["negate"] for binding in bindings)


def _passes(tx: Tx, binding: Row, event: Row, settings: Settings) -> bool:
    if not binding["policy"]:
        return False
    policy = tx.require(POLICY, binding["policy"])
    if policy["model"] == _MATCHER:
        return _event_matches(policy, event)
    asker = policies.Asker(
        user=tx.get(USER, event["user"].get("pk") or -1),
        secret_key=settings.secret_key,
        context={"event": event},
    )
    try:
        return policies.policy(tx, policy, asker).passing
    except ExpressionError:
        return bool(binding["failure_result"])


def _event_matches(policy: Row, event: Row) -> bool:
    model = event["context"].get("model") or {}
    tests = {
        "action": event["action"],
        "client_ip": event["client_ip"],
        "app": event["app"],
        "model": f"{model.get('app')}.{model.get('model_name')}",
    }
    if policy.get("query"):
        raise ExpressionError("queries of event matcher policies are not carried out here")
    wanted = {name: policy[_FIELDS.get(name, name)] for name in tests if policy[_FIELDS.get(name, name)]}
    for name, value in wanted.items():
        found = str(tests[name] or "")
        if not (found.startswith(value) if name == "app" else found == value):
            return False
    return True


def _queue(tx: Tx, rule: Row, event: Row) -> None:
    group = tx.get(GROUP, rule["destination_group"]) if rule["destination_group"] else None
    people = tx.links(GROUP, "users", group["pk"]) if group else []
    if rule["destination_event_user"] and event["user"].get("pk"):
        people.append(event["user"]["pk"])
    for transport in tx.many(TRANSPORT, tx.links(RULE, "transports", rule["pk"])).values():
        for user in people[:1] if transport["send_once"] else people:
            arguments = {
                "transport": transport["pk"],
                "user": user,
                "event": event["pk"],
                "severity": rule["severity"],
            }
            tasks.enqueue(tx, SEND, arguments, (RULE, rule["pk"]))


def deliver(settings: Settings, store: Store, arguments: dict[str, Any]) -> None:
    """Send one notification that was queued."""
    with store.read() as tx:
        transport, user = tx.get(TRANSPORT, arguments["transport"]), tx.get(USER, arguments["user"])
        event = tx.get(EVENT, arguments["event"])
    if transport is None or user is None or event is None:
        return
    text = f"{event['action']}: {event['context']}"
    if transport["mode"] == "local":
        with store.write() as tx:
            send(tx, transport, user, arguments["severity"], text, event)
    else:
        with store.read() as tx:
            body, headers, verify = _message(tx, transport, user, arguments["severity"], text, event)
        _post(transport, body, headers, verify)


def send(  # noqa: PLR0917 - callers read well by position
    tx: Tx, transport: Row, user: Row, severity: str, text: str, event: Row | None
) -> list[str]:
    """Send a notification by a transport, and return what the other side said.

    Raises:
        SendError: it could not be sent.
    """
    if transport["mode"] == "local":
        values = {
            "severity": severity,
            "body": text,
            "user": user["pk"],
            "event": event["pk"] if event else None,
        }
        tx.insert(NOTIFICATION, values)
        return []
    body, headers, verify = _message(tx, transport, user, severity, text, event)
    return _post(transport, body, headers, verify)


def _message(  # noqa: PLR0917 - as `send`
    tx: Tx, transport: Row, user: Row, severity: str, text: str, event: Row | None
) -> tuple[object, dict[str, str], ssl.SSLContext | bool]:
    if transport["mode"] not in ("webhook", "webhook_slack"):
        raise SendError("this server has no mail transport")
    values: dict[str, Any] = {
        "body": text,
        "severity": severity,
        "user_email": user["email"],
        "user_username": user["username"],
    }
    if event is not None:
        values |= {
            "event_user_email": event["user"].get("email"),
            "event_user_username": event["user"].get("username"),
        }
    body: object = values
    if transport["mode"] == "webhook_slack":
        body = {"username": "authentik", "text": text}
    headers: dict[str, str] = {}
    for field in ("webhook_mapping_body", "webhook_mapping_headers"):
        mapping = tx.get("authentik_core.propertymapping", transport[field]) if transport[field] else None
        if mapping is not None:
            try:
                value = evaluate(mapping["expression"], _names(text, severity, event))
            except ExpressionError as error:
                raise SendError(f"{mapping['name']}: {error}") from None
            if field == "webhook_mapping_body":
                body = value
            else:
                headers = {str(name): str(item) for name, item in dict(value).items()}
    authority = tx.get(KEYPAIR, transport["webhook_ca"]) if transport["webhook_ca"] else None
    return body, headers, _trust(authority)


def _names(text: str, severity: str, event: Row | None) -> dict[str, Any]:
    shown = {
        name: (event or {}).get(name)
        for name in ("action", "app", "context", "client_ip", "created", "user", "pk")
    }
    return {
        "notification": Record(
            "notification",
            body=text,
            severity=severity,
            event=Record("event", **shown),
        )
    }


def _trust(authority: Row | None) -> ssl.SSLContext | bool:
    if authority is None:
        return True
    return ssl.create_default_context(cadata=authority["certificate_data"])


def _post(transport: Row, body: object, headers: dict[str, str], verify: ssl.SSLContext | bool) -> list[str]:
    try:
        answer = httpx.post(
            transport["webhook_url"],
            json=body,
            headers={"User-Agent": f"authentik@{VERSION}", **headers},
            timeout=_SECONDS,
            verify=verify,
        )
        answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        raise SendError(
            f"{error.response.status_code} Server Error: {error.response.reason_phrase}"
            f" for url: {transport['webhook_url']}"
        ) from None
    except httpx.HTTPError as error:
        raise SendError(f"{transport['webhook_url']}: {error}") from None
    return [str(answer.status_code), answer.text]
