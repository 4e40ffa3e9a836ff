"""The provider of a source, asked as an OpenID Connect client: discovery, keys, tokens, userinfo."""

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from .. import pkce

Row = Mapping[str, Any]
TIMEOUT_SECONDS = 20.0
# Clocks of two institutions are rarely further apart.
LEEWAY_SECONDS = 60
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]


class SourceError(Exception):
    """The login at the source is not believed, or cannot be checked; the message says why."""


@dataclass(frozen=True)
class Metadata:
    """What is needed of a provider."""

    issuer: str
    authorization_url: str
    token_url: str
    userinfo_url: str
    jwks: Mapping[str, Any]


@dataclass(frozen=True)
class Pending:
    """A login that was begun in one browser session and is to end there."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


class Client:
    """The client of one source."""

    def __init__(self, source: Row) -> None:
        self._source = source

    def metadata(self) -> Metadata:
        """The provider's addresses and keys: those of the source, and the others by discovery.

        Raises:
            SourceError: the provider does not say them.
        """
        source, found = self._source, dict[str, Any]()
        if source["oidc_well_known_url"]:
            found = self._get(str(source["oidc_well_known_url"]))
        jwks_url = source["oidc_jwks_url"] or found.get("jwks_uri")
        jwks = self._get(str(jwks_url)) if jwks_url else dict(source["oidc_jwks"])
        issuer = found.get("issuer")
        addresses = (
            source["authorization_url"] or found.get("authorization_endpoint"),
            source["access_token_url"] or found.get("token_endpoint"),
        )
        if not issuer or not jwks.get("keys") or not all(addresses):
            raise SourceError("the provider's issuer, keys or addresses are not known")
        userinfo = source["profile_url"] or found.get("userinfo_endpoint") or ""
        return Metadata(str(issuer), str(addresses[0]), str(addresses[1]), str(userinfo), jwks)

    def authorization_url(self, pending: Pending) -> str:
        """Where the browser goes to log in.

        Raises:
            SourceError: the provider does not say it.
        """
        # Discovery is asked only where the source does not name the address.
        address = self._source["authorization_url"] or self.metadata().authorization_url
        scopes = [
            "openid",
            "email",
            "profile",
            *str(self._source["additional_scopes"]).replace("*", "").split(),
        ]
        parameters = {
            "response_type": "code",
            "client_id": str(self._source["consumer_key"]),
            "redirect_uri": pending.redirect_uri,
            "scope": " ".join(dict.fromkeys(scopes)),
            "state": pending.state,
            "nonce": pending.nonce,
        }
        method = self._source["pkce"]
        if method != "none":
            challenge = pkce.challenge_of(pending.verifier) if method == pkce.S256 else pending.verifier
            parameters |= {"code_challenge": challenge, "code_challenge_method": str(method)}
        return str(httpx.URL(str(address)).copy_merge_params(parameters))

    def person(self, pending: Pending, code: str) -> dict[str, Any]:
        """Exchange a code, check the ID token, and return what the provider says of the person.

        Raises:
            SourceError: anything is not as it must be.
        """
        metadata = self.metadata()
        tokens = self._tokens(metadata, pending, code)
        claims = self._claims(metadata, str(tokens.get("id_token", "")), pending.nonce)
        if not metadata.userinfo_url:
            return claims
        token = {"Authorization": f"Bearer {tokens.get('access_token', '')}"}
        userinfo = self._get(metadata.userinfo_url, token)
        if userinfo.get("sub") != claims["sub"]:
            raise SourceError("userinfo is about somebody else than the ID token")
        return {**claims, **userinfo}

    def _tokens(self, metadata: Metadata, pending: Pending, code: str) -> dict[str, Any]:
        source = self._source
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": pending.redirect_uri}
        if source["pkce"] != "none":
            form["code_verifier"] = pending.verifier
        name, secret = str(source["consumer_key"]), str(source["consumer_secret"])
        if source["authorization_code_auth_method"] == "basic_auth":
            return self._ask("POST", metadata.token_url, data=form, auth=(name, secret))
        return self._ask(
            "POST", metadata.token_url, data={**form, "client_id": name, "client_secret": secret}
        )

    def _claims(self, metadata: Metadata, id_token: str, nonce: str) -> dict[str, Any]:
        try:
            keys = KeySet.import_key_set(dict(metadata.jwks))  # type: ignore[arg-type]
            claims = dict(jwt.decode(id_token, keys, algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError, KeyError, TypeError) as problem:
            raise SourceError(f"the ID token is not signed by the provider: {problem}") from problem
        check_claims(claims, metadata.issuer, str(self._source["consumer_key"]), nonce, time.time())
        return claims

    def _get(self, address: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self._ask("GET", address, headers=headers)

    def _ask(self, method: str, address: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - httpx's
        try:
            answer = httpx.request(method, address, timeout=TIMEOUT_SECONDS, **options)
            body = answer.json()
        except (httpx.HTTPError, ValueError) as problem:
            raise SourceError(f"{httpx.URL(address).host}: {problem}") from problem
        if answer.status_code != 200 or not isinstance(body, dict):
            reason = body.get("error", "") if isinstance(body, dict) else ""
            raise SourceError(f"{httpx.URL(address).host}: status {answer.status_code} {reason}".strip())
        return body


def check_claims(claims: Mapping[str, Any], issuer: str, client_id: str, nonce: str, now: float) -> None:
    """Check an ID token's claims, as OpenID Connect Core 3.1.3.7 wants it.

    Raises:
        SourceError: it is not for us, not for this login, or out of its time.
    """
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != issuer:
        raise SourceError("the ID token has another issuer")
    if client_id not in audiences:
        raise SourceError("the ID token is for another client")
    if len(audiences) > 1 and claims.get("azp") != client_id:
        raise SourceError("the ID token was issued to another client")
    times = {name: claims.get(name) for name in ("exp", "iat")}
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in times.values()):
        raise SourceError("the ID token has no times")
    if now > float(claims["exp"]) + LEEWAY_SECONDS:
        raise SourceError("the ID token has expired")
    if float(claims["iat"]) > now + LEEWAY_SECONDS or float(claims.get("nbf", 0)) > now + LEEWAY_SECONDS:
        raise SourceError("the ID token is not valid yet")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise SourceError("the ID token belongs to another login")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise SourceError("the ID token names nobody")
