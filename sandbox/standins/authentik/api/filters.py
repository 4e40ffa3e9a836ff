"""Filters of lists that look beyond an object's own fields."""

import json
import re
import uuid
from typing import Any

from .. import clock
from ..http import ApiError, Call, invalid
from ..store import column
from .views import Filter

_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def attributes(call: Call, given: list[str]) -> tuple[str, list[Any]] | None:
    """Filter by values in `attributes`, given as JSON with Django's lookups in the names.

    Raises:
        ApiError: it is no JSON object.
    """
    try:
        wanted = json.loads(given[-1])
    except ValueError:
        raise ApiError(400, ["filter: failed to parse JSON"]) from None
    if not isinstance(wanted, dict):
        raise ApiError(400, ["filter: value must be key:value mapping"])
    parts, values = [], []
    for name, value in wanted.items():
        part, part_values = _attribute(name, value)
        parts.append(part)
        values += part_values
    return " AND ".join(parts) or "1", values


def _attribute(  # noqa: PLR0911 - one case for each lookup
    name: str, value: object
) -> tuple[str, list[Any]]:
    *path, last = name.split("__")
    lookup = last if path and last in {*_COMPARISONS, "icontains", "contains", "iexact", "startswith"} else ""
    steps = path if lookup else [*path, last]
    text = "$.attributes" + "".join(
        f"[{step}]" if step.isdigit() else '."' + re.sub(r'["\\]', "", step) + '"' for step in steps
    )
    found = "json_extract(data, ?)"
    if value is None:
        return f"json_type(data, ?) IS {'NULL' if lookup else quote('null')}", [text]
    if lookup == "icontains":
        return f"instr(lower({found}), lower(?)) > 0", [text, str(value)]
    if lookup == "contains":
        return f"instr({found}, ?) > 0", [text, str(value)]
    if lookup == "iexact":
        return f"lower({found}) = lower(?)", [text, str(value)]
    if lookup == "startswith":
        return f"substr({found}, 1, ?) = ?", [text, len(str(value)), str(value)]
    if lookup:
        return f"json_type(data, ?) IN ('integer', 'real') AND {found} {_COMPARISONS[lookup]} ?", [
            text,
            text,
            value,
        ]
    return "data -> ? = json(?) -> '$'", [text, json.dumps(value)]


def quote(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def superuser(call: Call, given: list[str], pks: set[int]) -> tuple[str, list[Any]] | None:
    """Filter people by whether they are superusers."""
    if given[-1].lower() not in ("true", "false"):
        return None
    negated = "" if given[-1].lower() == "true" else "NOT "
    return f"pk {negated}IN ({','.join('?' * len(pks))})", sorted(pks)


def linked(model: str, field: str, name: str, by: str) -> Filter:
    """Return the filter for objects that other objects of a model link to, named by a field of those."""

    def wanted(call: Call, given: list[str]) -> tuple[str, list[Any]] | None:
        keys = []
        for value in filter(None, given):
            row = call.tx.rows(model, f"{column(by)} = ?", [_uuid(value) if by == "pk" else value])
            if not row:
                invalid({name: [f"Select a valid choice. {value} is not one of the available choices."]})
            keys.append(row[0]["pk"])
        if not keys:
            return None
        targets = {pk for found in call.tx.links_of(model, field, keys).values() for pk in found}
        return "pk IN (SELECT value FROM json_each(?))", [json.dumps(sorted(targets))]

    return wanted


def linking(model: str, field: str, target: str, name: str, by: str) -> Filter:
    """Return the filter for objects of a model that link to others, named by a field of the others."""

    def wanted(call: Call, given: list[str]) -> tuple[str, list[Any]] | None:
        keys = []
        for value in filter(None, given):
            wanted_value: Any = int(value) if by == "pk" and value.isdigit() else value
            row = call.tx.rows(target, f"{column(by)} = ?", [wanted_value])
            if not row:
                invalid({name: [f"Select a valid choice. {value} is not one of the available choices."]})
            keys.append(row[0]["pk"])
        if not keys:
            return None
        sources = {pk for found in call.tx.linked_from(model, field, keys).values() for pk in found}
        return "pk IN (SELECT value FROM json_each(?))", [json.dumps(sorted(sources))]

    return wanted


def _uuid(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return value


def moment(call: Call, name: str) -> str | None:
    """Return the time that a request's body gives, if it does.

    Raises:
        ApiError: it is no time.
    """
    value = call.data.get(name)
    if value is None:
        return None
    try:
        return clock.text(clock.parse(value))
    except (TypeError, ValueError):
        invalid({name: ["Datetime has wrong format."]})
