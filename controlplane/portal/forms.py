"""Forms of the portal: what they hold, that they are its own, and what is told after the redirect."""

import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import HTTPException
from starlette.requests import Request

from controlplane.portal.login import LoginNeededError, visitor_of

LONGEST_FORM = 8192
"""Bytes of a form; the longest that the pages send has a few hundred."""

_KEY, _NOTICE = "form_key", "notice"


class ForgedFormError(Exception):
    """A form that this session did not get from the portal, or got before its login."""


def new_key(request: Request) -> None:
    """Give the session of a new login the key that its forms carry."""
    request.session[_KEY] = secrets.token_urlsafe(32)


def key_of(request: Request) -> str:
    """The key that the forms of this session carry."""
    return str(request.session.get(_KEY, ""))


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields of a form that the portal gave to this session; pages that change things depend on it.

    Raises LoginNeededError, ForgedFormError, and HTTPException for what no form of ours sends.
    """
    if visitor_of(request) is None:
        raise LoginNeededError("/teams")
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            raise HTTPException(413)
    try:
        fields = dict(parse_qsl(body.decode(), max_num_fields=20))
    except ValueError:
        raise HTTPException(400) from None
    expected, given = key_of(request), fields.get(_KEY, "")
    # An empty key would be that of every session without a login.
    if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
        raise ForgedFormError
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{request.url.netloc}":
        raise ForgedFormError
    return fields


def tell(request: Request, text: str) -> None:
    """Show a sentence on the next page."""
    request.session[_NOTICE] = text


def told(request: Request) -> str:
    """The sentence that the page before left, once; empty when there is none."""
    return str(request.session.pop(_NOTICE, ""))
