"""Which addresses a browser may be sent to."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

# Upstream's FORBIDDEN_URI_SCHEMES: a browser runs them as scripts.
FORBIDDEN_SCHEMES = frozenset({"javascript", "data", "vbscript"})


def registered(address: str, allowed: Iterable[Mapping[str, Any]], kind: str = "authorization") -> bool:
    """Whether a client may ask to be answered at this address.

    `allowed` are the provider's `redirect_uris`: `strict` ones match character by character, `regex` ones
    match the whole address. A pattern that cannot be read matches nothing. `kind` is the `redirect_uri_type`
    that counts: `authorization`, or `logout` for where to go after a logout.
    """
    if not address or urlsplit(address).scheme.lower() in FORBIDDEN_SCHEMES:
        return False
    return any(
        _matches(address, entry)
        for entry in allowed
        if entry.get("redirect_uri_type", "authorization") == kind
    )


def _matches(address: str, entry: Mapping[str, Any]) -> bool:
    if entry.get("matching_mode") == "strict":
        return address == entry.get("url")
    if entry.get("matching_mode") == "regex":
        try:
            return re.fullmatch(str(entry.get("url")), address) is not None
        except re.error:
            return False
    return False


def local_path(address: str) -> str | None:
    """The address when it is a path of this server, else None: `next` arguments must not lead elsewhere."""
    if not address.startswith("/") or address.startswith("//") or "\\" in address:
        return None
    if any(ord(character) < 0x21 or ord(character) == 0x7F for character in address):
        return None
    parts = urlsplit(address)
    return None if parts.scheme or parts.netloc else address
