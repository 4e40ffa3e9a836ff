"""Logging in at the platform's single sign-on, as an OpenID Connect client.

Authlib does the protocol: the authorization code flow with state, nonce and PKCE (S256), as RFC 9700 asks
for, and the checks of the ID token. Only who somebody is stays in the session; no token does.
"""

import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.starlette_client import OAuth, StarletteOAuth2App
from httpx import HTTPError
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import Response

from controlplane.errors import BadInputError
from controlplane.model import Portal

SESSION_SECONDS = 900
"""How long a login counts before the portal asks the single sign-on again, which goes unseen while the
person's session there lasts. Somebody who was deactivated is out of the portal after this time."""

SCOPES = "openid email profile bic"

_PERSON, _BACK = "person", "back"

_OWN_PATH = re.compile(r"/(teams(/[a-z0-9-]+)?)?")
"""Where a login may lead: pages of the portal, and never another site."""


class LoginError(Exception):
    """A login that did not succeed, whose text is for the person at the browser."""


class LoginNeededError(Exception):
    """Somebody who is not logged in, or not any more, asked for a page that needs it."""

    def __init__(self, back: str) -> None:
        super().__init__(back)
        self.back = back
        """The path to come back to after the login."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who is logged in, as the single sign-on describes them."""

    subject: str
    name: str
    email: str
    account: str
    """The account in the other systems; empty as long as there is none."""
    institution: str
    groups: tuple[str, ...]
    until: float
    """When the login must be renewed, in seconds since 1970."""


class Login:
    """The client of the single sign-on."""

    def __init__(self, portal: Portal, secret: str) -> None:
        """Prepare the client; nothing is asked yet. Raises BadInputError when the authority is none."""
        self._portal = portal
        try:
            trust = ssl.create_default_context(cafile=portal.ca_file)
        except OSError as error:
            reason = error.strerror or error
            raise BadInputError(
                f"the certificate authority {portal.ca_file} cannot be read: {reason}"
            ) from error
        self._client: StarletteOAuth2App = OAuth().register(
            name="login",
            client_id=portal.client_id,
            client_secret=secret,
            server_metadata_url=f"{portal.issuer}.well-known/openid-configuration",
            client_kwargs={
                "scope": SCOPES,
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": "client_secret_basic",
                "verify": trust,
                "timeout": 10,
            },
        )

    async def begin(self, request: Request, back: str = "/") -> Response:
        """Send the browser to the single sign-on, and afterwards to `back`, a path. Raises LoginError."""
        request.session[_BACK] = back if _OWN_PATH.fullmatch(back) else "/"
        try:
            answer: Response = await self._client.authorize_redirect(request, self._portal.redirect_url)
        except (HTTPError, OAuthError, ValueError) as error:
            raise LoginError("The login service does not answer. Try again in a minute.") from error
        return answer

    async def end(self, request: Request) -> tuple[Visitor, str]:
        """Who came back from the single sign-on, remembered in the session, and where they wanted to go.

        Raises LoginError.
        """
        try:
            # Authlib's types leave this one out.
            token = await self._client.authorize_access_token(  # type: ignore[no-untyped-call]
                request,
                claims_options={
                    "iss": {"essential": True, "value": self._portal.issuer},
                    "aud": {"essential": True, "value": self._portal.client_id},
                },
            )
        except OAuthError as error:
            if error.error == "access_denied":
                raise LoginError("The login service refused the login, or you cancelled it.") from error
            raise LoginError("This login is no longer valid. Begin again.") from error
        except JoseError as error:
            raise LoginError("The login service's answer is not to be trusted. Begin again.") from error
        except (HTTPError, ValueError) as error:
            raise LoginError("The login service does not answer. Try again in a minute.") from error
        visitor = _visitor(token["userinfo"])
        # What was in the session before the login must not be in it afterwards.
        back = str(request.session.get(_BACK, "/"))
        request.session.clear()
        request.session[_PERSON] = asdict(visitor)
        return visitor, back

    async def logout_url(self) -> str:
        """Where the browser ends its session at the single sign-on, whose page leads back.

        Raises LoginError.
        """
        try:
            metadata = await self._client.load_server_metadata()
        except (HTTPError, ValueError) as error:
            raise LoginError("The login service does not answer. Try again in a minute.") from error
        # Authentik sends a browser back by itself only with the ID token as a hint, and with the groups of
        # somebody in many teams that is too long for a session in a cookie.
        return str(metadata["end_session_endpoint"])


def visitor_of(request: Request) -> Visitor | None:
    """Who is logged in, or None; also when the login must be renewed."""
    known = request.session.get(_PERSON)
    if known is None:
        return None
    visitor = Visitor(**{**known, "groups": tuple(known["groups"])})
    return visitor if visitor.until > time.time() else None


def _visitor(claims: Mapping[str, Any]) -> Visitor:
    return Visitor(
        subject=claims["sub"],
        name=claims.get("name") or claims.get("preferred_username", ""),
        email=claims.get("email", ""),
        account=claims.get("bic_account") or "",
        institution=claims.get("home_organization") or "",
        groups=tuple(sorted(claims.get("groups", ()))),
        until=time.time() + SESSION_SECONDS,
    )
