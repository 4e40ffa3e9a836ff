"""The paths of the login, which the server mounts before those of the API."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from ..settings import Settings
from ..store import Store
from . import drafts
from .executor import Executor
from .flow_api import FlowApi
from .flow_pages import FlowPages
from .oauth import authorize, logout
from .oauth.authorize import Authorize
from .oauth.discovery import Discovery
from .oauth.logout import Logout
from .oauth.resources import Resources, not_post
from .oauth.tokens import Tokens
from .source import views as source_views
from .source.views import SourceViews
from .web import Web


def routes(settings: Settings, store: Store) -> Sequence[BaseRoute]:
    """The routes; makes the tables that the login has for itself."""
    drafts.prepare(store)
    web = Web(settings, store)
    executor = Executor(settings, {**authorize.STAGES, **logout.STAGES, **source_views.STAGES})
    return [*_flows(web, executor), *_oauth(web, executor), *_sources(web, executor)]


def _flows(web: Web, executor: Executor) -> list[Route]:
    pages, interface = FlowPages(executor), FlowApi(executor)
    views = {
        "/": pages.root,
        "/if/user/": pages.library,
        "/flows/-/default/authentication/": pages.default_authentication,
        "/flows/-/default/invalidation/": pages.default_invalidation,
        "/flows/-/cancel/": pages.cancel,
        "/if/flow/{slug}/": pages.show,
        "/api/v3/flows/executor/{slug}/": interface.show,
    }
    answers = {"/if/flow/{slug}/": pages.answer, "/api/v3/flows/executor/{slug}/": interface.answer}
    return [
        *(Route(path, web.with_session(view), methods=["GET", "HEAD"]) for path, view in views.items()),
        *(Route(path, web.with_session(view), methods=["POST"]) for path, view in answers.items()),
    ]


def _oauth(web: Web, executor: Executor) -> list[Route]:
    resources, discovery = Resources(web), Discovery(web)
    root = "/application/o"
    return [
        Route(
            f"{root}/authorize/",
            web.with_session(Authorize(web, executor).view),
            methods=["GET", "HEAD", "POST"],
        ),
        Route(f"{root}/token/", web.without_session(Tokens(web).view), methods=["POST"]),
        Route(f"{root}/userinfo/", web.without_session(resources.userinfo), methods=["GET", "HEAD", "POST"]),
        Route(f"{root}/introspect/", web.without_session(resources.introspect), methods=["POST"]),
        Route(f"{root}/revoke/", web.without_session(resources.revoke), methods=["POST"]),
        *(
            Route(f"{root}/{name}/", web.without_session(not_post), methods=["GET", "HEAD"])
            for name in ("token", "introspect", "revoke")
        ),
        Route(
            f"{root}/{{slug}}/.well-known/openid-configuration",
            web.without_session(discovery.document, writes=False),
        ),
        Route(f"{root}/{{slug}}/jwks/", web.without_session(discovery.keys, writes=False)),
        Route(
            f"{root}/{{slug}}/end-session/",
            web.with_session(Logout(web, executor).view),
            methods=["GET", "HEAD", "POST"],
        ),
    ]


def _sources(web: Web, executor: Executor) -> list[Route]:
    views = SourceViews(web, executor)
    return [
        Route("/source/oauth/login/{slug}/", views.login),
        Route("/source/oauth/callback/{slug}/", views.callback),
    ]
