"""`/application/o/<slug>/end-session/`: an application says that somebody logs out."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from ...models.core import APPLICATION as APPLICATION_MODEL
from ...models.core import FLOW
from ...store import Row, Tx
from .. import plan as plans
from ..call import Call, with_query
from ..executor import Executor, brand_flow
from ..keys import BadTokenError
from ..outcomes import Leave, Outcome, Show
from ..plan import APPLICATION, Run, Step
from ..redirects import registered
from ..sessions import Session
from ..stages import Stage
from ..web import Web, bad_request, go
from . import grants
from .claims import issuer, signing_key
from .discovery import provider_of_slug

END_STEP, ADDRESS = "session-end", "post_logout_redirect_uri"


@dataclass(frozen=True)
class Logout:
    """The view."""

    web: Web
    executor: Executor

    def view(self, tx: Tx, call: Call, session: Session) -> Response:
        """End the application's tokens of this session and run its invalidation flow, whoever has logged in.

        The browser goes back only to an address that is registered for logouts, and only with an ID token of
        this provider as hint.
        """
        provider = provider_of_slug(tx, call.path_values["slug"])
        if provider is None:
            return bad_request("Not Found", "There is no such application.", 404)
        try:
            address = _address(tx, call, provider)
        except ValueError as problem:
            return bad_request("invalid_request", str(problem))
        flow = tx.get(FLOW, provider["invalidation_flow"]) or brand_flow(tx, "invalidation")
        application = tx.find(APPLICATION_MODEL, slug=call.path_values["slug"])
        if flow is None or application is None:
            return bad_request("Not Found", "There is no flow for invalidation.", 404)
        if session.row is not None:
            for token in tx.select(grants.ACCESS, provider=provider["pk"], session=session.row["pk"]):
                tx.delete(grants.ACCESS, token["pk"])
        context = {APPLICATION: application["pk"], ADDRESS: address, "is_redirected": True}
        try:
            self.executor.start(tx, call, session, flow, context, Step(kind=END_STEP))
        except plans.NotApplicableError as refused:
            return bad_request("Permission denied", "\n".join(refused.messages), 403)
        outcome = self.executor.show(tx, call, session, flow)
        if isinstance(outcome, Leave):
            return go(outcome.address)
        return go(f"/if/flow/{flow['slug']}/")


def _address(tx: Tx, call: Call, provider: Row) -> str:
    given: Mapping[str, str] = call.parameters
    hint, address = given.get("id_token_hint", ""), given.get("post_logout_redirect_uri", "")
    if hint:
        try:
            claims = signing_key(tx, provider).read(hint)
        except BadTokenError as problem:
            raise ValueError("id_token_hint is no token of this provider.") from problem
        if claims.get("aud") != provider["client_id"] or claims.get("iss") != issuer(tx, call, provider):
            raise ValueError("id_token_hint was issued to another client.")
    if not address or not any(one.get("redirect_uri_type") == "logout" for one in provider["redirect_uris"]):
        # As upstream: without any address registered for logouts, the parameter is passed by.
        return ""
    if not hint:
        raise ValueError("post_logout_redirect_uri needs an id_token_hint.")
    if not registered(address, provider["redirect_uris"], "logout"):
        raise ValueError("post_logout_redirect_uri is not registered.")
    return with_query(address, state=given["state"]) if given.get("state") else address


def _end(run: Run, stage: Row) -> Outcome:
    address = str(run.plan.context.get(ADDRESS) or "")
    if address:
        return Leave(address)
    application = run.tx.get(APPLICATION_MODEL, str(run.plan.context.get(APPLICATION)))
    return Show(
        {
            "component": "ak-stage-session-end",
            "application_name": application["name"] if application else "",
            "application_launch_url": application["meta_launch_url"] if application else "",
            "invalidation_flow_url": "/flows/-/default/invalidation/",
        }
    )


STAGES = {END_STEP: Stage(_end)}
