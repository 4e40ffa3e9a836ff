"""Who somebody from a source is here: known, new, to be linked, or refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...models.connections import CONNECTION
from ...models.core import USER
from ...store import Row, Tx

_PROPERTIES = {
    "email_link": "email",
    "email_deny": "email",
    "username_link": "username",
    "username_deny": "username",
}


@dataclass(frozen=True)
class Match:
    """What to do: `auth`, `enroll`, `link` or `deny`, and for the first and third of whom."""

    action: str
    user: Row | None = None


def match(tx: Tx, source: Row, identifier: str, properties: Mapping[str, Any], current: Row | None) -> Match:
    """Decide by the source's `user_matching_mode`, as upstream.

    A connection that exists counts first. Somebody who has logged in links the identity to themselves, unless
    it is somebody else's. With `identifier` everybody else is new; the other modes look for one account with
    the same address or name, to link it or to refuse.
    """
    known = tx.find(CONNECTION, source=source["pk"], identifier=identifier)
    if known is not None:
        foreign = current is not None and current["pk"] != known["user"]
        return Match("deny") if foreign else Match("auth", tx.require(USER, known["user"]))
    if current is not None:
        return Match("link", current)
    return _unknown(tx, source, properties)


def _unknown(tx: Tx, source: Row, properties: Mapping[str, Any]) -> Match:
    mode = source["user_matching_mode"]
    if mode == "identifier":
        return Match("enroll")
    name = _PROPERTIES[mode]
    value = properties.get(name)
    if not isinstance(value, str) or not value:
        return Match("deny")
    found = tx.select(USER, **{name: value})
    if not found:
        return Match("enroll")
    return Match("link", found[0]) if mode.endswith("_link") and len(found) == 1 else Match("deny")
