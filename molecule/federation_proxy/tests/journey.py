"""A person's browser and the login server, as plain HTTP clients: the steps of a login, one function each."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

NAME = "federation.mol.example"
REDIRECT_URI = "https://login.mol.example/source/oauth/callback/federation/"
CLIENT_ID = "authentik"
SCOPES = "openid email profile federation"


@dataclass
class Journey:
    """One login in one browser."""

    browser: httpx.Client
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each step took."""

    def timed(self, step: str, method: str, url: str, **more: Any) -> httpx.Response:
        begun = time.monotonic()
        answer = self.browser.request(method, url, **more)
        self.seconds[step] = time.monotonic() - begun
        return answer

    def authorize(self, **changes: str) -> httpx.Response:
        """The login server sends the browser to the proxy."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": REDIRECT_URI,
            "scope": SCOPES,
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
            **changes,
        }
        where = self.browser.get(f"https://{NAME}/.well-known/openid-configuration").json()
        asked = {key: value for key, value in query.items() if value}
        return self.timed("authorize", "GET", where["authorization_endpoint"], params=asked)

    def discover(self, word: str) -> str:
        """The page of institutions, of which the person picks the first that has the word in its name."""
        answer = self.authorize()
        assert answer.status_code == 303, answer.text
        page = self.timed("discovery page", "GET", answer.headers["location"])
        assert page.status_code == 200
        target = re.search(r'data-return="([^"]+)"', page.text)
        assert target is not None
        index = self.timed("discovery index", "GET", urljoin(str(page.url), "institutions.json")).json()
        chosen = next(entry for entry in index if word in " ".join(entry["names"].values()))
        sent = self.timed("to the institution", "GET", target[1], params={"entityID": chosen["id"]})
        assert sent.status_code in (302, 303), sent.text
        assert urlsplit(sent.headers["location"]).hostname != NAME, sent.headers["location"]
        return sent.headers["location"]

    def login_page(self, word: str) -> httpx.Response:
        """The institution's login page."""
        return self.timed("login page", "GET", self.discover(word))

    def log_in(self, word: str, login: str, password: str) -> dict[str, str]:
        """Log in at the institution; returns what its page sends back to the proxy."""
        page = self.login_page(word)
        assert page.status_code == 200, page.text
        action = re.search(r'<form method="post" action="([^"]+)"', page.text)
        assert action is not None, page.text
        form = {**hidden_fields(page.text), "login": login, "password": password}
        answer = self.timed("password", "POST", urljoin(str(page.url), action[1]), data=form)
        assert answer.status_code == 200, answer.text
        return hidden_fields(answer.text)

    def answer(self, fields: dict[str, str]) -> httpx.Response:
        """Bring the institution's answer back to the proxy."""
        return self.timed("back", "POST", f"https://{NAME}/saml/acs/post", data=fields)

    def code(self, answer: httpx.Response) -> str:
        """The code for the login server in the proxy's answer."""
        assert answer.status_code == 303, answer.text
        query = returned(answer)
        assert query.get("state") == self.state
        assert "code" in query, query
        return query["code"]

    def tokens(self, code: str, secret: str, **changes: str) -> httpx.Response:
        """The login server asks for the tokens."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": self.verifier,
            **changes,
        }
        return self.timed("tokens", "POST", f"https://{NAME}/oidc/token", data=form, auth=(CLIENT_ID, secret))

    def person(self, access_token: str) -> dict[str, Any]:
        """What the login server learns of the person."""
        bearer = {"Authorization": f"Bearer {access_token}"}
        return dict(self.timed("person", "GET", f"https://{NAME}/oidc/userinfo", headers=bearer).json())


def hidden_fields(page: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found}


def returned(answer: httpx.Response) -> dict[str, str]:
    """The query with which the proxy sends the browser back to the login server."""
    location = answer.headers["location"]
    assert location.startswith(f"{REDIRECT_URI}?"), location
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
