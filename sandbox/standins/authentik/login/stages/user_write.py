"""What was found out about somebody becomes, or changes, their account."""

import re
from typing import Any

from ... import accounts, events
from ...models.core import GROUP, USER
from ...store import Conflict, Row
from ..outcomes import Denied, Done, Outcome
from ..plan import PENDING_USER, PROMPT_DATA, SOURCE, USER_PATH, Run

# Attributes in which upstream notes through which sources somebody came.
SOURCES_ATTRIBUTE = "goauthentik.io/user/sources"
WRITTEN = frozenset({"username", "name", "email", "is_active", "path", "type"})


def begin(run: Run, stage: Row) -> Outcome:
    """Write the values of forms and sources into the account of the person, who may be new."""
    if PROMPT_DATA not in run.plan.context:
        return Denied("No Pending data.")
    data = dict(run.plan.context[PROMPT_DATA])
    user = run.user
    created = user is None or stage["user_creation_mode"] == "always_create"
    if created and stage["user_creation_mode"] == "never_create":
        return Denied("No user found and can't create new user.")
    values = _values(run, stage, None if created else user, data)
    if not str(values.get("username", "")).strip():
        return Denied("Aborting write to empty username.")
    try:
        row = (
            run.tx.insert(USER, values)
            if created or user is None
            else run.tx.update(USER, user["pk"], values)
        )
    except Conflict:
        return Denied("Failed to update user. Please try again later.")
    if isinstance(data.get("password"), str) and data["password"]:
        accounts.set_password(run.tx, row["pk"], data["password"])
    if stage["create_users_group"]:
        run.tx.link(GROUP, "users", stage["create_users_group"], row["pk"])
    run.plan.context[PENDING_USER] = row["pk"]
    context = {"created": created, "name": sorted(key for key in data if key != "password")}
    events.record(run.tx, "user_write", "authentik.events.signals", row, context, run.call.client_ip)
    events.model_changed(
        run.tx, "model_created" if created else "model_updated", row, row, run.call.client_ip
    )
    return Done()


def _values(run: Run, stage: Row, user: Row | None, data: dict[str, Any]) -> dict[str, Any]:
    attributes = dict(user["attributes"]) if user else {}
    values: dict[str, Any] = {}
    if user is None:
        values = {
            "name": "",
            "is_active": not stage["create_users_as_inactive"],
            "path": run.plan.context.get(USER_PATH) or stage["user_path_template"] or "users",
            "type": stage["user_type"],
        }
    else:
        values = {"username": user["username"]}
    for key, value in data.items():
        if key == "attributes" and isinstance(value, dict):
            attributes.update(value)
        elif match := re.fullmatch(r"attributes[._](.+)", key):
            _set(attributes, re.split(r"[._]", match[1]), value)
        elif key in WRITTEN:
            values[key] = value
    source = run.plan.context.get(SOURCE)
    if source is not None:
        names = attributes.get(SOURCES_ATTRIBUTE)
        known = list(names) if isinstance(names, list) else []
        attributes[SOURCES_ATTRIBUTE] = known if source["name"] in known else [*known, source["name"]]
    return {**values, "attributes": attributes}


def _set(attributes: dict[str, Any], path: list[str], value: Any) -> None:  # noqa: ANN401 - JSON
    for part in path[:-1]:
        inner = attributes.get(part)
        attributes[part] = dict(inner) if isinstance(inner, dict) else {}
        attributes = attributes[part]
    attributes[path[-1]] = value
