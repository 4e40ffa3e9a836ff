"""The names that expressions may use: people, groups, the request and upstream's helper functions.

Carried out: `user`, `request` (`user`, `context`, `http_request`), `context`, `http_request` (`path`,
`method`, `META` with `REMOTE_ADDR`), `ak_client_ip` (a text), `ak_is_sso_flow`, `ak_message`,
`ak_is_group_member`, `ak_user_has_authenticator`, `ak_logger`, `regex_match`, `regex_replace`,
`list_flatten`, and what the caller adds. A user has `pk uid uuid username name email is_active is_superuser
type path attributes groups ak_groups`, `all_groups()` and `group_attributes()`; a list of groups has `all()
filter(name=…) exists() first() count()`.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .expressions import Record

LOG = logging.getLogger("authentik.expressions")
Row = Mapping[str, Any]
Value = Any


def group_record(group: Row) -> Record:
    """A group as expressions see it."""
    return Record(
        "group",
        pk=group["pk"],
        name=group["name"],
        is_superuser=group["is_superuser"],
        attributes=dict(group["attributes"]),
    )


class Query(Record):
    """A list of records with the methods of a query that make sense here."""

    def __iter__(self) -> Iterator[Record]:
        return iter(self.read("all")())


def query_set(rows: Iterable[Record]) -> Query:
    """A query that finds these."""
    found = list(rows)

    def keep(**wanted: Value) -> Query:
        return query_set(
            row for row in found if all(_has(row, name, value) for name, value in wanted.items())
        )

    return Query(
        "query",
        all=lambda: list(found),
        filter=keep,
        exists=lambda: bool(found),
        first=lambda: found[0] if found else None,
        count=lambda: len(found),
    )


def _has(row: Record, lookup: str, wanted: Value) -> bool:
    name, _, how = lookup.partition("__")
    value = row.read(name)
    match how:
        case "" | "exact":
            return bool(value == wanted)
        case "iexact":
            return str(value).lower() == str(wanted).lower()
        case "in":
            return value in wanted
        case "startswith":
            return str(value).startswith(str(wanted))
        case _:
            raise ValueError(f"the lookup {lookup} is not carried out here")


def user_record(user: Row, *, uid: str, groups: Iterable[Row], all_groups: Iterable[Row]) -> Record:
    """A person as expressions see them; `all_groups` has the parents of their groups too."""
    own, every = [group_record(group) for group in groups], list(all_groups)

    def group_attributes(request: Value = None) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for group in sorted(every, key=lambda group: str(group["name"])):
            merged.update(group["attributes"])
        return {**merged, **user["attributes"]}

    return Record(
        "user",
        pk=user["pk"],
        uid=uid,
        uuid=user["uuid"],
        username=user["username"],
        name=user["name"],
        email=user["email"],
        is_active=user["is_active"],
        is_authenticated=True,
        is_superuser=any(group["is_superuser"] for group in every),
        type=user["type"],
        path=user["path"],
        attributes=dict(user["attributes"]),
        groups=query_set(own),
        ak_groups=query_set(own),
        all_groups=lambda: query_set(group_record(group) for group in every),
        group_attributes=group_attributes,
        app_entitlements=lambda application=None: query_set(()),
    )


def names(
    *,
    user: Record | None,
    context: Mapping[str, Any],
    client_ip: str,
    path: str,
    method: str,
    messages: list[str],
    authenticators: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The names of one evaluation; what `ak_message` says is added to `messages`."""
    request = Record("http request", path=path, method=method, META={"REMOTE_ADDR": client_ip})
    devices = set(authenticators)
    return {
        "user": user,
        "request": Record("request", user=user, http_request=request, context=dict(context), obj=None),
        "http_request": request,
        "context": dict(context),
        "ak_client_ip": client_ip,
        "ak_is_sso_flow": bool(context.get("is_sso")),
        "ak_message": lambda text: messages.append(str(text)),
        "ak_is_group_member": _is_member,
        "ak_user_has_authenticator": lambda who, kind=None: kind in devices if kind else bool(devices),
        "ak_logger": Record("logger", **{level: _log for level in ("debug", "info", "warning", "error")}),
        "regex_match": lambda value, pattern: re.search(pattern, value) is not None,
        "regex_replace": lambda value, pattern, text: re.sub(pattern, text, value),
        "list_flatten": _flatten,
        **(extra or {}),
    }


def _is_member(user: Record | None, **wanted: Value) -> bool:
    if user is None:
        return False
    found: Record = user.read("all_groups")().read("filter")(**wanted)
    return bool(found.read("exists")())


def _log(text: Value, **values: Value) -> None:
    # Values may be personal; the text alone says what the expression's author wanted to see.
    LOG.info("%s", text)


def _flatten(value: Value) -> list[Any]:
    return [item for part in value for item in (_flatten(part) if isinstance(part, list) else [part])]
