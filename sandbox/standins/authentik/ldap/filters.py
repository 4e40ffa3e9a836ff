"""LDAP search filters: which entries they keep, and what of them the API can be asked for."""

from collections.abc import Mapping
from typing import Any

from ldaptor.protocols import pureldap

from .entries import Entry
from .names import (
    GROUPS,
    USERS,
    VIRTUAL_GROUPS,
    InvalidNameError,
    common_name,
    normal,
    organisational_unit,
)

# What ldaptor reads a filter into; it has no types.
Filter = Any
_NAME_ATTRIBUTES = frozenset({"member", "memberof", "distinguishedname", "entrydn"})


class UnsupportedFilterError(Exception):
    """A filter of a kind that this server does not apply."""


def keeps(filter_: Filter, entry: Entry) -> bool:  # noqa: PLR0911 - one case for each kind of filter
    """Whether an entry satisfies a filter; raises `UnsupportedFilterError`."""
    match filter_:
        case pureldap.LDAPFilter_and():
            return all(keeps(part, entry) for part in filter_)
        case pureldap.LDAPFilter_or():
            return any(keeps(part, entry) for part in filter_)
        case pureldap.LDAPFilter_not():
            return not keeps(filter_.value, entry)
        case pureldap.LDAPFilter_present():
            return _has(entry, _text(filter_.value))
        case pureldap.LDAPFilter_equalityMatch() | pureldap.LDAPFilter_approxMatch():
            attribute, wanted = _pair(filter_)
            return any(_same(attribute, value, wanted) for value in entry.values(attribute))
        case pureldap.LDAPFilter_substrings():
            return any(_contains(filter_, value.lower()) for value in entry.values(_text(filter_.type)))
        case pureldap.LDAPFilter_greaterOrEqual():
            attribute, wanted = _pair(filter_)
            return any(_order(value, wanted) >= 0 for value in entry.values(attribute))
        case pureldap.LDAPFilter_lessOrEqual():
            attribute, wanted = _pair(filter_)
            return any(_order(value, wanted) <= 0 for value in entry.values(attribute))
        case _:
            raise UnsupportedFilterError(type(filter_).__name__)


def object_class(filter_: Filter) -> str:
    """The object class that a filter demands, in lower case; empty when it demands none.

    As upstream: the first `objectClass=…` that is found; one inside `|` or `!` demands nothing.
    """
    match filter_:
        case pureldap.LDAPFilter_equalityMatch():
            attribute, wanted = _pair(filter_)
            return wanted.lower() if attribute.lower() == "objectclass" else ""
        case pureldap.LDAPFilter_and():
            return next((found for part in filter_ if (found := object_class(part))), "")
        case _:
            return ""


def user_query(filter_: Filter) -> Mapping[str, str] | None:
    """What of a filter `GET /core/users/` can be asked for; None when no person can satisfy it."""
    query: dict[str, str] = {}
    for attribute, wanted in _demanded(filter_):
        match attribute:
            case "cn":
                query["username"] = wanted
            case "displayname":
                query["name"] = wanted
            case "mail":
                query["email"] = wanted
            case "member" | "memberof":
                name, unit = _named(wanted)
                if unit in (USERS, VIRTUAL_GROUPS):
                    return None
                query["groups_by_name"] = name
            case _:
                pass
    return query


def group_query(filter_: Filter) -> Mapping[str, str] | None:
    """What of a filter `GET /core/groups/` can be asked for; None when no group can satisfy it."""
    query: dict[str, str] = {}
    for attribute, wanted in _demanded(filter_):
        match attribute:
            case "cn":
                query["name"] = wanted
            case "member":
                name, unit = _named(wanted)
                if unit == VIRTUAL_GROUPS:
                    return None
                if unit != GROUPS:
                    query["members_by_username"] = name
            case _:
                pass
    return query


def _demanded(filter_: Filter) -> list[tuple[str, str]]:
    if isinstance(filter_, pureldap.LDAPFilter_equalityMatch):
        attribute, wanted = _pair(filter_)
        return [(attribute.lower(), wanted)]
    if isinstance(filter_, pureldap.LDAPFilter_and):
        return [pair for part in filter_ for pair in _demanded(part)]
    return []


def _named(text: str) -> tuple[str, str | None]:
    try:
        return common_name(text) or text, organisational_unit(text)
    except InvalidNameError:
        return text, None


def _pair(filter_: Filter) -> tuple[str, str]:
    return _text(filter_.attributeDesc.value), _text(filter_.assertionValue.value)


def _text(value: Filter) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _has(entry: Entry, attribute: str) -> bool:
    return attribute.lower() == "objectclass" or bool(entry.values(attribute))


def _same(attribute: str, value: str, wanted: str) -> bool:
    if attribute.lower() in _NAME_ATTRIBUTES:
        try:
            return normal(value) == normal(wanted)
        except InvalidNameError:
            return False
    return value.lower() == wanted.lower()


def _order(value: str, wanted: str) -> int:
    try:
        left, right = int(value), int(wanted)
    except ValueError:
        return (value.lower() > wanted.lower()) - (value.lower() < wanted.lower())
    return (left > right) - (left < right)


def _contains(filter_: Filter, value: str) -> bool:
    position = 0
    for part in filter_.substrings:
        wanted = _text(part.value).lower()
        match part:
            case pureldap.LDAPFilter_substrings_initial():
                if not value.startswith(wanted):
                    return False
                position = len(wanted)
            case pureldap.LDAPFilter_substrings_any():
                found = value.find(wanted, position)
                if found < 0:
                    return False
                position = found + len(wanted)
            case _:
                return len(value) - len(wanted) >= position and value.endswith(wanted)
    return True
