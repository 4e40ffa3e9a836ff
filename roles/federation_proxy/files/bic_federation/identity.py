"""Who somebody is, from what an institution said about them. Pure; `services` ties it to SATOSA.

Attributes have SATOSA's internal names. Whether the institution may use a scope was looked at before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

IDENTIFIERS = ("subject_id", "pairwise_id", "eppn")
"""What may identify a person: SAML's subject identifiers, and eduPersonPrincipalName."""
_NAMES = ("displayname", "givenname", "surname", "mail", "home_organization")
_LISTS = ("entitlements", "assurance")
# What SAML's subject identifiers and eduPersonPrincipalNames look like; OpenID Connect's have 255 characters.
_SCOPED = re.compile(r"[^@\s\x00-\x1f\x7f]{1,127}@[a-z0-9](?:[a-z0-9.-]{0,125}[a-z0-9])?")
_LONGEST = 255
_MOST_VALUES = 200


class UnknownPersonError(Exception):
    """An institution did not say who somebody is; the message is for that person."""


@dataclass(frozen=True)
class Person:
    """Somebody who logged in."""

    identifier: str
    """Stays the same, and is nobody else's."""
    attributes: dict[str, list[str]]


def person(said: Mapping[str, Sequence[str]], order: Sequence[str]) -> Person:
    """Tell who somebody is. Raises UnknownPersonError when no identifier of `order` was released."""
    attributes = {name: [value] for name in IDENTIFIERS if (value := _identifier(said.get(name, ()), name))}
    for name in _NAMES:
        clean = [value for value in map(_clean, said.get(name, ())) if value]
        if clean:
            attributes[name] = clean[:1]
    for name in _LISTS:
        clean = [value for value in map(_clean, said.get(name, ())) if value]
        if clean:
            attributes[name] = sorted(set(clean))[:_MOST_VALUES]
    if "home_organization" in attributes:
        attributes["home_organization"] = [attributes["home_organization"][0].lower()]
    parts = [attributes[name][0] for name in ("givenname", "surname") if name in attributes]
    if "displayname" not in attributes and parts:
        attributes["displayname"] = [" ".join(parts)]
    for name in order:
        if name in attributes:
            return Person(attributes[name][0], attributes)
    raise UnknownPersonError(
        "Your institution did not tell us who you are. Ask its computing service to release a subject "
        "identifier or eduPersonPrincipalName to this service (category Research and Scholarship)."
    )


def _identifier(values: Sequence[str], name: str) -> str:
    """The one identifier among the values, in lower case: SAML compares them so. Empty without one."""
    distinct = {value.strip().lower() for value in values if value.strip()}
    if len(distinct) > 1:
        raise UnknownPersonError(f"Your institution sent {len(distinct)} different values of {name} for you.")
    value = distinct.pop() if distinct else ""
    if value and not (_SCOPED.fullmatch(value) and len(value) <= _LONGEST):
        raise UnknownPersonError(f"Your institution sent a value of {name} that is not like name@domain.")
    return value


def _clean(value: str) -> str:
    """A value in one line and of bounded length; what people see cannot carry control characters."""
    printable = "".join(character if character.isprintable() else " " for character in value)
    return " ".join(printable.split())[:_LONGEST]
