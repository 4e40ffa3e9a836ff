"""`/application/o/authorize/`: from an application to the login and back with a code."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from ... import clock, events
from ...models.core import APPLICATION as APPLICATION_MODEL
from ...models.core import FLOW
from ...models.flows import STAGE, target_of
from ...store import Row, Tx
from .. import plan as plans
from .. import policies
from ..call import Call, with_query
from ..executor import PLAN, Executor, brand_flow
from ..flow_pages import brand_title
from ..outcomes import Answer, Denied, Leave, Outcome, Show
from ..plan import APPLICATION, CONSENT_HEADER, CONSENT_PERMISSIONS, IS_SSO, OAUTH, REDIRECT, Run, Step
from ..sessions import Session
from ..stages import Stage, consent
from ..web import Web, bad_request, go, page
from . import grants, parameters
from .claims import application_of
from .errors import AuthorizeError, RequestError
from .parameters import Parameters

CONSENT_STEP, FULFIL_STEP = "oauth-consent", "oauth-fulfil"
CONSENT_STAGE = "authentik_stages_consent.consentstage"
# The login that a request wanted renewed: as long as it is the same one, nothing was renewed.
RENEW = "oauth_renew"
_ALWAYS: Row = {"mode": "always_require"}


@dataclass(frozen=True)
class Authorize:
    """The view."""

    web: Web
    executor: Executor

    def view(self, tx: Tx, call: Call, session: Session) -> Response:
        """Answer an authorization request."""
        given = call.parameters
        if not given:
            return bad_request("Not Found", "The request has no parameters.", 404)
        try:
            asked = parameters.read(tx, given)
            return self._authorize(tx, call, session, asked)
        except RequestError as problem:
            return bad_request(problem.title, problem.text)
        except AuthorizeError as problem:
            return go(problem.address)

    def _authorize(self, tx: Tx, call: Call, session: Session, asked: Parameters) -> Response:
        provider = parameters.provider_of(tx, asked.client_id)
        application = application_of(tx, provider) if provider else None
        if provider is None or application is None:
            return bad_request("Not Found", "The provider has no application.", 404)
        user = session.user
        if user is None or self._must_renew(session, asked):
            if "none" in asked.prompt:
                raise AuthorizeError(asked.redirect_uri, "login_required", asked.state)
            return self._log_in(tx, call, session, provider, application)
        context: dict[str, Any] = {
            "oauth_scopes": list(asked.scope),
            "oauth_grant_type": "authorization_code",
            "oauth_redirect_uri": asked.redirect_uri,
            "oauth_response_type": "code",
        }
        who = plans.asker(self.web.settings, call, user, context)
        target = target_of(application, APPLICATION_MODEL)
        result = policies.check(tx, target, str(application["policy_engine_mode"]), who)
        if not result.passing:
            message = "\n".join(result.messages) or "You have no access to this application."
            return page("denied.html", title=application["name"], brand=brand_title(tx), message=message)
        return self._authorization_flow(
            tx, call, session, provider=provider, application=application, asked=asked
        )

    def _must_renew(self, session: Session, asked: Parameters) -> bool:
        login = session.data.get("login", {})
        if asked.max_age is not None:
            age = clock.parse(clock.now()) - clock.parse(str(login.get("time", "1970-01-01T00:00:00Z")))
            if age.total_seconds() > asked.max_age:
                return True
        if "login" not in asked.prompt:
            return False
        if session.data.get(RENEW) in (None, login.get("id")):
            session.data[RENEW] = login.get("id")
            return True
        session.data.pop(RENEW)
        return False

    def _log_in(self, tx: Tx, call: Call, session: Session, provider: Row, application: Row) -> Response:
        flow = tx.get(FLOW, provider["authentication_flow"]) if provider["authentication_flow"] else None
        flow = flow or brand_flow(tx, "authentication")
        if flow is None:
            return bad_request("Not Found", "There is no flow for authentication.", 404)
        # What was asked by POST is asked again by GET after the login.
        query = call.query_text if call.method == "GET" else urlencode(dict(call.form))
        context = {APPLICATION: application["pk"], REDIRECT: f"{call.path}?{query}", "is_redirected": True}
        try:
            self.executor.start(tx, call, session, flow, context)
        except plans.NotApplicableError as refused:
            message = "\n".join(refused.messages)
            return page("denied.html", title=flow["title"], brand=brand_title(tx), message=message)
        return go(f"/if/flow/{flow['slug']}/?{query}")

    def _authorization_flow(
        self, tx: Tx, call: Call, session: Session, *, provider: Row, application: Row, asked: Parameters
    ) -> Response:
        flow = tx.require(FLOW, provider["authorization_flow"])
        mappings = [row for row in parameters.scopes_of(tx, provider) if row["scope_name"] in asked.scope]
        context = {
            IS_SSO: True,
            APPLICATION: application["pk"],
            OAUTH: asked.to_json(),
            CONSENT_HEADER: f"You're about to sign into {application['name']}.",
            CONSENT_PERMISSIONS: [{"id": row["scope_name"], "name": row["description"]} for row in mappings],
            "is_redirected": True,
        }
        try:
            self.executor.start(tx, call, session, flow, context)
        except plans.NotApplicableError as refused:
            message = "\n".join(refused.messages)
            return page("denied.html", title=flow["title"], brand=brand_title(tx), message=message)
        _append(tx, session, asked)
        outcome = self.executor.show(tx, call, session, flow)
        if isinstance(outcome, Leave):
            return go(outcome.address)
        if isinstance(outcome, Denied):
            return page("denied.html", title=flow["title"], brand=brand_title(tx), message=outcome.message)
        if "none" in asked.prompt:
            session.data.pop(PLAN, None)
            raise AuthorizeError(asked.redirect_uri, "consent_required", asked.state)
        return go(f"/if/flow/{flow['slug']}/?{urlencode(dict(call.parameters))}")


def _append(tx: Tx, session: Session, asked: Parameters) -> None:
    """Add to the plan: a question for consent, if one is wanted and the flow has none, and the code."""
    plan = plans.Plan.from_json(session.data[PLAN])
    rows = tx.many(STAGE, [step.stage for step in plan.steps]).values()
    if "consent" in asked.prompt and not any(row["model"] == CONSENT_STAGE for row in rows):
        plan.steps.append(Step(kind=CONSENT_STEP))
    plan.steps.append(Step(kind=FULFIL_STEP))
    session.data[PLAN] = plan.to_json()


def fulfil(run: Run, stage: Row) -> Outcome:
    """Give the code, in the way that the client asked for."""
    asked = Parameters.from_json(run.plan.context[OAUTH])
    provider = run.tx.require("authentik_core.provider", asked.provider)
    user = run.session.user
    if user is None:
        return Denied("Nobody has logged in.")
    code = grants.make_code(run.tx, provider, user, run.session, asked)
    application = application_of(run.tx, provider)
    context = {
        "flow": str(run.flow["pk"]).replace("-", ""),
        "scopes": " ".join(asked.scope),
        "authorized_application": events.describe(application) if application else None,
    }
    app = "authentik.providers.oauth2.views.authorize"
    events.record(run.tx, "authorize_application", app, user, context, run.call.client_ip)
    values = {"code": code, **({"state": asked.state} if asked.state else {})}
    match asked.response_mode:
        case "form_post":
            # The plan is over with this page; the form in it leads away.
            run.plan.steps.clear()
            return Show({"component": "ak-stage-autosubmit", "url": asked.redirect_uri, "attrs": values})
        case "fragment":
            return Leave(f"{asked.redirect_uri}#{urlencode(values)}")
        case _:
            return Leave(with_query(asked.redirect_uri, **values))


def _begin_consent(run: Run, stage: Row) -> Outcome:
    return consent.begin(run, _ALWAYS)


def _take_consent(run: Run, stage: Row, answer: Answer) -> Outcome:
    return consent.take(run, _ALWAYS, answer)


STAGES = {CONSENT_STEP: Stage(_begin_consent, _take_consent), FULFIL_STEP: Stage(fulfil)}
