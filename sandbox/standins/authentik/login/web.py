"""From requests to views and back: one transaction each, the session's cookie, and headers of pages."""

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ..settings import Settings
from ..store import Store, Tx
from . import sessions
from .call import Call, read
from .sessions import Session

View = Callable[[Tx, Call, Session], Response]
PlainView = Callable[[Tx, Call], Response]
Endpoint = Callable[[Request], Awaitable[Response]]
CSRF_COOKIE = "authentik_csrf"
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)


class Web:
    """Makes endpoints of views."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store

    def in_session(self, call: Call, work: Callable[[Tx, Session], Response | None]) -> Response:
        """Do something with the browser's session, which is kept afterwards."""
        with self.store.write() as tx:
            session = sessions.load(tx, call)
            response = work(tx, session) or Response()
            token = session.csrf_token
            sessions.save(tx, session, call)
        _set_cookies(response, session, token, secure=call.is_secure)
        return response

    def with_session(self, view: View) -> Endpoint:
        """An endpoint for browsers."""

        async def endpoint(request: Request) -> Response:
            call = await read(request)
            return await run_in_threadpool(self.in_session, call, lambda tx, session: view(tx, call, session))

        return endpoint

    def without_session(self, view: PlainView, *, writes: bool = True) -> Endpoint:
        """An endpoint for programs."""

        def answer(call: Call) -> Response:
            with self.store.write() if writes else self.store.read() as tx:
                return view(tx, call)

        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(answer, await read(request))

        return endpoint


def _set_cookies(response: Response, session: Session, token: str, *, secure: bool) -> None:
    if session.is_new:
        response.set_cookie(
            sessions.COOKIE, session.key, session.max_age, secure=secure, httponly=True, samesite="lax"
        )
    # Pages that call the API with the session repeat this one in a header.
    response.set_cookie(CSRF_COOKIE, token, secure=secure, samesite="lax")
    response.headers["cache-control"] = "no-store"


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401 - what templates show
    """A page that no script of others, and no frame, gets at."""
    nonce = secrets.token_urlsafe(16)
    text = _TEMPLATES.get_template(template).render(nonce=nonce, **values)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src 'self' data:;"
        " base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
    }
    return HTMLResponse(text, status, headers)


def bad_request(title: str, message: str, status: int = 400) -> HTMLResponse:
    """A page that says what was wrong with a request."""
    return page("message.html", status, title=title, message=message)


def go(address: str) -> RedirectResponse:
    """Send the browser on, with a GET."""
    return RedirectResponse(address, 302)
