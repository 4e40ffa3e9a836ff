"""Blueprints, events and who is told of them, tasks."""

import email.parser
import email.policy
import json
from typing import Any

from .. import clock, notifications, tasks
from ..blueprints import files, importer
from ..http import Answer, ApiError, Call, Route, denied, invalid, refuse, route
from ..models.operations import ACTIONS, BLUEPRINT, EVENT, NOTIFICATION, RULE, TASK, TRANSPORT
from ..models.registry import by_name
from ..release import VERSION
from ..store import Row, column
from . import groups
from .bindings import any_of
from .views import Filter, Views, plain

_MODES = {
    "local": "authentik inbuilt notifications",
    "webhook": "Generic Webhook",
    "webhook_slack": "Slack Webhook (Slack/Discord)",
    "email": "Email",
}


def validate_blueprint(call: Call, instance: Row | None, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Check that a blueprint has content that could be applied now, or a file."""
    path, content = cleaned.get("path", ""), cleaned.get("content", "")
    if path and not path.startswith("oci://") and path not in files.available(call.settings.blueprints):
        invalid({"path": ["Blueprint file does not exist"]})
    if content:
        # As upstream does: the context of the instance is not there at this check, only when it is applied.
        problems = importer.problems(call.tx, content, {})
        if problems:
            invalid({"content": ["Failed to validate blueprint", *(f"- {text}" for text in problems)]})
    if not cleaned.get("path") and not cleaned.get("content"):
        invalid({"non_field_errors": ["Either path or content must be set."]})
    return cleaned


BLUEPRINTS = Views(
    model=by_name(BLUEPRINT),
    path="managed/blueprints",
    represent=plain,
    validate=validate_blueprint,
    filter_fields=("name", "path"),
)


def apply(call: Call) -> Answer:
    """Queue a blueprint to be applied."""
    row = BLUEPRINTS.one(call)
    if not call.rights.has("authentik_blueprints.change_blueprintinstance"):
        denied()
    tasks.enqueue(call.tx, importer.ACTOR, {"instance": row["pk"]}, (BLUEPRINT, row["pk"]))
    return Answer(plain(call, [row])[0])


def available(call: Call) -> Answer:
    """Answer the files that there are."""
    if not call.rights.has("authentik_blueprints.view_blueprintinstance"):
        denied()
    return Answer([found.shown() for found in files.available(call.settings.blueprints).values()])


def import_once(call: Call) -> Answer:
    """Apply a blueprint now, from an uploaded file or one of the folder, without keeping it."""
    if not call.rights.has("authentik_blueprints.add_blueprintinstance"):
        denied()
    form = multipart(call)
    path = form.get("path", "")
    if "file" in form:
        content = form["file"]
    elif path in files.available(call.settings.blueprints):
        content = (call.settings.blueprints / path).read_text()
    else:
        invalid({"non_field_errors": ["Either file or path must be set."]})
    try:
        context = json.loads(form.get("context") or "{}")
    except ValueError:
        invalid({"context": ["Value must be valid JSON."]})
    problems = importer.problems(call.tx, content, context)
    if not problems:
        problems = importer.apply(call.tx, content, context)
    logs = [
        {
            "timestamp": clock.now(),
            "log_level": "warning",
            "logger": "authentik.blueprints.v1.importer",
            "event": text,
            "attributes": {},
        }
        for text in problems
    ]
    return Answer({"logs": logs, "success": not problems})


def multipart(call: Call) -> dict[str, str]:
    """Return the fields of a form with files.

    Raises:
        ApiError: the body is none.
    """
    media_type = call.headers.get("content-type", "")
    if not media_type.startswith("multipart/form-data"):
        refuse(415, f'Unsupported media type "{media_type}" in request.')
    header = f"Content-Type: {media_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(header + call.raw)
    found = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            try:
                found[name] = payload.decode()
            except UnicodeDecodeError:
                raise ApiError(400, {name: ["Not a valid text."]}) from None
    return found


def _action(call: Call, given: list[str]) -> tuple[str, list[Any]]:
    return any_of("action", given)


def _context(path: str) -> Filter:
    return lambda call, given: (f"json_extract(data, '$.{path}') = ?", [given[-1]])


EVENTS = Views(
    model=by_name(EVENT),
    path="events/events",
    represent=plain,
    filter_fields=("client_ip",),
    filters={
        "action": _action,
        "actions": _action,
        "username": _context("user.username"),
        "context_model_name": _context("context.model.model_name"),
        "context_model_app": _context("context.model.app"),
        "context_model_pk": lambda call, given: (
            "CAST(json_extract(data, '$.context.model.pk') AS TEXT) = ?",
            [given[-1].replace("-", "")],
        ),
        "context_authorized_app": _context("context.authorized_application.pk"),
    },
)


def event_actions(call: Call) -> Answer:
    """Answer what events can be about."""
    return Answer(
        [
            {
                "name": action.replace("_", " ").title().strip(),
                "description": "",
                "component": action,
                "model_name": "",
                "requires_enterprise": False,
                "deprecated": False,
            }
            for action in ACTIONS
        ]
    )


def represent_transports(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return transports as the API shows them."""
    return [item | {"mode_verbose": _MODES[item["mode"]]} for item in plain(call, rows)]


def validate_transport(call: Call, instance: Row | None, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Check that a webhook has an address."""
    together = {**(instance or {}), **cleaned}
    if str(together.get("mode", "")).startswith("webhook") and not together.get("webhook_url"):
        invalid({"webhook_url": ["Webhook URL may not be empty."]})
    return cleaned


TRANSPORTS = Views(
    model=by_name(TRANSPORT),
    path="events/transports",
    represent=represent_transports,
    validate=validate_transport,
    filter_fields=("name", "mode", "webhook_url", "send_once"),
)


def test_transport(call: Call) -> Answer:
    """Send a notification to the caller by a transport, now."""
    row = TRANSPORTS.one(call, "authentik_events.change_notificationtransport")
    text = f"Test Notification from transport {row['name']}"
    try:
        return Answer({"messages": notifications.send(call.tx, row, call.caller, "notice", text, None)})
    except notifications.SendError as error:
        raise ApiError(500, str(error)) from None


def represent_rules(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return rules as the API shows them."""
    shown = []
    for item in plain(call, rows):
        group = (
            call.tx.get("authentik_core.group", item["destination_group"])
            if item["destination_group"]
            else None
        )
        shown.append(item | {"destination_group_obj": groups.represent(call, [group])[0] if group else None})
    return shown


RULES = Views(
    model=by_name(RULE),
    path="events/rules",
    represent=represent_rules,
    filter_fields=("name", "severity", "destination_group"),
)


def _mine(call: Call, given: list[str]) -> tuple[str, list[Any]]:
    return f"{column('user')} = ?", [call.caller["pk"]]


def represent_notifications(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return somebody's notifications."""
    shown = []
    for item in plain(call, rows):
        event = call.tx.get(EVENT, item["event"]) if item["event"] else None
        del item["user"]
        shown.append(item | {"event": plain(call, [event])[0] if event else None})
    return shown


NOTIFICATIONS = Views(
    model=by_name(NOTIFICATION),
    path="events/notifications",
    represent=represent_notifications,
    methods=("list", "retrieve", "update", "destroy"),
    scope=_mine,
    owner_field="user",
    filter_fields=("severity", "body", "seen"),
)


def represent_tasks(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return tasks as the API shows them."""
    states = {"queued": "queued", "running": "consumed", "done": "done", "rejected": "rejected"}
    shown = []
    for row in rows:
        app, _, model = (row["rel_obj_model"] or "").partition(".")
        shown.append(
            {
                "message_id": row["pk"],
                "queue_name": "default",
                "actor_name": row["actor_name"],
                "state": states[row["state"]],
                "mtime": row["mtime"],
                "retries": 0,
                "eta": None,
                "rel_obj_app_label": app,
                "rel_obj_model": model,
                "rel_obj_id": row["rel_obj_id"],
                "uid": row["actor_name"],
                "logs": [
                    {
                        "timestamp": row["mtime"],
                        "log_level": message["log_level"],
                        "logger": "authentik.tasks.middleware.TaskLogMiddleware",
                        "event": message["event"],
                        "attributes": {},
                    }
                    for message in row["messages"]
                ],
                "previous_logs": [],
                "aggregated_status": row["aggregated_status"],
                "description": None,
            }
        )
    return shown


TASKS = Views(
    model=by_name(TASK),
    path="tasks/tasks",
    represent=represent_tasks,
    methods=("list", "retrieve"),
    filter_fields=("actor_name", "rel_obj_id", "state", "aggregated_status"),
)


def workers(call: Call) -> Answer:
    """Answer which workers live."""
    if not call.rights.has("authentik_tasks.view_worker") and not call.rights.has(
        "authentik_tasks.view_task"
    ):
        denied()
    return Answer(
        [
            {"worker_id": name, "version": VERSION, "version_matching": True}
            for name in tasks.living_workers(call.tx)
        ]
    )


def routes() -> list[Route]:
    """Return the paths of blueprints, events and tasks."""
    return [
        *BLUEPRINTS.routes(
            route("managed/blueprints/available/", get=available),
            route("managed/blueprints/import/", post=import_once),
            route("managed/blueprints/{pk}/apply/", post=apply),
        ),
        *EVENTS.routes(route("events/events/actions/", get=event_actions)),
        *TRANSPORTS.routes(route("events/transports/{pk}/test/", post=test_transport)),
        *RULES.routes(),
        *NOTIFICATIONS.routes(),
        *TASKS.routes(),
        route("tasks/workers", get=workers),
    ]
