"""What a provider says of itself: the discovery document and its public keys."""

from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from ...models.connections import OAUTH2
from ...models.core import APPLICATION
from ...store import Row, Tx
from ..call import Call
from ..expressions import returned_keys
from ..web import Web, bad_request
from .claims import ACR, issuer, signing_key
from .parameters import scopes_of

_CLAIMS = ("sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "amr", "nonce")
_GRANTS = ("authorization_code", "refresh_token")


def provider_of_slug(tx: Tx, slug: str) -> Row | None:
    """The OAuth2 provider of an application."""
    application = tx.find(APPLICATION, slug=slug)
    found = tx.get(OAUTH2, application["provider"]) if application and application["provider"] else None
    return found if found is not None and found["model"] == OAUTH2 else None


@dataclass(frozen=True)
class Discovery:
    """The views."""

    web: Web

    def document(self, tx: Tx, call: Call) -> Response:
        """`/application/o/<slug>/.well-known/openid-configuration`.

        It names what is carried out: of the flows the code flow, with refresh tokens.
        """
        slug = call.path_values["slug"]
        provider = provider_of_slug(tx, slug)
        if provider is None:
            return bad_request("Not Found", "There is no such application.", 404)
        mappings = scopes_of(tx, provider)
        claims = dict.fromkeys(
            [*_CLAIMS, *(key for row in mappings for key in returned_keys(row["expression"]))]
        )
        document: dict[str, Any] = {
            "issuer": issuer(tx, call, provider),
            "authorization_endpoint": call.url("/application/o/authorize/"),
            "token_endpoint": call.url("/application/o/token/"),
            "userinfo_endpoint": call.url("/application/o/userinfo/"),
            "end_session_endpoint": call.url(f"/application/o/{slug}/end-session/"),
            "introspection_endpoint": call.url("/application/o/introspect/"),
            "revocation_endpoint": call.url("/application/o/revoke/"),
            "backchannel_logout_supported": False,
            "backchannel_logout_session_supported": False,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "jwks_uri": call.url(f"/application/o/{slug}/jwks/"),
            "grant_types_supported": [kind for kind in _GRANTS if kind in provider["grant_types"]],
            "id_token_signing_alg_values_supported": [signing_key(tx, provider).algorithm],
            "subject_types_supported": ["public"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "acr_values_supported": [ACR],
            "scopes_supported": list(dict.fromkeys(str(row["scope_name"]) for row in mappings)),
            "request_parameter_supported": False,
            "claims_supported": list(claims),
            "claims_parameter_supported": False,
            "code_challenge_methods_supported": ["plain", "S256"],
        }
        return JSONResponse(document, headers={"access-control-allow-origin": "*"})

    def keys(self, tx: Tx, call: Call) -> Response:
        """`/application/o/<slug>/jwks/`."""
        provider = provider_of_slug(tx, call.path_values["slug"])
        if provider is None:
            return bad_request("Not Found", "There is no such application.", 404)
        found = signing_key(tx, provider).public_keys()
        return JSONResponse(found, headers={"access-control-allow-origin": "*"})
