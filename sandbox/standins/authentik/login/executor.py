"""Runs a flow: from one stage to the next, until somebody must be asked or it ends."""

from collections.abc import Mapping
from typing import Any

from ..models.core import BRAND, FLOW
from ..models.flows import STAGE_BINDING
from ..settings import Settings
from ..store import Row, Tx
from . import plan as plans
from .call import Call
from .outcomes import Again, Answer, Denied, Done, End, Leave, Outcome, Show
from .plan import PENDING_IDENTIFIER, PENDING_USER, REDIRECT, NotApplicableError, Plan, Run, Step
from .redirects import local_path
from .sessions import Session
from .stages import Stage, of_kind

PLAN = "plan"
DENIED = "ak-stage-access-denied"
REDIRECT_COMPONENT = "xak-flow-redirect"


class Executor:
    """Runs flows; `in_memory` are the stages that other parts of the login add to plans."""

    def __init__(self, settings: Settings, in_memory: Mapping[str, Stage]) -> None:
        self._settings = settings
        self._in_memory = in_memory

    def start(
        self, tx: Tx, call: Call, session: Session, flow: Row, context: Mapping[str, Any], *added: Step
    ) -> None:
        """Plan a flow into the session, with steps after those of the flow.

        Raises:
            NotApplicableError: this person may not start it.
        """
        who = plans.asker(self._settings, call, session.user, context)
        plan = plans.make(tx, flow, who, session)
        plan.steps.extend(added)
        session.data[PLAN] = plan.to_json()

    def show(self, tx: Tx, call: Call, session: Session, flow: Row) -> End:
        """Where somebody is in a flow, which is begun if it was not."""
        run = self._run(tx, call, session, flow)
        return run if isinstance(run, Denied) else self._finish(run, self._advance(run))

    def answer(self, tx: Tx, call: Call, session: Session, flow: Row, answer: Answer) -> End | Done:
        """Take an answer: `Done` when it was right and the flow goes on, else what to show."""
        run = self._run(tx, call, session, flow)
        if isinstance(run, Denied):
            return run
        asked = self._advance(run)
        if not isinstance(asked, Show) or not run.plan.steps:
            return self._finish(run, asked)
        row, stage = self._current(run)
        outcome = Done() if stage.take is None else stage.take(run, row, answer)
        match outcome:
            case Done():
                run.plan.steps.pop(0)
                run.plan.errors = {}
                session.data[PLAN] = run.plan.to_json()
                return outcome
            case Again():
                run.plan.errors = dict(outcome.errors)
                return self._finish(run, self._begin(run))
            case _:
                return self._finish(run, outcome)

    def _run(self, tx: Tx, call: Call, session: Session, flow: Row) -> Run | Denied:
        kept = session.data.get(PLAN)
        if kept is None or kept["flow"] != flow["slug"]:
            address = local_path(call.query.get("next", ""))
            context: dict[str, Any] = {REDIRECT: address} if address else {}
            try:
                self.start(tx, call, session, flow, context)
            except NotApplicableError as refused:
                return Denied("\n".join(refused.messages) or "Flow does not apply to current user.")
            kept = session.data[PLAN]
        return Run(tx, self._settings, call, session, flow, Plan.from_json(kept))

    def _current(self, run: Run) -> tuple[Row, Stage]:
        """The stage of the first step; one that the plan added itself has no row."""
        row = plans.next_stage(run)
        return (
            ({}, self._in_memory[run.plan.steps[0].kind])
            if row is None
            else (row, of_kind(str(row["model"])))
        )

    def _advance(self, run: Run) -> Outcome:
        """Pass stages until one asks, denies or leads away, or none is left."""
        while True:
            outcome = self._begin(run)
            if not isinstance(outcome, Done) or not run.plan.steps:
                return outcome
            run.plan.steps.pop(0)
            run.plan.errors = {}

    def _begin(self, run: Run) -> Outcome:
        plans.next_stage(run)
        if not run.plan.steps:
            return Leave(str(run.plan.context.get(REDIRECT) or "/"))
        row, stage = self._current(run)
        return stage.begin(run, row)

    def _finish(self, run: Run, outcome: Outcome) -> End:
        match outcome:
            case Show():
                run.session.data[PLAN] = run.plan.to_json()
                return Show(self._complete(run, outcome.challenge))
            case Leave():
                run.session.data.pop(PLAN, None)
                return outcome
            case Denied():
                restart = self._restarts(run)
                run.session.data.pop(PLAN, None)
                return Leave(f"/if/flow/{run.flow['slug']}/") if restart else outcome
            case _:
                raise AssertionError(outcome)

    def _restarts(self, run: Run) -> bool:
        if not run.plan.steps:
            return False
        binding = run.tx.get(STAGE_BINDING, run.plan.steps[0].binding)
        return binding is not None and binding["invalid_response_action"] != "retry"

    def _complete(self, run: Run, challenge: Mapping[str, Any]) -> dict[str, Any]:
        complete = {"flow_info": flow_info(run.flow), **challenge, "response_errors": run.plan.errors}
        if not run.plan.errors:
            del complete["response_errors"]
        if PENDING_USER in run.plan.context or PENDING_IDENTIFIER in run.plan.context:
            user = run.user
            shown = run.plan.context.get(PENDING_IDENTIFIER) or (user["username"] if user else "")
            complete |= {
                "pending_user": shown,
                "pending_user_avatar": "/static/dist/assets/images/user_default.png",
            }
        return complete


def flow_info(flow: Row) -> dict[str, Any]:
    """What challenges say of their flow."""
    return {
        "title": flow["title"],
        "background": flow["background"] or "/static/dist/assets/images/flow_background.jpg",
        "background_themed_urls": None,
        "cancel_url": "/flows/-/cancel/",
        "layout": flow["layout"],
    }


def flow_of_slug(tx: Tx, slug: str) -> Row | None:
    """The flow of a slug."""
    return tx.find(FLOW, slug=slug)


def brand_flow(tx: Tx, purpose: str) -> Row | None:
    """The flow that the brand has for a purpose, else the first of that designation by its slug."""
    brand = tx.find(BRAND, default=True)
    if brand is not None and brand[f"flow_{purpose}"]:
        return tx.get(FLOW, brand[f"flow_{purpose}"])
    found = sorted(tx.select(FLOW, designation=purpose), key=lambda row: str(row["slug"]))
    return found[0] if found else None
