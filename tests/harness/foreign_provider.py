"""A foreign OpenID Connect provider, which can be made to lie."""

import base64
import contextlib
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID, CLIENT_SECRET = "authentik", "a secret of the source"


@dataclass
class ForeignProvider:
    """Who logs in there next, and in what the provider is wrong."""

    url: str
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "pairwise-1"})
    lies: dict[str, Any] = field(default_factory=dict)
    """Claims of the ID token that are not as they should be."""
    userinfo_sub: str | None = None
    foreign_key: bool = False
    state: str | None = None
    error: str | None = None
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"}))
    asked: dict[str, str] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def honest(self) -> None:
        """Tell the truth again."""
        self.lies, self.userinfo_sub, self.foreign_key, self.state, self.error = {}, None, False, None, None

    async def discovery(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "jwks_uri": f"{self.url}/jwks",
            }
        )

    async def jwks(self, request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def authorize(self, request: Request) -> Response:
        self.asked = dict(request.query_params)
        answer = {"state": self.state or self.asked["state"]}
        if self.error:
            answer["error"] = self.error
        else:
            answer["code"] = secrets.token_urlsafe(8)
            self.codes[answer["code"]] = self.asked
        return RedirectResponse(f"{self.asked['redirect_uri']}?{urlencode(answer)}", 302)

    async def token(self, request: Request) -> Response:
        form = await request.form()
        wanted = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = self.codes.pop(str(form.get("code")), None)
        digest = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if request.headers.get("authorization") != f"Basic {wanted}":
            return JSONResponse({"error": "invalid_client"}, 401)
        if (
            asked is None
            or asked["redirect_uri"] != form["redirect_uri"]
            or asked["code_challenge"] != challenge
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": self.person["sub"],
            "nonce": asked["nonce"],
            "iat": int(time.time()),
            "exp": int(time.time()) + 300,
            **self.lies,
        }
        key = RSAKey.generate_key(2048, {"kid": "k1"}) if self.foreign_key else self.key
        id_token = jwt.encode(
            {"alg": "RS256", "kid": "k1"}, {k: v for k, v in claims.items() if v is not None}, key
        )
        return JSONResponse({"access_token": "opaque", "token_type": "Bearer", "id_token": id_token})

    async def userinfo(self, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer opaque":
            return JSONResponse({"error": "invalid_token"}, 401)
        return JSONResponse({**self.person, "sub": self.userinfo_sub or self.person["sub"]})


@contextlib.contextmanager
def running_provider() -> Iterator[ForeignProvider]:
    """Run it in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    provider = ForeignProvider(f"http://127.0.0.1:{listener.getsockname()[1]}")
    application = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", provider.discovery),
            Route("/jwks", provider.jwks),
            Route("/authorize", provider.authorize),
            Route("/token", provider.token, methods=["POST"]),
            Route("/userinfo", provider.userinfo),
        ]
    )
    server = uvicorn.Server(
        uvicorn.Config(application, log_level="warning", access_log=False, lifespan="off")
    )
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(timeout=60)
