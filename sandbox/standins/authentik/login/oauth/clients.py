"""Which client asks: its id and secret in a header (Basic) or in the form."""

import base64
import binascii
import hmac
from urllib.parse import unquote

from ...store import Row, Tx
from ..call import Call
from .errors import TokenError
from .parameters import provider_of


def credentials(call: Call) -> tuple[str, str]:
    """The client id and secret of a request; empty where there are none."""
    scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        # RFC 6749 has both parts encoded like a form.
        return unquote(name), unquote(secret)
    return call.form.get("client_id", ""), call.form.get("client_secret", "")


def authenticated(tx: Tx, call: Call, *, confidential_only: bool = False) -> Row:
    """The provider whose client asks, and has proved it if it has a secret to prove it with.

    Raises:
        TokenError: `invalid_client`.
    """
    name, secret = credentials(call)
    provider = provider_of(tx, name)
    if provider is None:
        raise TokenError("invalid_client")
    if provider["client_type"] == "public" and not confidential_only:
        return provider
    expected = str(provider["client_secret"])
    if not expected or not hmac.compare_digest(secret.encode(), expected.encode()):
        raise TokenError("invalid_client")
    return provider
