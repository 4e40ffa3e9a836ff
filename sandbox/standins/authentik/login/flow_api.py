"""`/api/v3/flows/executor/<slug>/`: flows for programs, such as the LDAP outpost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, RedirectResponse, Response

from .. import accounts
from ..models.connections import OUTPOST
from ..models.core import USER
from ..store import Row, Tx
from .call import Call
from .executor import DENIED, REDIRECT_COMPONENT, Executor, flow_info, flow_of_slug
from .outcomes import Denied, Done, End, Leave, answer_of
from .sessions import Session

CAN_OVERRIDE_IP = "goauthentik.io/user/can-override-ip"


@dataclass(frozen=True)
class FlowApi:
    """The views of flows as JSON."""

    executor: Executor

    def show(self, tx: Tx, call: Call, session: Session) -> Response:
        """Where the caller is in the flow."""
        flow = flow_of_slug(tx, call.path_values["slug"])
        if flow is None:
            return _missing()
        return _challenge(flow, self.executor.show(tx, _delegated(tx, call), session, flow))

    def answer(self, tx: Tx, call: Call, session: Session) -> Response:
        """Take an answer; JSON only, which no foreign page can send."""
        flow = flow_of_slug(tx, call.path_values["slug"])
        if flow is None:
            return _missing()
        if call.json is None:
            return JSONResponse({"detail": "JSON parse error"}, 400)
        outcome = self.executor.answer(tx, _delegated(tx, call), session, flow, answer_of(call))
        if isinstance(outcome, Done):
            return RedirectResponse(call.full_path, 302)
        return _challenge(flow, outcome)


def _challenge(flow: Row, outcome: End) -> Response:
    body: Mapping[str, Any]
    if isinstance(outcome, Leave):
        body = {"component": REDIRECT_COMPONENT, "to": outcome.address}
    elif isinstance(outcome, Denied):
        message = outcome.message or "Permission denied"
        body = {"flow_info": flow_info(flow), "component": DENIED, "error_message": message}
    else:
        body = outcome.challenge
    return JSONResponse(dict(body))


def _missing() -> Response:
    return JSONResponse({"detail": "No Flow matches the given query."}, 404)


def _delegated(tx: Tx, call: Call) -> Call:
    """The call with the flow's own query, and with the address of the person for whom an outpost asks.

    Only the token of an outpost's account, or of one with upstream's attribute for it, may say an address.
    """
    inner = {name: values[-1] for name, values in parse_qs(call.query.get("query", "")).items()}
    call = replace(call, query=inner)
    token = accounts.token_of_key(tx, call.headers.get("x-authentik-outpost-token", "-"), "api")
    user = tx.get(USER, token["user"]) if token else None
    if user is None:
        return call
    if not user["attributes"].get(CAN_OVERRIDE_IP) and tx.find(OUTPOST, service_account=user["pk"]) is None:
        return call
    address = call.headers.get("x-authentik-remote-ip", call.client_ip)
    return replace(call, client_ip=address, is_delegated=True)
