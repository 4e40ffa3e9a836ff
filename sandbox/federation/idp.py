"""One institution's identity provider: what it makes of a request, and what it answers about a person."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.s_utils import SamlException
from saml2.saml import NAMEID_FORMAT_TRANSIENT, NameID
from saml2.server import Server
from saml2.sigver import SigverError

from controlplane.errors import BicError
from sandbox.federation.institutions import Directory, Institution, Person, server_config


class RequestRefusedError(BicError):
    """A login request that this institution does not answer; the message says why."""


@dataclass(frozen=True)
class LoginRequest:
    """A service's verified wish to have somebody log in; `answer_url` is registered for the service."""

    identifier: str
    service: str
    answer_url: str


class IdentityProvider:
    """An institution that knows the services whose metadata lie in `services`."""

    def __init__(self, place: Institution, base_url: str, directory: Directory, services: Path) -> None:
        self.place = place
        self.directory = directory
        known = sorted(str(path) for path in services.glob("*.xml"))
        values = server_config(place, base_url, directory.keys(place.slug), known)
        config = IdPConfig().load(values)
        self._server = Server(config=config)

    def read(self, query: dict[str, str]) -> LoginRequest:
        """Verify a request that came by redirect.

        Raises `RequestRefusedError` when it is malformed, unsigned, or from a service that is not registered.
        """
        try:
            request = self._server.parse_authn_request(
                query["SAMLRequest"],
                BINDING_HTTP_REDIRECT,
                relay_state=query.get("RelayState"),
                sigalg=query.get("SigAlg"),
                signature=query.get("Signature"),
            )
            answer = self._server.response_args(request.message, [BINDING_HTTP_POST])
        except KeyError as error:
            raise RequestRefusedError("The request has no SAMLRequest.") from error
        except (SamlException, SigverError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise RequestRefusedError(f"The service's request cannot be accepted: {reason}") from error
        return LoginRequest(answer["in_response_to"], answer["sp_entity_id"], answer["destination"])

    def answer(
        self,
        request: LoginRequest,
        person: Person,
        *,
        attributes: dict[str, list[str]] | None = None,
        signed: bool = True,
    ) -> str:
        """The response about a person, in base64 as browsers carry it.

        `attributes` and `signed` are for institutions that misbehave.
        """
        said: dict[str, Any] = {**(attributes or self.place.attributes(person))}
        response = self._server.create_authn_response(
            said,
            userid=person.login,
            in_response_to=request.identifier,
            destination=request.answer_url,
            sp_entity_id=request.service,
            name_id=NameID(format=NAMEID_FORMAT_TRANSIENT, text=f"_{request.identifier}"),
            authn={"class_ref": PASSWORDPROTECTEDTRANSPORT, "authn_auth": self._server.config.entityid},
            sign_response=signed,
            sign_assertion=signed,
        )
        return base64.b64encode(str(response).encode()).decode()
