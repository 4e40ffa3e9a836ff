"""Is an aggregate one that may be believed: signed as a whole, and valid now? Cryptography is in `signature`.

`xmlsec1` verifies the first signature that it finds, over whatever that one refers to. So what it will find,
and what it covers, is looked at here first: the signature is a child of the root, and refers to the root.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, iterparse

METADATA = "{urn:oasis:names:tc:SAML:2.0:metadata}"
_DSIG = "{http://www.w3.org/2000/09/xmldsig#}"
_ROOTS = (f"{METADATA}EntitiesDescriptor", f"{METADATA}EntityDescriptor")
_TRANSFORMS = frozenset(
    {
        "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
        "http://www.w3.org/2001/10/xml-exc-c14n#",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    }
)
# SHA-1 is broken, and some of what xmlsec knows is keyed by a shared secret.
_DIGESTS = frozenset(
    {
        "http://www.w3.org/2001/04/xmlenc#sha256",
        "http://www.w3.org/2001/04/xmldsig-more#sha384",
        "http://www.w3.org/2001/04/xmlenc#sha512",
    }
)
_SIGNATURES = frozenset(
    f"http://www.w3.org/2001/04/xmldsig-more#{kind}-sha{bits}"
    for kind in ("rsa", "ecdsa")
    for bits in (256, 384, 512)
)


class RefusedError(Exception):
    """An aggregate that must not be believed; the message says why."""


@dataclass(frozen=True)
class Envelope:
    """What is said about an aggregate as a whole."""

    root: str
    """Namespace and name of the root as `xmlsec1` wants them."""
    valid_until: datetime


def read(path: Path, now: datetime, max_validity: timedelta) -> Envelope:
    """Look at an aggregate of any size without keeping it in memory.

    Raises RefusedError when it is no metadata, not signed as a whole, expired, or valid for longer than
    `max_validity`, with which a captured feed could be replayed for long.
    """
    try:
        return _read(path, now, max_validity)
    except (ParseError, DefusedXmlException) as error:
        raise RefusedError(f"it is no well-formed XML without entities: {error}") from error


def _read(path: Path, now: datetime, max_validity: timedelta) -> Envelope:
    root: Any = None
    signature: Any = None
    identifiers: list[str] = []
    for depth, begins, element in _walk(path):
        if begins:
            if root is None:
                root = element
                if root.tag not in _ROOTS:
                    raise RefusedError(f"its root is {root.tag}, which is no SAML metadata")
            if element.tag == f"{_DSIG}Signature" and signature is None:
                if depth != 1:
                    raise RefusedError("it is not signed as a whole")
                signature = element
            if element.tag in _ROOTS and "ID" in element.attrib:
                identifiers.append(element.attrib["ID"])
        elif depth == 1 and element is not signature:
            element.clear()
    if signature is None:
        raise RefusedError("it is not signed")
    identifier = root.attrib.get("ID", "")
    if identifiers.count(identifier) != 1:
        raise RefusedError("its ID is missing or occurs twice, so what is signed is not clear")
    _check_signature(signature, identifier)
    return Envelope(
        root=f"{METADATA[1:-1]}:{root.tag.removeprefix(METADATA)}",
        valid_until=_valid_until(root.attrib.get("validUntil"), now, max_validity),
    )


def _walk(path: Path) -> Iterator[tuple[int, bool, Any]]:
    """Elements with their depth, when they begin and when they end."""
    depth = 0
    for event, element in iterparse(str(path), events=("start", "end"), forbid_dtd=True):
        if event == "start":
            yield depth, True, element
            depth += 1
        else:
            depth -= 1
            yield depth, False, element


def _check_signature(signature: Any, identifier: str) -> None:
    references = signature.findall(f"{_DSIG}SignedInfo/{_DSIG}Reference")
    if len(references) != 1 or references[0].get("URI") not in ("", f"#{identifier}"):
        raise RefusedError("its signature covers something else than the whole document")
    method = signature.find(f"{_DSIG}SignedInfo/{_DSIG}SignatureMethod")
    digest = references[0].find(f"{_DSIG}DigestMethod")
    for element, known in ((method, _SIGNATURES), (digest, _DIGESTS)):
        algorithm = "" if element is None else element.get("Algorithm", "")
        if algorithm not in known:
            raise RefusedError(f"its signature uses the algorithm '{algorithm}', which is not accepted")
    for transform in references[0].iter(f"{_DSIG}Transform"):
        if transform.get("Algorithm") not in _TRANSFORMS:
            raise RefusedError(f"its signature transforms the document by '{transform.get('Algorithm')}'")


def _valid_until(text: str | None, now: datetime, max_validity: timedelta) -> datetime:
    if text is None:
        raise RefusedError("it has no validUntil")
    try:
        valid_until = datetime.fromisoformat(text)
    except ValueError as error:
        raise RefusedError(f"its validUntil '{text}' is no time") from error
    # A time without a zone is one in UTC, as SAML has it.
    valid_until = valid_until.replace(tzinfo=valid_until.tzinfo or UTC).astimezone(UTC)
    if valid_until <= now:
        raise RefusedError(f"it expired on {valid_until:%Y-%m-%d %H:%M} UTC")
    if valid_until > now + max_validity:
        raise RefusedError(f"it is valid until {valid_until:%Y-%m-%d}, more than {max_validity.days} days")
    return valid_until
