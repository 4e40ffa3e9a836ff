"""The portal's pages."""

import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.middleware.sessions import SessionMiddleware

from controlplane.model import Identity, Platform, Portal
from controlplane.portal.forms import ForgedFormError, new_key
from controlplane.portal.gate import RefusedError
from controlplane.portal.login import SESSION_SECONDS, Login, LoginError, LoginNeededError, visitor_of
from controlplane.portal.standing import ROLES, standings
from controlplane.portal.team_pages import team_pages
from controlplane.portal.teams import Teams
from controlplane.systems.authentik.client import AuthentikError, Client, Endpoint

_HERE = Path(__file__).parent

LOG = logging.getLogger("controlplane.portal")

ANSWER_SECONDS = 15.0
"""How long the pages wait for the login server."""

_FORBIDDEN = 403

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


def application(platform: Platform, identity: Identity, portal: Portal) -> FastAPI:
    """The portal of a platform.

    Raises SecretError when one of its secrets cannot be read, and BadInputError when the authority cannot.
    """
    secret = portal.client_secret.reveal()
    login = Login(portal, secret)
    server = Endpoint(
        identity.url.rstrip("/"), portal.token.reveal(), identity.ca_file, ANSWER_SECONDS, identity.addresses
    )
    teams = Teams(platform, Client(server))
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

    def refused(request: Request, status: int, heading: str, reason: str, back: str) -> Response:
        given = {"title_of_page": heading, "reason": reason, "back": back}
        return pages.TemplateResponse(request, "refused.html", given, status_code=status)

    @app.exception_handler(LoginNeededError)
    async def must_log_in(request: Request, error: LoginNeededError) -> Response:
        return RedirectResponse(f"/login?back={quote(error.back, safe='')}", status_code=303)

    @app.exception_handler(RefusedError)
    async def may_not(request: Request, error: RefusedError) -> Response:
        return refused(request, error.status, error.heading, str(error), "/teams")

    @app.exception_handler(ForgedFormError)
    async def forged(request: Request, error: ForgedFormError) -> Response:
        LOG.warning("a form at %s was not the session's own", quote(request.url.path))
        reason = "This form is no longer valid. Nothing was changed. Open the page again."
        return refused(request, 403, "Nothing was changed", reason, "/teams")

    @app.exception_handler(AuthentikError)
    async def unanswered(request: Request, error: AuthentikError) -> Response:
        LOG.warning("%s", error)
        reason = "The login service does not answer. Look again in a minute whether something was changed."
        if error.status == _FORBIDDEN:
            reason = "The login service does not let the portal do this. Tell the national team."
        return refused(request, 502, "That did not work", reason, "/teams")

    app.include_router(team_pages(platform, teams, pages))

    @app.get("/")
    async def home(request: Request) -> Response:
        visitor = visitor_of(request)
        if visitor is None:
            return pages.TemplateResponse(request, "welcome.html")
        held = standings(platform, visitor.groups)
        return pages.TemplateResponse(request, "home.html", {"visitor": visitor, "standings": held})

    @app.get("/login")
    async def begin(request: Request, back: str = "/") -> Response:
        return await login.begin(request, back)

    @app.get("/login/callback")
    async def end(request: Request) -> Response:
        _, back = await login.end(request)
        new_key(request)
        return RedirectResponse(back, status_code=303)

    @app.post("/logout")
    async def logout(request: Request) -> Response:
        request.session.clear()
        return RedirectResponse(await login.logout_url(), status_code=303)

    @app.get("/-/ready")
    async def ready() -> Response:
        return PlainTextResponse("ready\n")

    return app
