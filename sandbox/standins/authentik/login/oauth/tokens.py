"""`/application/o/token/`: codes and refresh tokens become tokens."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from ... import events
from ...models.core import APPLICATION as APPLICATION_MODEL
from ...models.core import USER
from ...models.flows import target_of
from ...store import Row, Tx
from .. import pkce, policies
from ..call import Call
from ..plan import asker
from ..redirects import registered
from ..web import Web
from . import clients, grants
from .claims import Subject, application_of
from .errors import TokenError
from .parameters import OFFLINE_ACCESS


@dataclass(frozen=True)
class Tokens:
    """The view."""

    web: Web

    def view(self, tx: Tx, call: Call) -> Response:
        """Answer a token request."""
        try:
            return answer_json(self._answer(tx, call))
        except TokenError as problem:
            return error_json(problem)

    def _answer(self, tx: Tx, call: Call) -> dict[str, Any]:
        provider = clients.authenticated(tx, call)
        kind = call.form.get("grant_type", "")
        if kind not in ("authorization_code", "refresh_token"):
            raise TokenError("unsupported_grant_type")
        if kind not in provider["grant_types"]:
            raise TokenError("unauthorized_client")
        return (
            self._code(tx, call, provider)
            if kind == "authorization_code"
            else self._refresh(tx, call, provider)
        )

    def _code(self, tx: Tx, call: Call, provider: Row) -> dict[str, Any]:
        address = call.form.get("redirect_uri", "")
        if not registered(address, provider["redirect_uris"]):
            raise TokenError("invalid_client")
        code = tx.find(grants.CODE, token=call.form.get("code", "-"), provider=provider["pk"])
        if code is None:
            raise TokenError("invalid_grant")
        # Whatever is wrong with the rest of the request: a code is tried once.
        tx.delete(grants.CODE, code["pk"])
        if not grants.is_valid(tx, code) or code["data"]["redirect_uri"] != address:
            raise TokenError("invalid_grant")
        _prove(code, call.form.get("code_verifier", ""))
        subject = self._subject(tx, call, provider, code, tuple(code["scope"]))
        return grants.issue(subject, code["data"]["login"], code["data"]["nonce"], code["session"])

    def _refresh(self, tx: Tx, call: Call, provider: Row) -> dict[str, Any]:
        token = tx.find(grants.REFRESH, token=call.form.get("refresh_token", "-"), provider=provider["pk"])
        if token is not None and token["revoked"]:
            self._stolen(tx, call, provider, token)
            raise TokenError("invalid_grant")
        if token is None or not grants.is_valid(tx, token):
            raise TokenError("invalid_grant")
        asked = tuple(call.form.get("scope", "").split()) or tuple(token["scope"])
        if not set(asked) <= set(token["scope"]) or OFFLINE_ACCESS not in asked:
            raise TokenError("invalid_scope")
        subject = self._subject(tx, call, provider, token, asked)
        answer = grants.issue(subject, token["data"]["login"], token["data"]["nonce"], None)
        if grants.needs_rotation(provider, token):
            tx.update(grants.REFRESH, token["pk"], {"revoked": True})
        else:
            made = tx.find(grants.REFRESH, token=answer.pop("refresh_token"))
            if made is not None:
                tx.delete(grants.REFRESH, made["pk"])
        return answer

    def _stolen(self, tx: Tx, call: Call, provider: Row, token: Row) -> None:
        user = tx.get(USER, token["user"])
        grants.revoke_all(tx, int(token["user"]), int(provider["pk"]))
        context = {"message": "Revoked refresh token was used", "provider": events.describe(provider)}
        app = "authentik.providers.oauth2.views.token"
        events.record(tx, "suspicious_request", app, user, context, call.client_ip)

    def _subject(self, tx: Tx, call: Call, provider: Row, grant: Row, scope: tuple[str, ...]) -> Subject:
        """Whom the tokens are about; access that was taken away since counts."""
        user = tx.require(USER, grant["user"])
        application = application_of(tx, provider)
        if application is None:
            raise TokenError("invalid_grant")
        who = asker(self.web.settings, call, user, {"oauth_scopes": list(scope)})
        target = target_of(application, APPLICATION_MODEL)
        if not policies.check(tx, target, str(application["policy_engine_mode"]), who).passing:
            raise TokenError("invalid_grant")
        return Subject(tx, self.web.settings, call, provider, user, scope)


def _prove(code: Row, verifier: str) -> None:
    """Check the verifier; one for a code that was asked for without a challenge is refused as well."""
    challenge = str(code["data"]["challenge"])
    if not challenge and not verifier:
        return
    if not challenge or not pkce.proves(verifier, challenge, str(code["data"]["method"])):
        raise TokenError("invalid_grant")


def answer_json(body: dict[str, Any], status: int = 200) -> Response:
    """An answer that nobody keeps."""
    return JSONResponse(body, status, {"cache-control": "no-store", "pragma": "no-cache"})


def error_json(problem: TokenError, status: int = 400) -> Response:
    """An error of OAuth as JSON."""
    body = {"error": problem.error, "error_description": problem.text, "request_id": uuid4().hex}
    return answer_json(body, status)
