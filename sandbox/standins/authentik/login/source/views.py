"""`/source/oauth/login/<slug>/` and `/source/oauth/callback/<slug>/`."""

import hmac
import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ... import clock, events
from ...models.connections import CONNECTION, OAUTH_SOURCE
from ...models.core import FLOW
from ...store import Row, Tx
from .. import pkce, policies
from .. import plan as plans
from ..call import Call, read
from ..executor import PLAN, Executor
from ..expressions import ExpressionError
from ..flow_pages import brand_title
from ..outcomes import Done, Outcome
from ..plan import (
    APPLICATION,
    IS_SSO,
    METHOD,
    PENDING_USER,
    PROMPT_DATA,
    REDIRECT,
    SOURCE,
    SOURCE_CONNECTION,
    USER_PATH,
    Run,
    Step,
)
from ..sessions import Session
from ..stages import Stage
from ..web import Web, go, page
from .matching import Match, match
from .properties import properties_of
from .provider import Client, Pending, SourceError

LOG = logging.getLogger("authentik.sources.oauth")
PENDING, CONNECTION_STEP = "oauth_source", "source-connection"


@dataclass(frozen=True)
class SourceViews:
    """The views of sources. Their providers are asked outside of transactions."""

    web: Web
    executor: Executor

    async def login(self, request: Request) -> Response:
        """Send the browser to the source's provider."""
        return await run_in_threadpool(self._login, await read(request))

    def _login(self, call: Call) -> Response:
        slug = call.path_values["slug"]
        with self.web.store.read() as tx:
            source = _source(tx, slug)
        if source is None:
            return self.web.in_session(
                call, lambda tx, session: _refused(tx, "There is no such source.", 404)
            )
        pending = Pending(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=pkce.make_verifier(),
            redirect_uri=call.url(f"/source/oauth/callback/{slug}/"),
        )
        try:
            address = Client(source).authorization_url(pending)
        except SourceError as problem:
            text = str(problem)
            return self.web.in_session(call, lambda tx, session: self._failed(tx, call, source, text))

        def begin(tx: Tx, session: Session) -> Response:
            begun = session.data.get(PLAN)
            kept = {key: begun["context"].get(key) for key in (REDIRECT, APPLICATION)} if begun else {}
            session.data[PENDING] = {"slug": slug, "pending": asdict(pending), "kept": kept}
            return go(address)

        return self.web.in_session(call, begin)

    async def callback(self, request: Request) -> Response:
        """Take the browser back, and begin the flow that its person needs."""
        return await run_in_threadpool(self._callback, await read(request))

    def _callback(self, call: Call) -> Response:
        slug = call.path_values["slug"]
        taken: dict[str, Any] = {}

        def take(tx: Tx, session: Session) -> Response | None:
            # A state is good for one answer, whatever comes of it.
            taken["begun"] = session.data.pop(PENDING, None)
            taken["source"] = _source(tx, slug)
            return None

        self.web.in_session(call, take)
        source, begun = taken["source"], taken["begun"]
        if source is None:
            return self.web.in_session(
                call, lambda tx, session: _refused(tx, "There is no such source.", 404)
            )
        try:
            info = _answered(call, source, begun)
        except SourceError as problem:
            text = str(problem)
            return self.web.in_session(call, lambda tx, session: self._failed(tx, call, source, text))
        return self.web.in_session(
            call, lambda tx, session: self._enter(tx, call, session, source, begun=begun, info=info)
        )

    def _failed(self, tx: Tx, call: Call, source: Row, reason: str) -> Response:
        LOG.warning("source %s: %s", source["slug"], reason)
        context = {"message": reason, "source": events.describe(source)}
        events.record(
            tx, "login_failed", "authentik.sources.oauth.views.callback", None, context, call.client_ip
        )
        return _refused(tx, f"Authentication failed: {reason}.")

    def _enter(
        self,
        tx: Tx,
        call: Call,
        session: Session,
        source: Row,
        *,
        begun: Mapping[str, Any],
        info: Mapping[str, Any],
    ) -> Response:
        settings, identifier = self.web.settings, str(info["sub"])
        result = policies.check(
            tx,
            str(source["pk"]),
            str(source["policy_engine_mode"]),
            plans.asker(settings, call, session.user, {"oauth_userinfo": dict(info)}),
        )
        if not result.passing:
            return _refused(tx, "\n".join(result.messages) or "This source does not let you in.")
        try:
            properties = properties_of(tx, settings, call, source, info)
        except ExpressionError:
            return _refused(
                tx, "What your institution says of you cannot be read. The operators have been told."
            )
        decision = match(tx, source, identifier, properties, session.user)
        if decision.action == "deny":
            return _refused(
                tx,
                f"Request to authenticate with {source['name']} has been denied. Please authenticate with the"
                " source you've previously signed up with.",
            )
        if decision.action == "link" and session.user is not None:
            _connect(tx, call, source, identifier, session.user)
            return go("/if/user/")
        context: dict[str, Any] = {
            **{key: value for key, value in dict(begun["kept"]).items() if value},
            SOURCE_CONNECTION: {"source": source["pk"], "identifier": identifier},
            PROMPT_DATA: properties,
        }
        return self._flow(tx, call, session, source, decision=decision, context=context)

    def _flow(
        self,
        tx: Tx,
        call: Call,
        session: Session,
        source: Row,
        *,
        decision: Match,
        context: dict[str, Any],
    ) -> Response:
        enrols = decision.action == "enroll"
        flow = tx.get(FLOW, source["enrollment_flow" if enrols else "authentication_flow"] or "-")
        if flow is None:
            purpose = "enrollment" if enrols else "authentication"
            return _refused(tx, f"Source is not configured for {purpose}.")
        if decision.user is not None and not decision.user["is_active"]:
            return self._failed(tx, call, source, "this account is not active")
        context |= {
            IS_SSO: True,
            METHOD: "auth_source",
            SOURCE: {"pk": source["pk"], "name": source["name"], "slug": source["slug"]},
            USER_PATH: str(source["user_path_template"]).replace("%(slug)s", str(source["slug"])),
            "is_redirected": True,
        }
        if decision.user is not None:
            context[PENDING_USER] = decision.user["pk"]
        try:
            self.executor.start(tx, call, session, flow, context, Step(kind=CONNECTION_STEP))
        except plans.NotApplicableError as refused:
            return _refused(tx, "\n".join(refused.messages))
        return go(f"/if/flow/{flow['slug']}/")


def _source(tx: Tx, slug: str) -> Row | None:
    source = tx.find(OAUTH_SOURCE, slug=slug)
    return source if source is not None and source["enabled"] else None


def _answered(call: Call, source: Row, begun: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the provider says of the person, after all checks of the answer that the browser brought."""
    if begun is None or begun["slug"] != source["slug"]:
        raise SourceError("no login was begun in this browser")
    pending = Pending(**begun["pending"])
    if not hmac.compare_digest(call.query.get("state", "").encode(), pending.state.encode()):
        raise SourceError("the state does not belong to this browser")
    if "error" in call.query:
        raise SourceError(
            f"the provider answered {call.query.get('error_description') or call.query['error']}"
        )
    if not call.query.get("code"):
        raise SourceError("the provider gave no code")
    return Client(source).person(pending, call.query["code"])


def _refused(tx: Tx, message: str, status: int = 200) -> Response:
    return page("denied.html", status, title="Permission denied", brand=brand_title(tx), message=message)


def _connect(tx: Tx, call: Call, source: Row | Mapping[str, Any], identifier: str, user: Row) -> None:
    known = tx.find(CONNECTION, source=source["pk"], identifier=identifier)
    if known is not None:
        tx.update(CONNECTION, known["pk"], {"last_updated": clock.now()})
        return
    tx.insert(CONNECTION, {"user": user["pk"], "source": source["pk"], "identifier": identifier})
    context = {"source": {"pk": source["pk"], "name": source["name"]}, "identifier": identifier}
    events.record(tx, "source_linked", "authentik.core.sources.stage", user, context, call.client_ip)


def _keep_connection(run: Run, stage: Row) -> Outcome:
    """After everything else: the identity at the source belongs to the person of this flow from now on."""
    user = run.user
    if user is not None:
        connection = run.plan.context[SOURCE_CONNECTION]
        _connect(run.tx, run.call, run.plan.context[SOURCE], str(connection["identifier"]), user)
    return Done()


STAGES = {CONNECTION_STEP: Stage(_keep_connection)}
