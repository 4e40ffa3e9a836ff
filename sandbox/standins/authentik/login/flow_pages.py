"""The pages of flows: each challenge as a form that works without scripts."""

import secrets
from dataclasses import dataclass

from starlette.responses import Response

from ..models.core import APPLICATION, BRAND
from ..store import Row, Tx
from .call import Call, with_query
from .executor import PLAN, REDIRECT_COMPONENT, Executor, brand_flow, flow_of_slug
from .outcomes import Denied, Done, End, Leave, answer_of
from .sessions import Session
from .web import bad_request, go, page

TEMPLATES = {
    "ak-stage-identification": "identification.html",
    "ak-stage-password": "password.html",
    "ak-stage-authenticator-validate": "authenticator_validate.html",
    "ak-stage-authenticator-totp": "authenticator_totp.html",
    "ak-stage-authenticator-static": "authenticator_static.html",
    "ak-stage-prompt": "prompt.html",
    "ak-stage-consent": "consent.html",
    "ak-stage-user-login": "user_login.html",
    "ak-stage-session-end": "session_end.html",
    "ak-stage-autosubmit": "autosubmit.html",
}


@dataclass(frozen=True)
class FlowPages:
    """The views of flows for browsers."""

    executor: Executor

    def show(self, tx: Tx, call: Call, session: Session) -> Response:
        """`GET /if/flow/<slug>/`: where somebody is in the flow."""
        flow = flow_of_slug(tx, call.path_values["slug"])
        if flow is None:
            return bad_request("Not Found", "There is no such flow.", 404)
        return self._render(tx, flow, session, self.executor.show(tx, call, session, flow))

    def answer(self, tx: Tx, call: Call, session: Session) -> Response:
        """`POST /if/flow/<slug>/`: an answer, from a form of ours."""
        flow = flow_of_slug(tx, call.path_values["slug"])
        if flow is None:
            return bad_request("Not Found", "There is no such flow.", 404)
        if not secrets.compare_digest(call.form.get("csrf", ""), session.csrf_token):
            return bad_request("This form has expired", "Go back, reload the page and try again.", 403)
        outcome = self.executor.answer(tx, call, session, flow, answer_of(call))
        if isinstance(outcome, Done):
            return go(call.full_path)
        return self._render(tx, flow, session, outcome)

    def _render(self, tx: Tx, flow: Row, session: Session, outcome: End) -> Response:
        if isinstance(outcome, Leave):
            return go(outcome.address)
        if isinstance(outcome, Denied):
            return page("denied.html", title=flow["title"], brand=brand_title(tx), message=outcome.message)
        challenge = outcome.challenge
        if challenge["component"] == REDIRECT_COMPONENT:
            return go(str(challenge["to"]))
        return page(
            TEMPLATES[str(challenge["component"])],
            title=_title(
                str(flow["title"]), challenge.get("application_name") or challenge.get("application_pre")
            ),
            brand=brand_title(tx),
            challenge=challenge,
            errors=challenge.get("response_errors", {}),
            csrf=session.csrf_token,
        )

    def root(self, tx: Tx, call: Call, session: Session) -> Response:
        """`/`: to the list of applications."""
        return go("/if/user/")

    def library(self, tx: Tx, call: Call, session: Session) -> Response:
        """`/if/user/`: the applications, for somebody who has logged in."""
        if session.user is None:
            return self.default(tx, call, session, "authentication", next_path="/if/user/")
        shown = [row for row in tx.select(APPLICATION) if row["meta_launch_url"] and not row["meta_hide"]]
        return page(
            "library.html",
            title="My applications",
            brand=brand_title(tx),
            user=session.user,
            applications=shown,
        )

    def default_authentication(self, tx: Tx, call: Call, session: Session) -> Response:
        """`/flows/-/default/authentication/`: to the flow by which people log in."""
        return self.default(tx, call, session, "authentication", next_path=call.query.get("next", ""))

    def default_invalidation(self, tx: Tx, call: Call, session: Session) -> Response:
        """`/flows/-/default/invalidation/`: to the flow by which people log out."""
        return self.default(tx, call, session, "invalidation", next_path="")

    def cancel(self, tx: Tx, call: Call, session: Session) -> Response:
        """`/flows/-/cancel/`: forget what was begun."""
        session.data.pop(PLAN, None)
        return go("/flows/-/default/authentication/")

    def default(self, tx: Tx, call: Call, session: Session, purpose: str, *, next_path: str) -> Response:
        """To the brand's flow for a purpose."""
        flow = brand_flow(tx, purpose)
        if flow is None:
            return bad_request("Not Found", f"There is no flow for {purpose}.", 404)
        session.data.pop(PLAN, None)
        address = f"/if/flow/{flow['slug']}/"
        return go(with_query(address, next=next_path) if next_path else address)


def brand_title(tx: Tx) -> str:
    """What the platform calls itself."""
    brand = tx.find(BRAND, default=True)
    return "authentik" if brand is None else str(brand["branding_title"])


def _title(text: str, application: object) -> str:
    return text.replace("%(app)s", str(application or "the application"))
