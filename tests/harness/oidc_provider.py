"""An OpenID provider that does what a test tells it, right or wrong, over TLS on a loopback port."""

import base64
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID = "portal"
CLIENT_SECRET = "the-secret-of-the-client"


def new_key(name: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"})


@dataclass
class Provider:
    """The provider's state: who logs in, and what it does wrong."""

    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    """What the ID token says beside the usual; may replace what is usual."""
    error: str = ""
    """Send the browser back with this error instead of a code."""
    key: RSAKey = field(default_factory=lambda: new_key("published"))
    signing_key: RSAKey | None = None
    """Sign with this key instead of the one that is published."""
    down: bool = False
    """Answer nothing but that the service is unavailable."""
    asked: list[dict[str, str]] = field(default_factory=list)
    """The parameters of all authorization requests."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        return [
            Route("/o/.well-known/openid-configuration", self.metadata),
            Route("/o/jwks", self.jwks),
            Route("/o/authorize", self.authorize),
            Route("/o/token", self.token, methods=["POST"]),
        ]

    async def metadata(self, request: Request) -> Response:
        if self.down:
            return Response(status_code=503)
        base = self.issuer
        return JSONResponse(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}authorize",
                "token_endpoint": f"{base}token",
                "jwks_uri": f"{base}jwks",
                "end_session_endpoint": f"{base}end-session",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def jwks(self, request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.asked.append(asked)
        back = {"state": asked["state"]}
        if self.error:
            back["error"] = self.error
        else:
            back["code"] = secrets.token_urlsafe(16)
            self.codes[back["code"]] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back)}")

    async def token(self, request: Request) -> Response:
        sent = dict(parse_qsl((await request.body()).decode()))
        given = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {given}":
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        asked = self.codes.pop(sent["code"], None)
        digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "sub": "1", "iat": now, "exp": now + 300}
        claims |= {"nonce": asked["nonce"], **self.claims}
        key = self.signing_key or self.key
        token = jwt.encode({"alg": "RS256", "kid": "published"}, claims, key)
        answer = {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": token}
        return JSONResponse(answer)


@contextmanager
def served(make: Callable[[int], Any], certificate: Path, key: Path) -> Iterator[int]:
    """Run the ASGI application that `make` gives for a port over TLS, in a thread; gives the port."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    settings = uvicorn.Config(make(port), ssl_certfile=certificate, ssl_keyfile=key, log_level="error")
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def provider(certificate: Path, key: Path) -> Iterator[Provider]:
    """A provider that answers for the certificate's `localhost`."""
    found = Provider()

    def make(port: int) -> Starlette:
        found.issuer = f"https://localhost:{port}/o/"
        return Starlette(routes=found.routes())

    with served(make, certificate, key):
        yield found
