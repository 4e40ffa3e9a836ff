"""What tokens say: who it is, and what the provider's scopes tell of them."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ... import accounts, clock, events
from ...models.core import APPLICATION, KEYPAIR
from ...models.core import key as random_key
from ...settings import Settings
from ...store import Row, Tx
from .. import policies
from ..call import Call
from ..expressions import ExpressionError, Record, evaluate
from ..keys import SigningKey
from ..plan import asker
from .parameters import scopes_of

LOG = logging.getLogger("authentik.providers.oauth2")
ACR = "goauthentik.io/providers/oauth2/default"


@dataclass(frozen=True)
class Subject:
    """Somebody, as an application gets to know them."""

    tx: Tx
    settings: Settings
    call: Call
    provider: Row
    user: Row
    scope: tuple[str, ...]

    def identifier(self) -> str:
        """The `sub` of the provider's `sub_mode`."""
        user, uid = self.user, accounts.uid(self.settings.secret_key, self.user)
        match self.provider["sub_mode"]:
            case "user_id":
                return str(user["pk"])
            case "user_uuid":
                return str(user["uuid"])
            case "user_username":
                return str(user["username"])
            case "user_email":
                return str(user["email"])
            case "user_upn":
                return str(user["attributes"].get("upn", uid))
            case _:
                return uid

    def claims(self) -> dict[str, Any]:
        """What the mappings of the scopes say, merged; one that fails adds nothing and leaves an event."""
        merged: dict[str, Any] = {}
        who = asker(self.settings, self.call, self.user, {"oauth_scopes": list(self.scope)})
        extra = {
            "provider": Record(
                "provider", pk=self.provider["pk"], name=self.provider["name"], application=None
            ),
            "token": Record("token", scope=list(self.scope)),
        }
        for mapping in scopes_of(self.tx, self.provider):
            if mapping["scope_name"] not in self.scope:
                continue
            try:
                value = evaluate(str(mapping["expression"]), policies.names(self.tx, who, [], extra))
            except ExpressionError as problem:
                self._failed(mapping, problem)
                continue
            if isinstance(value, dict):
                _merge(merged, value)
            elif value is not None:
                LOG.warning("scope mapping %s gave no dict", mapping["name"])
        return merged

    def _failed(self, mapping: Row, problem: ExpressionError) -> None:
        LOG.warning("scope mapping %s: %s", mapping["name"], problem)
        context = {
            "message": f"Failed to evaluate property-mapping: '{mapping['name']}'",
            "error": str(problem),
            "provider": events.describe(self.provider),
            "mapping": events.describe(mapping),
        }
        app = "authentik.providers.oauth2.views.userinfo"
        events.record(self.tx, "configuration_error", app, self.user, context, self.call.client_ip)

    def id_token(self, *, expires: datetime, login: Mapping[str, Any], nonce: str | None) -> dict[str, Any]:
        """The claims of an ID token."""
        token: dict[str, Any] = {
            "iss": issuer(self.tx, self.call, self.provider),
            "sub": self.identifier(),
            "aud": self.provider["client_id"],
            "exp": int(expires.timestamp()),
            "iat": int(clock.parse(clock.now()).timestamp()),
            "auth_time": int(clock.parse(str(login["time"])).timestamp()),
            "acr": ACR,
            "jti": random_key(40),
        }
        if methods := _methods(login):
            token["amr"] = methods
        if nonce:
            token["nonce"] = nonce
        if login.get("sid"):
            token["sid"] = login["sid"]
        if self.provider["include_claims_in_id_token"]:
            token.update(self.claims())
        return token


def _methods(login: Mapping[str, Any]) -> list[str]:
    methods = ["pwd"] if login.get("method") == "password" else []
    return [*methods, "mfa"] if login.get("mfa") and methods else methods


def _merge(target: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        present = target.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            _merge(present, value)
        elif isinstance(present, list) and isinstance(value, Iterable) and not isinstance(value, str | dict):
            target[key] = [*present, *value]
        else:
            target[key] = value


def application_of(tx: Tx, provider: Row) -> Row | None:
    """The application of a provider."""
    return tx.find(APPLICATION, provider=provider["pk"])


def issuer(tx: Tx, call: Call, provider: Row) -> str:
    """Who issues the provider's tokens, under the name by which we were called."""
    application = application_of(tx, provider)
    if provider["issuer_mode"] == "global" or application is None:
        return call.url("/")
    return call.url(f"/application/o/{application['slug']}/")


def signing_key(tx: Tx, provider: Row) -> SigningKey:
    """The key with which the provider signs."""
    pair = tx.get(KEYPAIR, provider["signing_key"]) if provider["signing_key"] else None
    return SigningKey(pair, str(provider["client_secret"]))
