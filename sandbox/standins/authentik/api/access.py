"""Roles and what they permit."""

import uuid
from typing import Any

from .. import events, permissions
from ..http import NO_CONTENT, Answer, Call, Route, denied, invalid, refuse, route
from ..models.core import ROLE
from ..models.registry import MODELS, Model, by_name
from ..permissions import OBJECT_PERMISSION
from ..store import Row
from . import groups
from .views import Page, Views, plain


def _of_user(call: Call, given: list[str]) -> tuple[str, list[Any]]:
    keys = call.tx.linked_from(ROLE, "users", [int(given[-1])]).get(int(given[-1]), [])
    return f"pk IN ({','.join('?' * len(keys))})", list(keys)


VIEWS = Views(
    model=by_name(ROLE),
    path="rbac/roles",
    represent=plain,
    filters={
        "managed__isnull": lambda call, given: None,
        "users": _of_user,
    },
    filter_fields=("name",),
)


def _member(call: Call) -> tuple[Row, Row]:
    role = VIEWS.one(call, "authentik_rbac.change_role")
    return role, groups.member(call, role)


def add_user(call: Call) -> Answer:
    """Give a person a role."""
    role, user = _member(call)
    call.tx.link(ROLE, "users", role["pk"], user["pk"])
    events.model_changed(call.tx, "model_updated", role, call.caller, call.client_ip)
    return NO_CONTENT


def remove_user(call: Call) -> Answer:
    """Take a role from a person."""
    role, user = _member(call)
    call.tx.unlink(ROLE, "users", role["pk"], user["pk"])
    events.model_changed(call.tx, "model_updated", role, call.caller, call.client_ip)
    return NO_CONTENT


def _number(name: str) -> int:
    return sorted(permissions.known()).index(name) + 1


def _describe(name: str) -> dict[str, Any]:
    model, title = permissions.known()[name]
    app, _, codename = name.partition(".")
    spec = MODELS.get(model)
    return {
        "id": _number(name),
        "name": title,
        "codename": codename,
        "model": model.partition(".")[2],
        "app_label": app,
        "app_label_verbose": app.replace("authentik_", "authentik ")
        .title()
        .replace("Authentik", "authentik"),
        "model_verbose": spec.title if spec else "RBAC System permission",
    }


def listing(call: Call) -> Answer:
    """Answer all permissions that there are, or those that a role has on all objects."""
    if not call.rights.has("auth.view_permission") and not call.rights.has("authentik_rbac.view_role"):
        denied()
    words = call.value("search").lower().split()
    wanted = {
        name: call.value(name) for name in ("codename", "content_type__model", "content_type__app_label")
    }
    names = sorted(permissions.known())
    if role := call.value("role"):
        names = sorted(_role(call, role)["permissions"])
    shown = [_describe(name) for name in names]
    found = [
        item
        for item in shown
        if all(word in f"{item['codename']} {item['name']} {item['model']}".lower() for word in words)
        and wanted["codename"] in ("", item["codename"])
        and wanted["content_type__model"] in ("", item["model"])
        and wanted["content_type__app_label"] in ("", item["app_label"])
    ]
    page = Page.of(call, len(found))
    return Answer(page.body(found[page.start : page.start + page.size]))


def _object_permission(row: Row) -> dict[str, Any]:
    app, _, codename = row["permission"].partition(".")
    return {
        "id": row["pk"],
        "codename": codename,
        "model": row["object_model"].partition(".")[2],
        "app_label": app,
        "object_pk": row["object_pk"],
        "name": permissions.known()[row["permission"]][1],
    }


def by_roles(call: Call) -> Answer:
    """Answer the roles that have permissions on a model, or on one of its objects."""
    if not call.rights.has("authentik_rbac.view_role"):
        denied()
    model = call.value("model")
    if model not in MODELS:
        invalid({"model": [f"Select a valid choice. {model} is not one of the available choices."]})
    spec, pk = by_name(model), call.value("object_pk")
    names = [name for name, (owner, _) in permissions.known().items() if owner == model]
    shown = []
    for role in call.tx.rows(ROLE, order=("name",)):
        objects = [
            row
            for row in call.tx.select(OBJECT_PERMISSION, role=role["pk"])
            if row["object_model"] == model and pk in ("", row["object_pk"])
        ]
        mine = [name for name in role["permissions"] if name in names]
        if objects or (mine and not pk):
            shown.append(
                {
                    "role_pk": role["pk"],
                    "name": role["name"],
                    "object_permissions": [_object_permission(row) for row in objects],
                    "model_permissions": [_model_permission(name, spec) for name in mine],
                }
            )
    page = Page.of(call, len(shown))
    return Answer(page.body(shown[page.start : page.start + page.size]))


def _model_permission(name: str, spec: Model) -> dict[str, Any]:
    shown = _describe(name)
    return {key: shown[key] for key in ("id", "codename", "app_label", "name")} | {"model": spec.short}


def of_role(call: Call) -> Answer:
    """Answer the permissions on single objects that a role has."""
    role = _role(call, call.value("uuid"))
    if not call.rights.has_on("authentik_rbac.view_role", role["pk"]):
        denied()
    rows = call.tx.select(OBJECT_PERMISSION, role=role["pk"])
    page = Page.of(call, len(rows))
    shown = []
    for row in rows[page.start : page.start + page.size]:
        described = _describe(row["permission"])
        target = call.tx.get(row["object_model"], _key(row["object_model"], row["object_pk"]))
        spec = by_name(row["object_model"])
        shown.append(
            _object_permission(row)
            | {name: described[name] for name in ("app_label_verbose", "model_verbose")}
            | {"object_description": f"{spec.title} {target.get(spec.display, '')}" if target else None}
        )
    return Answer(page.body(shown))


def _key(model: str, text: str) -> int | str:
    return int(text) if by_name(model).integer_key else text


def _role(call: Call, text: str) -> Row:
    try:
        key = str(uuid.UUID(text))
    except ValueError:
        refuse(404, "Not found.")
    role = call.tx.get(ROLE, key)
    if role is None:
        refuse(404, "No Role matches the given query.")
    return role


def _asked(call: Call, permission: str) -> tuple[Row, list[str], str | None, str | None]:
    role = _role(call, call.parameters["pk"])
    if not call.rights.has_on(permission, role["pk"]):
        denied()
    names = call.data.get("permissions")
    if not isinstance(names, list):
        invalid({"permissions": ["This field is required."]})
    model, pk = call.data.get("model"), call.data.get("object_pk")
    if (model is None) != (pk is None):
        invalid({"non_field_errors": ["Model and object_pk must be set together."]})
    if model is not None:
        spec = MODELS.get(str(model))
        if spec is None:
            invalid({"model": [f'"{model}" is not a valid choice.']})
        if not _exists(call, spec, str(pk)):
            invalid({"object_pk": ["Object does not exist."]})
    for name in names:
        # An unknown name is an unhandled error of the server, so it must not be refused politely.
        owner, _ = permissions.known()[name]
        if model is not None and owner != model:
            invalid({"permissions": [f"{name} is no permission of {model}."]})
    return role, [str(name) for name in names], model, pk


def _exists(call: Call, spec: Model, pk: str) -> bool:
    try:
        return call.tx.exists(spec.name, _key(spec.name, pk))
    except ValueError:
        return False


def assign(call: Call) -> Answer:
    """Give a role permissions, on one object or on everything."""
    role, names, model, pk = _asked(call, "authentik_rbac.assign_role_permissions")
    shown = []
    for name in names:
        row = permissions.assign(call.tx, role["pk"], name, model, pk)
        shown.append({"id": str(row["pk"]) if row else str(_number(name))})
    events.model_changed(call.tx, "model_updated", role, call.caller, call.client_ip)
    return Answer(shown)


def unassign(call: Call) -> Answer:
    """Take permissions from a role."""
    role, names, _, pk = _asked(call, "authentik_rbac.unassign_role_permissions")
    for name in names:
        permissions.unassign(call.tx, role["pk"], name, pk)
    events.model_changed(call.tx, "model_updated", role, call.caller, call.client_ip)
    return NO_CONTENT


def routes() -> list[Route]:
    """Return the paths of roles and permissions."""
    return [
        route("rbac/permissions/", get=listing),
        route("rbac/permissions/roles/", get=of_role),
        route("rbac/permissions/assigned_by_roles/", get=by_roles),
        route("rbac/permissions/assigned_by_roles/{pk}/assign/", post=assign),
        route("rbac/permissions/assigned_by_roles/{pk}/unassign/", patch=unassign),
        *VIEWS.routes(
            route("rbac/roles/{pk}/add_user/", post=add_user),
            route("rbac/roles/{pk}/remove_user/", post=remove_user),
        ),
    ]
