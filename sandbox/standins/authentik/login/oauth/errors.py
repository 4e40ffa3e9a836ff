"""OAuth errors, with upstream's words."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

AUTHORIZE: Mapping[str, str] = {
    "invalid_request": "The request is otherwise malformed",
    "unauthorized_client": (
        "The client is not authorized to request an authorization code using this method"
    ),
    "access_denied": "The resource owner or authorization server denied the request",
    "unsupported_response_type": (
        "The authorization server does not support obtaining an authorization code using this method"
    ),
    "invalid_scope": "The requested scope is invalid, unknown, or malformed",
    "login_required": "The Authorization Server requires End-User authentication",
    "consent_required": "The Authorization Server requires End-Userconsent",
    "request_not_supported": "The provider does not support use of the request parameter",
}
TOKEN: Mapping[str, str] = {
    "invalid_request": "The request is otherwise malformed",
    "invalid_client": (
        "Client authentication failed (e.g., unknown client, no client authentication included, or"
        " unsupported authentication method)"
    ),
    "invalid_grant": (
        "The provided authorization grant or refresh token is invalid, expired, revoked, does not match the"
        " redirection URI used in the authorization request, or was issued to another client"
    ),
    "unauthorized_client": "The authenticated client is not authorized to use this authorization grant type",
    "unsupported_grant_type": "The authorization grant type is not supported by the authorization server",
    "invalid_scope": (
        "The requested scope is invalid, unknown, malformed, or exceeds the scope granted by the resource"
        " owner"
    ),
}


class RequestError(Exception):
    """Client or address are wrong, so the browser is not sent anywhere: a page says it."""

    def __init__(self, title: str, text: str) -> None:
        super().__init__(text)
        self.title = title
        self.text = text


@dataclass
class AuthorizeError(Exception):
    """An error that the client is told, by the browser."""

    redirect_uri: str
    error: str
    state: str
    text: str = ""

    @property
    def address(self) -> str:
        """Where the browser goes."""
        separator = "&" if "?" in self.redirect_uri else "?"
        description = quote(self.text or AUTHORIZE[self.error])
        address = f"{self.redirect_uri}{separator}error={self.error}&error_description={description}"
        return f"{address}&state={quote(self.state, safe='')}" if self.state else address


class TokenError(Exception):
    """An error of the token endpoint, which the client gets as JSON."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error
        self.text = TOKEN[error]
