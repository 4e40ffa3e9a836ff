"""What an authorization request asks for, and whether it may."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ...models.connections import OAUTH2, SCOPE
from ...store import Row, Tx
from .. import pkce
from ..redirects import registered
from .errors import AuthorizeError, RequestError

PROMPTS = frozenset({"none", "consent", "login"})
OFFLINE_ACCESS = "offline_access"


@dataclass(frozen=True)
class Parameters:
    """An authorization request that was found right."""

    provider: int
    client_id: str
    redirect_uri: str
    response_mode: str
    scope: tuple[str, ...]
    state: str
    nonce: str | None
    prompt: tuple[str, ...] = field(default=())
    max_age: int | None = None
    code_challenge: str = ""
    code_challenge_method: str = ""

    def to_json(self) -> dict[str, Any]:
        """The request as a plan keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Parameters":
        """The request that a plan kept."""
        return cls(**{**data, "scope": tuple(data["scope"]), "prompt": tuple(data["prompt"])})


def provider_of(tx: Tx, client_id: str) -> Row | None:
    """The provider of a client."""
    return tx.find(OAUTH2, client_id=client_id) if client_id else None


def scopes_of(tx: Tx, provider: Row) -> list[Row]:
    """The scope mappings of a provider, by the scope's name."""
    linked = tx.links(OAUTH2, "property_mappings", provider["pk"])
    found = [
        row for row in tx.many("authentik_core.propertymapping", linked).values() if row["model"] == SCOPE
    ]
    return sorted(found, key=lambda row: str(row["scope_name"]))


def read(tx: Tx, given: Mapping[str, str]) -> Parameters:
    """Check an authorization request.

    Of the flows only the code flow is carried out. Stricter than upstream: a public client must use PKCE.

    Raises:
        RequestError: the client or its address are wrong.
        AuthorizeError: something else is.
    """
    provider = provider_of(tx, given.get("client_id", ""))
    if provider is None:
        raise RequestError("Client ID Error", "The client identifier (client_id) is missing or invalid.")
    address, state = given.get("redirect_uri", ""), given.get("state", "")
    if not registered(address, provider["redirect_uris"]):
        raise RequestError(
            "Redirect URI Error",
            "The request fails due to a missing, invalid, or mismatching redirection URI (redirect_uri).",
        )
    if given.get("response_type") != "code":
        raise AuthorizeError(address, "unsupported_response_type", state)
    if "request" in given:
        raise AuthorizeError(address, "request_not_supported", state)
    if "authorization_code" not in provider["grant_types"]:
        raise AuthorizeError(address, "unauthorized_client", state)
    scope = _scope(tx, provider, given.get("scope", ""))
    prompt = set(given.get("prompt", "").split()) & PROMPTS
    if OFFLINE_ACCESS in scope:
        # As upstream, and as OpenID Connect wants it: nobody gives lasting access without being asked.
        prompt.add("consent")
    challenge, method = _challenge(provider, given, address, state)
    max_age = given.get("max_age", "")
    if max_age and not max_age.isdigit():
        raise AuthorizeError(address, "invalid_request", state)
    mode = given.get("response_mode", "query")
    return Parameters(
        provider=int(provider["pk"]),
        client_id=str(provider["client_id"]),
        redirect_uri=address,
        response_mode=mode if mode in ("query", "fragment", "form_post") else "query",
        scope=scope,
        state=state,
        nonce=given.get("nonce"),
        prompt=tuple(sorted(prompt)),
        max_age=int(max_age) if max_age else None,
        code_challenge=challenge,
        code_challenge_method=method,
    )


def _scope(tx: Tx, provider: Row, asked: str) -> tuple[str, ...]:
    """The scopes that count: those asked for that the provider has, or without any asked for, all it has."""
    names = [str(row["scope_name"]) for row in scopes_of(tx, provider)]
    wanted = asked.split()
    return tuple(dict.fromkeys(name for name in (wanted or names) if name in names))


def _challenge(provider: Row, given: Mapping[str, str], address: str, state: str) -> tuple[str, str]:
    challenge = given.get("code_challenge", "")
    if not challenge:
        if provider["client_type"] == "public":
            raise AuthorizeError(address, "invalid_request", state, "code_challenge is missing")
        return "", ""
    method = given.get("code_challenge_method", pkce.PLAIN)
    if method not in (pkce.PLAIN, pkce.S256):
        raise AuthorizeError(address, "invalid_request", state, f"Unsupported challenge method {method}")
    if method == pkce.S256 and not pkce.is_challenge(challenge):
        raise AuthorizeError(address, "invalid_request", state, "code_challenge is malformed")
    return challenge, method
