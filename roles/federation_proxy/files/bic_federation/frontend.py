"""SATOSA's OpenID Connect side, which checks proof of possession of the code (PKCE) but demands none."""

from __future__ import annotations

from typing import Any

from pyop.exceptions import InvalidAuthenticationRequest
from satosa.frontends import openid_connect


class OpenIDConnectFrontend(openid_connect.OpenIDConnectFrontend):
    """Refuses requests without a challenge by S256."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.provider.authentication_request_validators.append(demand_proof_key)


def demand_proof_key(request: Any) -> None:
    """Raises pyop's error, which goes back to the client, when the request has no challenge by S256."""
    if not request.get("code_challenge") or request.get("code_challenge_method") != "S256":
        raise InvalidAuthenticationRequest(
            "PKCE with the method S256 is required", request, oauth_error="invalid_request"
        )
