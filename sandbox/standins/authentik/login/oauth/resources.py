"""What clients ask about tokens: userinfo, introspection, revocation."""

from dataclasses import dataclass

from starlette.responses import Response

from ...models.connections import OAUTH2
from ...models.core import USER
from ...store import Row, Tx
from ..call import Call
from ..keys import BadTokenError
from ..web import Web
from . import clients, grants
from .claims import Subject, signing_key
from .errors import TokenError
from .tokens import answer_json, error_json

_INVALID = (
    'error="invalid_token", error_description="The access token provided is expired, revoked, malformed, or'
    ' invalid for other reasons"'
)
_INSUFFICIENT = (
    'error="insufficient_scope", error_description="The request requires higher privileges than provided by'
    ' the access token"'
)


@dataclass(frozen=True)
class Resources:
    """The views."""

    web: Web

    def userinfo(self, tx: Tx, call: Call) -> Response:
        """`/application/o/userinfo/`: what the token's scopes tell of its person."""
        scheme, _, sent = call.headers.get("authorization", "").partition(" ")
        token = sent.strip() if scheme.lower() == "bearer" else call.form.get("access_token", "")
        row = tx.find(grants.ACCESS, token=token) if token else None
        if row is None or not grants.is_valid(tx, row):
            return Response(status_code=401, media_type="text/html", headers={"www-authenticate": _INVALID})
        if "openid" not in row["scope"]:
            return Response(
                status_code=403, media_type="text/html", headers={"www-authenticate": _INSUFFICIENT}
            )
        subject = self._subject(tx, call, row)
        return answer_json({"sub": subject.identifier(), **subject.claims()})

    def _subject(self, tx: Tx, call: Call, row: Row) -> Subject:
        provider, user = tx.require(OAUTH2, row["provider"]), tx.require(USER, row["user"])
        return Subject(tx, self.web.settings, call, provider, user, tuple(row["scope"]))

    def introspect(self, tx: Tx, call: Call) -> Response:
        """`/application/o/introspect/`: for the client that a token was given to, whether it is good."""
        try:
            provider = clients.authenticated(tx, call, confidential_only=True)
        except TokenError:
            return answer_json({"active": False})
        row = _token(tx, call, provider)
        if row is None or not grants.is_valid(tx, row):
            return answer_json({"active": False})
        known = {"active": True, "scope": " ".join(row["scope"]), "client_id": provider["client_id"]}
        try:
            claims = signing_key(tx, provider).read(str(row["token"]))
        except BadTokenError:
            subject = self._subject(tx, call, row)
            claims = {"sub": subject.identifier()}
        for name in ("azp", "uid"):
            claims.pop(name, None)
        return answer_json({**claims, **known})

    def revoke(self, tx: Tx, call: Call) -> Response:
        """`/application/o/revoke/`: a token is good no longer; one that is not known is no error."""
        try:
            provider = clients.authenticated(tx, call)
        except TokenError as problem:
            return error_json(problem, 401)
        row = _token(tx, call, provider)
        if row is not None:
            tx.update(row["model"], row["pk"], {"revoked": True})
        return answer_json({})


def _token(tx: Tx, call: Call, provider: Row) -> Row | None:
    token = call.form.get("token", "-")
    for model in (grants.ACCESS, grants.REFRESH):
        if (row := tx.find(model, token=token, provider=provider["pk"])) is not None:
            return row
    return None


def not_post(tx: Tx, call: Call) -> Response:
    """Only POST is taken."""
    return Response(status_code=405, media_type="text/html", headers={"allow": "POST, OPTIONS"})
