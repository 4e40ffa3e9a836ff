"""The server: Grafana's API, its metrics, and plain pages that say what this is.

Source: Grafana's HTTP API reference. What it does not have is answered with 404 as Grafana answers an unknown
path, or with 501 where Grafana would do something that the stand-in does not.
"""

import base64
import binascii
import html
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from . import dashboards, sources
from .accounts import Accounts
from .dashboards import Dashboard, Dashboards
from .release import VERSION
from .settings import Settings
from .sources import DataSource

COOKIE = "grafana_session"
NOTICE = "STAND-IN, not Grafana: it lists dashboards and draws none of them."
_UNAUTHORIZED = {
    "message": "Unauthorized",
    "messageId": "auth.unauthorized",
    "statusCode": 401,
    "traceID": "",
}
_WRONG_PASSWORD = {
    "message": "Invalid username or password",
    "messageId": "password-auth.failed",
    "statusCode": 401,
    "traceID": "",
}


@dataclass
class Grafana:
    """What a running server knows."""

    settings: Settings
    accounts: Accounts
    sources: Mapping[str, DataSource]
    dashboards: Dashboards


def open_all(settings: Settings) -> Grafana:
    """Read what a start reads.

    Raises SettingsError, ProvisioningError and OSError, with which nothing starts.
    """
    accounts = Accounts(settings.database)
    accounts.first(settings.text("security", "admin_user"), settings.text("security", "admin_password"))
    found = Dashboards(dashboards.read(settings.provisioning / "dashboards"))
    found.all()
    return Grafana(settings, accounts, sources.read(settings.provisioning / "datasources"), found)


def create(grafana: Grafana) -> Starlette:
    """Return the application."""
    pages = Pages(grafana)
    routes = [
        Route("/api/health", pages.health),
        Route("/metrics", pages.metrics),
        Route("/login", pages.login_page, methods=["GET"]),
        Route("/login", pages.login, methods=["POST"]),
        Route("/login/{provider}", pages.elsewhere),
        Route("/logout", pages.logout),
        Route("/api/datasources", pages.signed_in(pages.data_sources)),
        Route("/api/datasources/uid/{uid}", pages.signed_in(pages.data_source)),
        Route("/api/datasources/uid/{uid}/health", pages.signed_in(pages.data_source_health)),
        Route("/api/search", pages.signed_in(pages.search)),
        Route("/api/dashboards/uid/{uid}", pages.signed_in(pages.dashboard), methods=["GET"]),
        Route("/api/dashboards/db", pages.signed_in(pages.save), methods=["POST"]),
        Route(
            "/api/{path:path}",
            pages.signed_in(pages.unknown),
            methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        ),
        Route("/", pages.signed_in(pages.overview)),
        Route("/dashboards", pages.signed_in(pages.overview)),
        Route("/d/{uid}", pages.signed_in(pages.panels)),
        Route("/d/{uid}/{slug}", pages.signed_in(pages.panels)),
    ]
    return Starlette(routes=routes)


class Pages:
    """What answers each path."""

    def __init__(self, grafana: Grafana) -> None:
        self.grafana = grafana
        self.settings = grafana.settings

    # Who asks

    def signed_in(
        self, answer: Callable[[Request], Response | Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Answer only those who say who they are; others are sent to the login, or refused by the API."""

        async def guarded(request: Request) -> Response:
            if await run_in_threadpool(self._knows, request):
                # What waits for a Prometheus waits in a thread of its own.
                found = await run_in_threadpool(answer, request)
                return self._framed(found if isinstance(found, Response) else await found)
            if not request.url.path.startswith("/api/"):
                return self._framed(RedirectResponse("/login", 302))
            return self._framed(
                JSONResponse(_WRONG_PASSWORD if "authorization" in request.headers else _UNAUTHORIZED, 401)
            )

        return guarded

    def _knows(self, request: Request) -> bool:
        if request.cookies.get(COOKIE, "") in self.grafana.accounts.sessions:
            return True
        given = _basic(request)
        return bool(
            given and self.settings.flag("auth.basic", "enabled") and self.grafana.accounts.knows(*given)
        )

    def _framed(self, answer: Response) -> Response:
        """The headers that every answer has."""
        if self.settings.flag("security", "strict_transport_security"):
            age = self.settings.number("security", "strict_transport_security_max_age_seconds")
            answer.headers["Strict-Transport-Security"] = f"max-age={age}"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["X-Frame-Options"] = "deny"
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def health(self, _: Request) -> Response:
        """Say that it runs."""
        return self._framed(JSONResponse({"database": "ok", "version": VERSION, "commit": "stand-in"}))

    def metrics(self, request: Request) -> Response:
        """Give the metrics, to who has the password for them."""
        if not self.settings.flag("metrics", "enabled"):
            return self._framed(JSONResponse({"message": "Not found"}, 404))
        wanted = tuple(
            self.settings.text("metrics", f"basic_auth_{part}") for part in ("username", "password")
        )
        if all(wanted) and _basic(request) != wanted:
            return self._framed(Response(status_code=401))
        registry = CollectorRegistry()
        Gauge(
            "grafana_build_info",
            "A metric with a constant '1' value labeled by version.",
            ["version", "edition"],
            registry=registry,
        ).labels(VERSION, "stand-in").set(1)
        Gauge("grafana_stat_totals_dashboard", "total amount of dashboards", registry=registry).set(
            len(self.grafana.dashboards.all())
        )
        Gauge("grafana_stat_total_datasources", "total amount of data sources", registry=registry).set(
            len(self.grafana.sources)
        )
        return self._framed(
            Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
        )

    # The API

    def data_sources(self, _: Request) -> Response:
        """List the data sources."""
        return JSONResponse([source.shown for source in self.grafana.sources.values()])

    def data_source(self, request: Request) -> Response:
        """Show one data source; of its secrets, the names."""
        source = self.grafana.sources.get(request.path_params["uid"])
        if source is None:
            return JSONResponse({"message": "Data source not found"}, 404)
        return JSONResponse({**source.shown, "secureJsonFields": dict.fromkeys(source.secrets, True)})

    def data_source_health(self, request: Request) -> Response:
        """Ask a data source whether it answers."""
        source = self.grafana.sources.get(request.path_params["uid"])
        if source is None:
            return JSONResponse({"message": "Data source not found"}, 404)
        status, body = source.health()
        return JSONResponse(body, status)

    def search(self, request: Request) -> Response:
        """Find dashboards and folders by type, tag and words of the title."""
        query = request.query_params
        found = self.grafana.dashboards.all().values()
        entries = [*_folders(found), *map(_hit, found)]
        types, tags, words = query.getlist("type"), query.getlist("tag"), query.get("query", "").lower()
        entries = [
            entry
            for entry in entries
            if (not types or entry["type"] in types)
            and set(tags) <= set(entry["tags"])
            and words in entry["title"].lower()
        ]
        entries.sort(key=lambda entry: (entry["type"] != "dash-folder", entry["title"].lower()))
        try:
            limit = int(query.get("limit", "1000"))
        except ValueError:
            return JSONResponse({"message": "limit is no number"}, 400)
        return JSONResponse(entries[:limit])

    def dashboard(self, request: Request) -> Response:
        """Show one dashboard as Grafana has it."""
        found = self.grafana.dashboards.all().get(request.path_params["uid"])
        if found is None:
            return JSONResponse({"message": "Dashboard not found"}, 404)
        meta = {
            "type": "db",
            "canSave": found.editable,
            "canEdit": True,
            "slug": found.slug,
            "url": found.url,
            "folderUid": found.folder_uid,
            "folderTitle": found.folder,
            "provisioned": True,
            "provisionedExternalId": found.file,
        }
        return JSONResponse({"meta": meta, "dashboard": {**found.model, "uid": found.uid}})

    async def save(self, request: Request) -> Response:
        """Refuse to save: what is provisioned comes from files, and the stand-in has nothing else."""
        try:
            uid = (await request.json())["dashboard"].get("uid")
        except (ValueError, TypeError, KeyError, AttributeError):
            return JSONResponse({"message": "bad request data"}, 400)
        found = self.grafana.dashboards.all().get(uid)
        if found and not found.editable:
            return JSONResponse({"message": "Cannot save provisioned dashboard"}, 400)
        return JSONResponse({"message": "The stand-in saves no dashboards"}, 501)

    def unknown(self, _: Request) -> Response:
        """Answer a path that there is not."""
        return JSONResponse({"message": "Not found"}, 404)

    # Pages

    def overview(self, _: Request) -> Response:
        """List the dashboards."""
        found = sorted(self.grafana.dashboards.all().values(), key=lambda made: (made.folder, made.title))
        lines = [
            f'<li><a href="{_safe(made.url)}">{_safe(made.title)}</a>'
            f" {_safe(str(made.model.get('description') or ''))} <small>{_safe(made.folder)}</small></li>"
            for made in found
        ]
        return _page("Dashboards", f"<ul>{''.join(lines)}</ul>" if lines else "<p>There are none.</p>")

    def panels(self, request: Request) -> Response:
        """List a dashboard's panels with what each asks."""
        found = self.grafana.dashboards.all().get(request.path_params["uid"])
        if found is None:
            return _page("Dashboard not found", "", 404)
        rows = []
        for panel in _panels(found.model):
            asked = "".join(
                f"<br><code>{_safe(str(each.get('expr', '')))}</code>" for each in panel.get("targets") or ()
            )
            rows.append(f"<li>{_safe(str(panel.get('title') or panel.get('type')))}{asked}</li>")
        return _page(found.title, f"<ol>{''.join(rows)}</ol>")

    def login_page(self, _: Request) -> Response:
        """Ask for the administrator's password."""
        form = (
            '<form method="post" action="/login"><p><label>Account <input name="user" required></label>'
            ' <label>Password <input name="password" type="password" required></label>'
            " <button>Log in</button></p></form>"
        )
        if self.settings.flag("auth.generic_oauth", "enabled"):
            name = _safe(self.settings.text("auth.generic_oauth", "name"))
            form += f'<p><a href="/login/generic_oauth">Sign in with {name}</a></p>'
        return self._framed(_page("Log in", form))

    async def login(self, request: Request) -> Response:
        """Begin a session, for a form of the page as for a client of the API."""
        raw = await request.body()
        is_json = request.headers.get("content-type", "").startswith("application/json")
        try:
            given = (
                json.loads(raw)
                if is_json
                else {key: value[-1] for key, value in parse_qs(raw.decode()).items()}
            )
            user, password = str(given["user"]), str(given["password"])
        except (ValueError, TypeError, KeyError):
            return self._framed(JSONResponse({"message": "bad login data"}, 400))
        if not await run_in_threadpool(self.grafana.accounts.knows, user, password):
            return self._framed(JSONResponse(_WRONG_PASSWORD, 401))
        answer: Response = (
            JSONResponse({"message": "Logged in", "redirectUrl": "/"})
            if is_json
            else RedirectResponse("/", 303)
        )
        answer.set_cookie(
            COOKIE,
            self.grafana.accounts.enter(user),
            httponly=True,
            secure=self.settings.flag("security", "cookie_secure"),
            samesite=self.settings.text("security", "cookie_samesite"),  # type: ignore[arg-type]
        )
        return self._framed(answer)

    def logout(self, request: Request) -> Response:
        """End a session."""
        self.grafana.accounts.sessions.pop(request.cookies.get(COOKIE, ""), None)
        answer = RedirectResponse("/login", 302)
        answer.delete_cookie(COOKIE)
        return self._framed(answer)

    def elsewhere(self, request: Request) -> Response:
        """Say that nobody can come in by another server."""
        if request.path_params["provider"] != "generic_oauth" or not self.settings.flag(
            "auth.generic_oauth", "enabled"
        ):
            return self._framed(_page("Page not found", "", 404))
        return self._framed(_page("Log in", "<p>The stand-in has no login by another server.</p>", 501))


def _basic(request: Request) -> tuple[str, str] | None:
    """The name and password of HTTP's basic authentication."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, separator, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if separator else None


def _hit(found: Dashboard) -> dict[str, Any]:
    return {
        "uid": found.uid,
        "title": found.title,
        "uri": f"db/{found.slug}",
        "url": found.url,
        "slug": "",
        "type": "dash-db",
        "tags": list(found.tags),
        "isStarred": False,
        "folderUid": found.folder_uid,
        "folderTitle": found.folder,
    }


def _folders(found: Iterable[Dashboard]) -> list[dict[str, Any]]:
    folders = {made.folder_uid: made.folder for made in found if made.folder}
    return [
        {
            "uid": uid,
            "title": title,
            "url": f"/dashboards/f/{uid}",
            "type": "dash-folder",
            "tags": [],
            "isStarred": False,
        }
        for uid, title in folders.items()
    ]


def _panels(model: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """A dashboard's panels, those in rows too."""
    for panel in model.get("panels") or ():
        yield panel
        yield from panel.get("panels") or ()


def _page(title: str, body: str, status: int = 200) -> Response:
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{_safe(title)} - Grafana (stand-in)</title>"
        f'<p role="note"><strong>{NOTICE}</strong></p><h1>{_safe(title)}</h1>{body}'
        '<p><a href="/dashboards">Dashboards</a></p></html>'
    )
    return HTMLResponse(text, status)


def _safe(text: str) -> str:
    return html.escape(text)
