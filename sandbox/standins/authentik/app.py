"""The web application: the REST API under `/api/v3`, the health checks, and what others mount beside them."""

import json
import logging
import re
import sqlite3
import uuid
from collections.abc import Sequence
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as WebRoute

from . import accounts, api, metrics
from .http import Answer, ApiError, Call, Route
from .models.core import USER
from .settings import Settings
from .store import Row, Store, Tx

_LOG = logging.getLogger("authentik")
SESSION_COOKIE, CSRF_COOKIE = "authentik_session", "authentik_csrf"
_READING = {"GET", "HEAD", "OPTIONS"}
_COMMON = {"x-frame-options": "DENY", "vary": "Accept-Language, Cookie"}
_INTEGERS = (-(2**63), 2**64 - 1)


def create(settings: Settings, store: Store, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the application; `routes` come before its own, for what people meet: logins, OAuth."""
    interface = Api(settings, store)
    every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[
            *routes,
            WebRoute("/-/health/live/", healthy, methods=["GET", "HEAD"]),
            WebRoute("/-/health/ready/", interface.ready, methods=["GET", "HEAD"]),
            WebRoute("/api/v3/{path:path}", interface.endpoint, methods=every),
            WebRoute("/{path:path}", unknown, methods=every),
        ]
    )


async def healthy(request: Request) -> Response:
    """Answer that the server lives."""
    return HTMLResponse("", headers=_COMMON)


async def unknown(request: Request) -> Response:
    """Answer that there is nothing at a path."""
    return _no_page(request.method, 404)


def _no_page(method: str, status: int) -> Response:
    """Answer an error without JSON: a page to readers, and to writers what hides every such error, 405."""
    if method in _READING:
        text = {404: "Not Found", 500: "Server Error"}[status]
        page = (
            f"<!DOCTYPE html>\n<html><head><title>authentik</title></head><body><h1>{text}</h1></body></html>"
        )
        return HTMLResponse(page, status, headers=_COMMON)
    return HTMLResponse("", 405, headers={**_COMMON, "allow": "GET, HEAD, OPTIONS"})


class Api:
    """The REST API."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.routes = api.routes()

    async def ready(self, request: Request) -> Response:
        """Answer whether the database can be read."""
        try:
            await run_in_threadpool(self._look)
        except sqlite3.Error:
            _LOG.exception("the database cannot be read")
            return HTMLResponse("", 503, headers=_COMMON)
        return HTMLResponse("", headers=_COMMON)

    def _look(self) -> None:
        with self.store.read() as tx:
            tx.count(USER)

    async def endpoint(self, request: Request) -> Response:
        """Answer a request."""
        raw = await request.body()
        answer = await run_in_threadpool(self.answer, request, raw)
        metrics.RESPONSES.labels(str(answer.status_code)).inc()
        return answer

    def answer(self, request: Request, raw: bytes) -> Response:  # noqa: PLR0911 - one for each outcome
        """Answer a request, in one transaction."""
        method = request.method
        path = request.url.path.removeprefix("/api/v3/")
        found = self._find(path)
        if found is None:
            return _no_page(method, 404)
        matched, parameters = found
        headers = {**_COMMON, "allow": matched.allow, "x-authentik-id": uuid.uuid4().hex}
        try:
            answer = self._run(matched, parameters, request, raw)
        except ApiError as error:
            return _json(error.body, error.status, headers, method)
        except Exception:
            _LOG.exception("unhandled error in %s %s", method, path)
            return _no_page(method, 500)
        if answer.status == 204:
            return Response(status_code=204, headers=headers)
        headers |= answer.headers
        if answer.media_type != "application/json":
            return Response(answer.body, answer.status, headers, answer.media_type)
        try:
            return _json(answer.body, answer.status, headers, method)
        except OverflowError:
            return _no_page(method, 500)

    def _find(self, path: str) -> tuple[Route, dict[str, str]] | None:
        for candidate in self.routes:
            if match := candidate.pattern.fullmatch(path):
                return candidate, match.groupdict()
        return None

    def _run(self, matched: Route, parameters: dict[str, str], request: Request, raw: bytes) -> Answer:
        method = "GET" if request.method == "HEAD" else request.method
        begin = self.store.read if method in _READING else self.store.write
        with begin() as tx:
            user, session = self._caller(tx, request)
            if user is None and not matched.public:
                raise ApiError(403, {"detail": "Authentication credentials were not provided."})
            if method == "OPTIONS":
                return Answer({"renders": ["application/json"], "parses": ["application/json"]})
            if method not in matched.handlers:
                raise ApiError(405, {"detail": f'Method "{request.method}" not allowed.'})
            accept = request.headers.get("accept", "*/*")
            if not re.search(r"\*/\*|application/(\*|json)", accept):
                raise ApiError(406, {"detail": "Could not satisfy the request Accept header."})
            call = Call(
                tx=tx,
                settings=self.settings,
                method=method,
                path=request.url.path,
                parameters=parameters,
                query=parse_qs(request.url.query, keep_blank_values=True),
                headers=request.headers,
                raw=raw,
                user=user,
                session=session,
                client_ip=client_ip(request),
                base_url=base_url(request),
            )
            return matched.handlers[method](call)

    def _caller(self, tx: Tx, request: Request) -> tuple[Row | None, Row | None]:
        """Return who asks, by token or by session.

        Raises:
            ApiError: the token is none, or the session's request may have been forged.
        """
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and credentials.strip():
            token = accounts.token_of_key(tx, credentials.strip(), "api") or accounts.oauth_token(
                tx, credentials.strip()
            )
            if token is None:
                raise ApiError(403, {"detail": "Token invalid/expired"})
            return tx.require(USER, token["user"]), None
        session = accounts.session_of_key(tx, request.cookies.get(SESSION_COOKIE, ""))
        if session is None:
            return None, None
        sent = request.headers.get("x-authentik-csrf", "")
        if request.method not in _READING and (not sent or sent != request.cookies.get(CSRF_COOKIE)):
            raise ApiError(403, {"detail": "CSRF Failed: CSRF token missing."})
        return tx.require(USER, session["user"]), session


def client_ip(request: Request) -> str:
    """Return the address of the client, by the proxy before us if there is one."""
    forwarded = request.headers.get("x-forwarded-for", "").partition(",")[0].strip()
    return forwarded or (request.client.host if request.client else "255.255.255.255")


def base_url(request: Request) -> str:
    """Return the address under which the client reaches us, without a slash at its end."""
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "localhost")
    return f"{scheme}://{host}"


def _json(body: object, status: int, headers: dict[str, str], method: str) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if method in _READING and re.search(r"\d{19}|e\+\d\d", text):
        _check_integers(body)
    content = b"" if method == "HEAD" else text.encode()
    return Response(content, status, headers, "application/json")


def _check_integers(value: object) -> None:
    """Refuse numbers that the real server cannot write either.

    Raises:
        OverflowError: there is one.
    """
    if isinstance(value, dict):
        for item in value.values():
            _check_integers(item)
    elif isinstance(value, list):
        for item in value:
            _check_integers(item)
    elif isinstance(value, int | float) and value == value // 1 and not _INTEGERS[0] <= value <= _INTEGERS[1]:
        raise OverflowError(value)
