"""People."""

import uuid
from typing import Any

from .. import accounts, avatars, cleaning, events, permissions
from ..http import NO_CONTENT, Answer, Call, Route, denied, invalid, route
from ..models.core import GROUP, ROLE, TOKEN, USER
from ..models.core import key as new_key
from ..models.fields import Invalid, Text
from ..models.registry import by_name
from ..store import Key, Row, Tx
from . import filters
from .views import Views

MODEL = by_name(USER)
_SERVICE_PATH = "goauthentik.io/service-accounts"
_EXPIRING = "goauthentik.io/user/token-expires"


def partial(call: Call, user: Row) -> dict[str, Any]:
    """Return a person as lists of members show them."""
    names = ("pk", "username", "name", "is_active", "last_login", "email", "attributes")
    return {name: user[name] for name in names} | {"uid": accounts.uid(call.settings.secret_key, user)}


def superusers(tx: Tx) -> set[int]:
    """Return the keys of all superusers: the members of groups below a group of superusers."""
    pending = [row["pk"] for row in tx.select(GROUP, is_superuser=True)]
    found: set[str] = set()
    while pending:
        found |= set(pending)
        children = tx.linked_from(GROUP, "parents", pending)
        pending = [pk for keys in children.values() for pk in keys if pk not in found]
    return {pk for keys in tx.links_of(GROUP, "users", found).values() for pk in keys}


def represent(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return people as the API shows them."""
    tx, pks = call.tx, [row["pk"] for row in rows]
    groups = tx.linked_from(GROUP, "users", pks)
    roles = tx.linked_from(ROLE, "users", pks)
    with_groups, with_roles = call.flag("include_groups", True), call.flag("include_roles", True)
    group_rows = tx.many(GROUP, [pk for keys in groups.values() for pk in keys]) if with_groups else {}
    role_rows = tx.many(ROLE, [pk for keys in roles.values() for pk in keys]) if with_roles else {}
    super_pks = superusers(tx)
    shown = []
    for row in rows:
        mine, roles_mine = groups.get(row["pk"], []), roles.get(row["pk"], [])
        shown.append(
            {name: row[name] for name, kind in MODEL.fields.items() if not kind.hidden}
            | {
                "pk": row["pk"],
                "is_superuser": row["pk"] in super_pks,
                "groups": mine,
                "groups_obj": [group_summary(group_rows[pk]) for pk in mine] if with_groups else None,
                "roles": roles_mine,
                "roles_obj": [{"pk": pk, "name": role_rows[pk]["name"]} for pk in roles_mine]
                if with_roles
                else None,
                "avatar": avatars.initials(row["name"] or row["username"]),
                "uid": accounts.uid(call.settings.secret_key, row),
            }
        )
    return shown


def group_summary(group: Row) -> dict[str, Any]:
    """Return a group as other objects show it."""
    names = ("pk", "name", "is_superuser", "attributes")
    return {name: group[name] for name in names} | {"num_pk": number(group["pk"])}


def number(pk: str) -> int:
    """Return the number that stands for a group in POSIX."""
    return int(str(uuid.UUID(pk).int)[:5])


def validate(call: Call, instance: Row | None, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Check what concerns a person's kind, and set apart the links that other models keep."""
    kind = cleaned.get("type")
    was = instance["type"] if instance else None
    if was == "internal_service_account":
        if kind not in (None, was):
            invalid({"type": ["Can't change internal service account to other user type."]})
        invalid({"non_field_errors": ["Can't modify internal service account users"]})
    if instance is None and kind == "internal_service_account":
        invalid({"type": ["Setting a user to internal service account is not allowed."]})
    links = _links(call)
    if instance is not None:
        cleaning.set_user_links(call.tx, instance["pk"], links)
    return cleaned


def _links(call: Call) -> dict[str, list[Key]]:
    data = {"groups": []} | call.data if call.method == "PUT" else call.data
    try:
        return cleaning.user_links(call.tx, data)
    except Invalid as error:
        invalid(error.detail)


def _created(call: Call, row: Row) -> None:
    cleaning.set_user_links(call.tx, row["pk"], _links(call))


VIEWS = Views(
    model=MODEL,
    path="core/users",
    represent=represent,
    filters={
        "attributes": filters.attributes,
        "is_superuser": lambda call, given: filters.superuser(call, given, superusers(call.tx)),
        "groups_by_name": filters.linked(GROUP, "users", "groups_by_name", "name"),
        "groups_by_pk": filters.linked(GROUP, "users", "groups_by_pk", "pk"),
        "roles_by_name": filters.linked(ROLE, "users", "roles_by_name", "name"),
        "roles_by_pk": filters.linked(ROLE, "users", "roles_by_pk", "pk"),
        "path_startswith": lambda call, given: (
            "substr(json_extract(data, '$.path'), 1, ?) = ?",
            [len(given[-1]), given[-1]],
        ),
    },
    filter_fields=(
        "username",
        "email",
        "name",
        "is_active",
        "uuid",
        "path",
        "type",
        "date_joined",
        "last_updated",
        "last_login",
    ),
    validate=validate,
    after_create=_created,
)


def me(call: Call) -> Answer:
    """Answer who asks."""
    user, tx = call.caller, call.tx
    groups = tx.many(GROUP, accounts.groups_of(tx, user["pk"]))
    roles = tx.many(ROLE, tx.linked_from(ROLE, "users", [user["pk"]]).get(user["pk"], []))
    special = [name.partition(".")[2] for name in permissions.known() if _system(name)]
    rights = call.rights
    shown = represent(call, [user])[0]
    names = ("pk", "username", "name", "is_active", "is_superuser", "email", "avatar", "uid", "type")
    myself = {name: shown[name] for name in names} | {
        "is_current": True,
        "groups": [{"name": row["name"], "pk": row["pk"]} for row in groups.values()],
        "roles": [{"name": row["name"], "pk": row["pk"]} for row in roles.values()],
        "settings": user["attributes"].get("settings", {}),
        "system_permissions": [name for name in special if rights.has(f"authentik_rbac.{name}")],
    }
    return Answer({"user": myself, "users": [myself]})


def _system(name: str) -> bool:
    return name.startswith("authentik_rbac.") and not name.endswith(("objectpermission", "_systempermission"))


def set_password(call: Call) -> Answer:
    """Give a person a new password."""
    row = VIEWS.one(call, "authentik_core.reset_user_password")
    try:
        password = Text(trim=False).clean(_asked(call, "password"), call.tx)
    except Invalid as error:
        invalid({"password": error.detail})
    accounts.set_password(call.tx, row["pk"], str(password))
    events.record(call.tx, "password_set", "authentik.core.signals", row, {}, call.client_ip)
    return NO_CONTENT


def _asked(call: Call, name: str) -> object:
    if name not in call.data:
        invalid({name: ["This field is required."]})
    return call.data[name]


def service_account(call: Call) -> Answer:
    """Make a service account with an app password, and at wish a group."""
    if not call.rights.has("authentik_core.add_user") or not call.rights.has("authentik_core.add_token"):
        denied()
    tx = call.tx
    try:
        name = Text(max_length=150).clean(_asked(call, "name"), tx)
    except Invalid as error:
        invalid({"name": error.detail})
    if tx.find(USER, username=name):
        invalid({"name": ["This field must be unique."]})
    expiring = bool(call.data.get("expiring", True))
    with_group = bool(call.data.get("create_group", False))
    if with_group and tx.find(GROUP, name=name):
        invalid({"non_field_errors": ["A user/group with these details already exists"]})
    user = tx.insert(
        USER,
        {
            "username": name,
            "name": name,
            "type": "service_account",
            "path": _SERVICE_PATH,
            "attributes": {_EXPIRING: expiring},
        },
    )
    body: dict[str, Any] = {
        "username": name,
        "user_uid": accounts.uid(call.settings.secret_key, user),
        "user_pk": user["pk"],
    }
    if with_group:
        body["group_pk"] = tx.insert(GROUP, {"name": name, "users": [user["pk"]]})["pk"]
    token = tx.insert(
        TOKEN,
        {
            "identifier": f"service-account-{name}-password",
            "intent": "app_password",
            "user": user["pk"],
            "expires": filters.moment(call, "expires") or accounts.default_expiry(tx, days=360),
            "expiring": expiring,
        },
    )
    events.model_changed(tx, "model_created", user, call.caller, call.client_ip)
    return Answer(body | {"token": token["key"]})


def recovery(call: Call) -> Answer:
    """Make a link by which a person sets a new password."""
    row = VIEWS.one(call, "authentik_core.reset_user_password")
    brand = call.tx.find("authentik_brands.brand", default=True)
    flow = (
        call.tx.get("authentik_flows.flow", brand["flow_recovery"])
        if brand and brand["flow_recovery"]
        else None
    )
    if flow is None:
        invalid({"non_field_errors": "No recovery flow set."})
    if flow["designation"] != "recovery":
        invalid({"non_field_errors": "Recovery flow not applicable to user"})
    token = call.tx.insert(
        TOKEN,
        {
            "identifier": f"ak-recovery-{row['pk']}-{new_key(8)}",
            "intent": "recovery",
            "user": row["pk"],
            "expires": accounts.default_expiry(call.tx),
        },
    )
    return Answer({"link": f"{call.base_url}/if/flow/{flow['slug']}/?flow_token={token['key']}"})


def paths(call: Call) -> Answer:
    """Answer the folders that people are in."""
    where, values = VIEWS.visible(call)
    rows = call.tx.rows(USER, where, values)
    return Answer({"paths": sorted({row["path"] for row in rows})})


def routes() -> list[Route]:
    """Return the paths of people."""
    return VIEWS.routes(
        route("core/users/me/", get=me),
        route("core/users/paths/", get=paths),
        route("core/users/service_account/", post=service_account),
        route("core/users/{pk}/set_password/", post=set_password),
        route("core/users/{pk}/recovery/", post=recovery),
    )
