"""Objects that the tests of the login need, made in the store of a running stand-in."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from sandbox.standins.authentik import accounts, outposts
from sandbox.standins.authentik.launcher import Running
from sandbox.standins.authentik.models.connections import LDAP, OAUTH2, OUTPOST, SCOPE
from sandbox.standins.authentik.models.core import APPLICATION, FLOW, GROUP, KEYPAIR, TOKEN, USER
from sandbox.standins.authentik.models.flows import BINDING, STAGE_BINDING, target_of
from sandbox.standins.authentik.store import Row, Tx

VERIFIER = "v" * 64
# A state is the client's own: whatever is in it comes back as it was.
STATE = "a&b=ü"
PASSWORD = "a long enough password"
# One client for all calls of programs: making one reads all authorities of the machine.
HTTP = httpx.Client(timeout=60)
BIC_SCOPE = """
attributes = request.user.attributes
return {
    "bic": {
        "account": attributes.get("bic_account"),
        "home_organization": attributes.get("home_organization"),
        "entitlements": attributes.get("entitlements", []),
    }
}
"""


@dataclass(frozen=True)
class Client:
    """An application as its own side knows it."""

    slug: str
    client_id: str
    client_secret: str
    redirect_uri: str

    def url(self, server: str, **changes: str | None) -> str:
        """The address of an authorization request with state, nonce and PKCE; None takes a parameter out."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid",
            "state": STATE,
            "nonce": "n-1",
            "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[
                :43
            ],
            "code_challenge_method": "S256",
            **changes,
        }
        given = {name: value for name, value in parameters.items() if value is not None}
        return f"{server}/application/o/authorize/?{urlencode(given)}"


class Site:
    """What a test puts into the server before it talks to it."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.url = server.url

    def add_user(self, username: str, *, groups: tuple[str, ...] = (), **values: Any) -> Row:
        """Add somebody with the usual password, in groups that are made when they are not there."""
        with self.server.store.write() as tx:
            user = tx.insert(USER, {"username": username, "name": f"{username} name", **values})
            accounts.set_password(tx, user["pk"], PASSWORD)
            for name in groups:
                group = tx.find(GROUP, name=name) or tx.insert(GROUP, {"name": name})
                tx.link(GROUP, "users", group["pk"], user["pk"])
            return user

    def change_user(self, user: Row, **values: Any) -> None:
        """Change somebody."""
        with self.server.store.write() as tx:
            tx.update(USER, user["pk"], values)

    def app_password(self, user: Row, key: str) -> None:
        """Give somebody an app password."""
        with self.server.store.write() as tx:
            values = {"identifier": f"{user['username']}-{key}", "intent": "app_password"}
            tx.insert(TOKEN, {**values, "user": user["pk"], "expiring": False, "key": key})

    def add_client(self, slug: str, *, group: str = "", consent: bool = False, **values: Any) -> Client:
        """Add an application with its OAuth2 provider; only members of `group` may use it if one is named."""
        kind = "explicit" if consent else "implicit"
        with self.server.store.write() as tx:
            bic = tx.find(SCOPE, scope_name="bic") or tx.insert(
                SCOPE, {"name": "bic", "scope_name": "bic", "expression": BIC_SCOPE}
            )
            names = ("openid", "email", "profile", "offline_access")
            scopes = [_one(tx, SCOPE, scope_name=name)["pk"] for name in names]
            keypair = tx.rows(KEYPAIR, limit=1)[0]
            provider = tx.insert(
                OAUTH2,
                {
                    "name": slug,
                    "authorization_flow": _flow(tx, f"default-provider-authorization-{kind}-consent"),
                    "invalidation_flow": _flow(tx, "default-invalidation-flow"),
                    "property_mappings": [*scopes, bic["pk"]],
                    "signing_key": keypair["pk"],
                    "redirect_uris": [
                        _address(f"https://portal.example/{slug}/callback", "authorization"),
                        _address(f"https://portal.example/{slug}/bye", "logout"),
                    ],
                    **values,
                },
            )
            application = tx.insert(APPLICATION, {"name": slug, "slug": slug, "provider": provider["pk"]})
            if group:
                self._bind(tx, target_of(application, APPLICATION), group)
        address = f"https://portal.example/{slug}/callback"
        return Client(slug, str(provider["client_id"]), str(provider["client_secret"]), address)

    def add_flow(self, slug: str, designation: str, *stages: tuple[str, dict[str, Any]]) -> Row:
        """Add a flow with stages in this order; `group` of a stage binds it to members of that group."""
        with self.server.store.write() as tx:
            flow = tx.insert(FLOW, {"slug": slug, "name": slug, "title": slug, "designation": designation})
            for order, (model, given) in enumerate(stages):
                values = dict(given)
                group = values.pop("group", "")
                stage = tx.insert(model, {"name": f"{slug} {order}", **values})
                made = {"target": flow["pk"], "stage": stage["pk"], "order": order}
                binding = tx.insert(STAGE_BINDING, made)
                if group:
                    self._bind(tx, target_of(binding, STAGE_BINDING), group)
            return flow

    def _bind(self, tx: Tx, target: str, group: str) -> None:
        found = tx.find(GROUP, name=group) or tx.insert(GROUP, {"name": group})
        tx.insert(BINDING, {"target": target, "group": found["pk"], "order": 0})

    def add_ldap(self, base: str) -> tuple[Row, str]:
        """Add an LDAP application with its outpost; returns its provider and the outpost's token."""
        with self.server.store.write() as tx:
            provider = tx.insert(
                LDAP,
                {
                    "name": "ldap",
                    "base_dn": base,
                    "authorization_flow": _flow(tx, "default-authentication-flow"),
                    "invalidation_flow": _flow(tx, "default-invalidation-flow"),
                },
            )
            tx.insert(APPLICATION, {"name": "ldap", "slug": "ldap", "provider": provider["pk"]})
            made = {"name": "ldap", "type": "ldap", "providers": [provider["pk"]], "config": {}}
            outpost = tx.insert(OUTPOST, made)
            outposts.settle(tx, outpost)
            token = _one(tx, TOKEN, identifier=outposts.token_identifier(outpost))
            return provider, str(token["key"])

    def rows(self, model: str, **equal: Any) -> list[Row]:
        """What the store has."""
        with self.server.store.read() as tx:
            return tx.select(model, **equal)


def _one(tx: Tx, model: str, **equal: Any) -> Row:
    found = tx.find(model, **equal)
    assert found is not None, (model, equal)
    return found


def _flow(tx: Tx, slug: str) -> str:
    return str(_one(tx, FLOW, slug=slug)["pk"])


def _address(url: str, kind: str) -> dict[str, str]:
    return {"matching_mode": "strict", "url": url, "redirect_uri_type": kind}
