"""Blueprints, events and who is told of them, tasks."""

from .. import clock
from .core import GROUP, KEYPAIR
from .fields import Bool, Choice, Json, ListOf, Many, Ref, Text, Time, url
from .registry import Model, register

BLUEPRINT, EVENT = "authentik_blueprints.blueprintinstance", "authentik_events.event"
RULE, TRANSPORT = "authentik_events.notificationrule", "authentik_events.notificationtransport"
NOTIFICATION, TASK = "authentik_events.notification", "authentik_tasks.task"
MAPPING = "authentik_core.propertymapping"
#: What events are about; `custom_` starts those of others.
ACTIONS = (
    "login",
    "login_failed",
    "logout",
    "user_write",
    "user_offboarded",
    "suspicious_request",
    "password_set",
    "secret_view",
    "secret_rotate",
    "invitation_used",
    "authorize_application",
    "source_linked",
    "impersonation_started",
    "impersonation_ended",
    "flow_execution",
    "policy_execution",
    "policy_exception",
    "property_mapping_exception",
    "system_task_execution",
    "system_task_exception",
    "system_exception",
    "configuration_error",
    "configuration_warning",
    "model_created",
    "model_updated",
    "model_deleted",
    "email_sent",
    "update_available",
    "export_ready",
    "review_initiated",
    "review_overdue",
    "review_attested",
    "review_completed",
    "access_request_created",
    "access_request_approved",
    "access_request_denied",
    "access_request_revoked",
    "custom_",
)

register(
    Model(
        name=BLUEPRINT,
        title="Blueprint Instance",
        plural="Blueprint Instances",
        search=("name", "path"),
        fields={
            "name": Text(unique=True),
            "path": Text(default="", blank=True),
            "context": Json(default={}),
            "last_applied": Time(default=clock.now, read_only=True),
            "last_applied_hash": Text(default="", read_only=True),
            "status": Choice(
                default="unknown",
                choices=("successful", "warning", "error", "orphaned", "unknown"),
                read_only=True,
            ),
            "enabled": Bool(default=True),
            "managed_models": ListOf(default=[], item=Text(), read_only=True),
            "metadata": Json(default={}, read_only=True),
            "content": Text(default="", blank=True),
        },
    ),
    Model(
        name=EVENT,
        title="Event",
        plural="Events",
        display="action",
        search=("action", "app", "user", "context"),
        ordering=("-created",),
        fields={
            "user": Json(default={}),
            "action": Choice(choices=ACTIONS),
            "app": Text(),
            "context": Json(default={}),
            "client_ip": Text(default=None, null=True),
            "created": Time(default=clock.now, read_only=True),
            "expires": Time(default=None, null=True),
            "brand": Json(default={}),
        },
    ),
    Model(
        name=TRANSPORT,
        title="Notification Transport",
        plural="Notification Transports",
        search=("name", "mode"),
        fields={
            "name": Text(unique=True),
            "mode": Choice(default="local", choices=("local", "webhook", "webhook_slack", "email")),
            "webhook_url": Text(default="", blank=True, validators=(url,)),
            "webhook_ca": Ref(default=None, null=True, to=KEYPAIR, on_delete="set_null"),
            "webhook_mapping_body": Ref(default=None, null=True, to=MAPPING, on_delete="set_null"),
            "webhook_mapping_headers": Ref(default=None, null=True, to=MAPPING, on_delete="set_null"),
            "email_subject_prefix": Text(default="authentik Notification: ", blank=True, trim=False),
            "email_template": Text(default="email/event_notification.html"),
            "send_once": Bool(default=False),
        },
    ),
    Model(
        name=RULE,
        title="Notification Rule",
        plural="Notification Rules",
        fields={
            "name": Text(unique=True),
            "transports": Many(default=[], to=TRANSPORT),
            "severity": Choice(default="notice", choices=("notice", "warning", "alert")),
            "destination_group": Ref(default=None, null=True, to=GROUP, on_delete="set_null"),
            "destination_event_user": Bool(default=False),
        },
    ),
    Model(
        name=NOTIFICATION,
        title="Notification",
        plural="Notifications",
        display="body",
        search=("body",),
        ordering=("-created",),
        fields={
            "severity": Choice(choices=("notice", "warning", "alert")),
            "body": Text(),
            "created": Time(default=clock.now, read_only=True),
            "event": Ref(default=None, null=True, to=EVENT, on_delete="set_null"),
            "user": Ref(to="authentik_core.user"),
            "seen": Bool(default=False),
        },
    ),
    Model(
        name=TASK,
        title="Task",
        plural="Tasks",
        display="actor_name",
        search=("actor_name", "state"),
        ordering=("-created",),
        fields={
            "actor_name": Text(),
            "arguments": Json(default={}),
            "rel_obj_model": Text(default=None, null=True),
            "rel_obj_id": Text(default=None, null=True),
            "state": Choice(
                default="queued", choices=("queued", "running", "done", "rejected"), indexed=True
            ),
            "aggregated_status": Text(default="queued"),
            "messages": Json(default=[], mapping=False),
            "created": Time(default=clock.now, read_only=True),
            "mtime": Time(default=clock.now),
        },
    ),
)
