"""Groups and who is in them."""

from typing import Any

from .. import accounts, events
from ..http import NO_CONTENT, Answer, Call, Route, invalid, refuse, route
from ..models.core import GROUP, ROLE, USER
from ..models.fields import Int, Invalid
from ..models.registry import by_name
from ..store import Row
from . import filters, users
from .views import Views

MODEL = by_name(GROUP)


def related(group: Row) -> dict[str, Any]:
    """Return a group as its parents and children show it."""
    names = ("pk", "name", "is_superuser", "attributes")
    return {name: group[name] for name in names} | {"group_uuid": group["pk"]}


def represent(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return groups as the API shows them."""
    tx, pks = call.tx, [row["pk"] for row in rows]
    members, parents = tx.links_of(GROUP, "users", pks), tx.links_of(GROUP, "parents", pks)
    children, roles = tx.linked_from(GROUP, "parents", pks), tx.links_of(GROUP, "roles", pks)
    with_users = call.flag("include_users", True)
    user_rows = tx.many(USER, _all(members)) if with_users else {}
    role_rows = tx.many(ROLE, _all(roles))
    with_parents, with_children = call.flag("include_parents", False), call.flag("include_children", False)
    group_rows = tx.many(
        GROUP, (_all(parents) if with_parents else []) + (_all(children) if with_children else [])
    )
    with_inherited = call.flag("include_inherited_roles", False)
    shown = []
    for row in rows:
        pk = row["pk"]
        shown.append(
            {
                "pk": pk,
                "num_pk": users.number(pk),
                "name": row["name"],
                "is_superuser": row["is_superuser"],
                "parents": parents.get(pk, []),
                "parents_obj": [related(group_rows[key]) for key in parents.get(pk, [])]
                if with_parents
                else None,
                "users": members.get(pk, []),
                "users_obj": [users.partial(call, user_rows[key]) for key in members.get(pk, [])]
                if with_users
                else None,
                "attributes": row["attributes"],
                "roles": roles.get(pk, []),
                "roles_obj": [{"pk": key, "name": role_rows[key]["name"]} for key in roles.get(pk, [])],
                "inherited_roles_obj": _inherited(call, pk) if with_inherited else None,
                "children": children.get(pk, []),
                "children_obj": [related(group_rows[key]) for key in children.get(pk, [])]
                if with_children
                else None,
            }
        )
    return shown


def _all(links: dict[Any, list[Any]]) -> list[Any]:
    return [key for keys in links.values() for key in keys]


def _inherited(call: Call, pk: str) -> list[dict[str, Any]]:
    ancestors = [key for key in accounts.with_ancestors(call.tx, [pk]) if key != pk]
    roles = call.tx.many(ROLE, _all(call.tx.links_of(GROUP, "roles", ancestors)))
    return [{"pk": key, "name": role["name"]} for key, role in roles.items()]


def validate(call: Call, instance: Row | None, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Check that the caller may make or unmake superusers."""
    wanted = cleaned.get("is_superuser")
    was = instance["is_superuser"] if instance else False
    if wanted is not None and wanted != was:
        permission = f"authentik_core.{'enable' if wanted else 'disable'}_group_superuser"
        if not call.rights.has_on(permission, instance["pk"] if instance else ""):
            invalid({"is_superuser": [f"User does not have permission to set superuser status to {wanted}."]})
    return cleaned


VIEWS = Views(
    model=MODEL,
    path="core/groups",
    represent=represent,
    validate=validate,
    filters={
        "attributes": filters.attributes,
        "members_by_pk": filters.linking(GROUP, "users", USER, "members_by_pk", "pk"),
        "members_by_username": filters.linking(GROUP, "users", USER, "members_by_username", "username"),
    },
    filter_fields=("name", "is_superuser"),
)


def member(call: Call, row: Row) -> Row:
    """Return the person whom a request names, if the caller may see them.

    Raises:
        ApiError: there is none.
    """
    if "pk" not in call.data:
        invalid({"pk": ["This field is required."]})
    try:
        key = int(str(Int().clean(call.data["pk"], call.tx)))
    except Invalid as error:
        invalid({"pk": error.detail})
    user = call.tx.get(USER, key)
    if user is None or not call.rights.has_on("authentik_core.view_user", key):
        refuse(404, "Not found.")
    return user


def add_user(call: Call) -> Answer:
    """Put a person into a group."""
    group = VIEWS.one(call, "authentik_core.add_user_to_group")
    user = member(call, group)
    call.tx.link(GROUP, "users", group["pk"], user["pk"])
    _changed(call, group, "add", user)
    return NO_CONTENT


def remove_user(call: Call) -> Answer:
    """Take a person out of a group."""
    group = VIEWS.one(call, "authentik_core.remove_user_from_group")
    user = member(call, group)
    call.tx.unlink(GROUP, "users", group["pk"], user["pk"])
    _changed(call, group, "remove", user)
    return NO_CONTENT


def _changed(call: Call, group: Row, what: str, user: Row) -> None:
    diff = {"users": {what: [user["pk"]]}}
    events.model_changed(call.tx, "model_updated", group, call.caller, call.client_ip, diff=diff)


def routes() -> list[Route]:
    """Return the paths of groups."""
    return VIEWS.routes(
        route("core/groups/{pk}/add_user/", post=add_user),
        route("core/groups/{pk}/remove_user/", post=remove_user),
    )
