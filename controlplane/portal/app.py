"""The portal's pages."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.middleware.sessions import SessionMiddleware

from controlplane.model import Platform, Portal
from controlplane.portal.login import SESSION_SECONDS, Login, LoginError, visitor_of
from controlplane.portal.standing import ROLES, standings

_HERE = Path(__file__).parent

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' {login}; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}


def application(platform: Platform, portal: Portal) -> FastAPI:
    """The portal of a platform.

    Raises SecretError when the client's secret cannot be read, and BadInputError when the authority cannot.
    """
    secret = portal.client_secret.reveal()
    login = Login(portal, secret)
    pages = Jinja2Templates(_HERE / "templates")
    pages.env.globals.update(title=platform.title, roles=ROLES)
    app = FastAPI(title=platform.title, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(
        SessionMiddleware,
        # A key of its own, which follows from the one secret that the portal has.
        secret_key=hmac.digest(secret.encode(), b"sessions of the portal", hashlib.sha256).hex(),
        session_cookie="__Host-bic-portal",
        max_age=SESSION_SECONDS,
        same_site="lax",
        https_only=True,
    )
    app.mount("/static", StaticFiles(directory=_HERE / "static"), "static")
    address = urlsplit(portal.issuer)
    headers = {
        name: text.format(login=f"{address.scheme}://{address.netloc}") for name, text in _HEADERS.items()
    }

    @app.middleware("http")
    async def harden(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await answer(request)
        response.headers.update(headers)
        return response

    @app.exception_handler(LoginError)
    async def failed(request: Request, error: LoginError) -> Response:
        return pages.TemplateResponse(request, "failed.html", {"reason": str(error)}, status_code=502)

    @app.get("/")
    async def home(request: Request) -> Response:
        visitor = visitor_of(request)
        if visitor is None:
            return pages.TemplateResponse(request, "welcome.html")
        held = standings(platform, visitor.groups)
        return pages.TemplateResponse(request, "home.html", {"visitor": visitor, "standings": held})

    @app.get("/login")
    async def begin(request: Request) -> Response:
        return await login.begin(request)

    @app.get("/login/callback")
    async def end(request: Request) -> Response:
        await login.end(request)
        return RedirectResponse("/", status_code=303)

    @app.post("/logout")
    async def logout(request: Request) -> Response:
        request.session.clear()
        return RedirectResponse(await login.logout_url(), status_code=303)

    @app.get("/-/ready")
    async def ready() -> Response:
        return PlainTextResponse("ready\n")

    return app
