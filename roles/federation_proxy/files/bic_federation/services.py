"""Micro services of SATOSA: what every login passes through."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from satosa.context import Context
from satosa.exception import SATOSAAuthenticationError
from satosa.internal import InternalData
from satosa.micro_services.base import RequestMicroService, ResponseMicroService

from . import identity

# SATOSA's frontend makes one value of the lists of these claims by itself, and would cut up a text; what the
# other claims of one value carry is said as a text, as OpenID Connect's clients expect.
_TEXTS = (*identity.IDENTIFIERS, "home_organization")


class ProofKey(RequestMicroService):
    """Demands proof of possession of the code (PKCE, S256), which SATOSA checks but does not demand."""

    def __init__(self, config: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._frontend = config["frontend"]

    def process(self, context: Context, data: InternalData) -> Any:
        """Let the request pass, or answer the client with an error."""
        query = parse_qs(context.state[self._frontend]["oidc_request"])
        if not query.get("code_challenge") or query.get("code_challenge_method") != ["S256"]:
            raise SATOSAAuthenticationError(context.state, "PKCE with the method S256 is required.")
        return super().process(context, data)


class Identity(ResponseMicroService):
    """Decides by which identifier a person is known, and passes on well-formed attributes alone."""

    def __init__(self, config: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._order = config["identifiers"]

    def process(self, context: Context, data: InternalData) -> Any:
        """Let the person pass, or answer the client with an error."""
        try:
            person = identity.person(data.attributes, self._order)
        except identity.UnknownPersonError as error:
            raise SATOSAAuthenticationError(context.state, str(error)) from error
        data.subject_id = person.identifier
        data.attributes = {
            name: values[0] if name in _TEXTS else values for name, values in person.attributes.items()
        }
        return super().process(context, data)
