"""Plans: the stages of a flow that are still to be passed, and what they tell each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import accounts
from ..models.core import USER
from ..models.flows import STAGE, STAGE_BINDING, target_of
from ..settings import Settings
from ..store import Row, Tx
from . import policies
from .call import Call
from .expressions import Record
from .policies import Asker
from .sessions import Session

# Upstream's pages and blueprints know these keys of a plan's context.
PENDING_USER, PENDING_IDENTIFIER = "pending_user", "pending_user_identifier"
PROMPT_DATA, REDIRECT, APPLICATION = "prompt_data", "redirect", "application"
IS_SSO, SOURCE, SOURCE_CONNECTION = "is_sso", "source", "goauthentik.io/sources/connection"
USER_PATH, METHOD, METHOD_ARGS = "user_path", "auth_method", "auth_method_args"
OAUTH = "goauthentik.io/providers/oauth2/params"
CONSENT_HEADER, CONSENT_PERMISSIONS = "consent_header", "consent_permissions"


@dataclass(frozen=True)
class Step:
    """A stage of a plan: one of the store, or (with `kind`) one that a plan adds itself."""

    kind: str = ""
    stage: str = ""
    binding: str = ""


@dataclass
class Plan:
    """What is left of a flow."""

    flow: str
    """Its slug."""
    steps: list[Step] = field(default_factory=list)
    context: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, Any] = field(default_factory=dict)
    """What was wrong with the last answer."""

    def to_json(self) -> dict[str, Any]:
        """The plan as a session keeps it."""
        steps = [[step.kind, step.stage, step.binding] for step in self.steps]
        return {"flow": self.flow, "steps": steps, "context": self.context, "errors": self.errors}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Plan":
        """The plan that a session kept."""
        steps = [Step(*values) for values in data["steps"]]
        return cls(data["flow"], steps, dict(data["context"]), dict(data["errors"]))


class NotApplicableError(Exception):
    """Somebody may not start a flow; the messages say why."""

    def __init__(self, messages: tuple[str, ...]) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


@dataclass
class Run:
    """One request to a flow: all that stages work with."""

    tx: Tx
    settings: Settings
    call: Call
    session: Session
    flow: Row
    plan: Plan

    @property
    def user(self) -> Row | None:
        """Whom the plan is about: somebody identified in it, else who has logged in."""
        pending = self.plan.context.get(PENDING_USER)
        if pending is not None:
            return self.tx.get(USER, pending)
        return self.session.user

    def asker(self, **context: object) -> Asker:
        """For whom policies are asked at this point."""
        return asker(self.settings, self.call, self.user, {**self.plan.context, **context})


def asker(settings: Settings, call: Call, user: Row | None, context: Mapping[str, Any]) -> Asker:
    """For whom policies are asked in a request."""
    return Asker(user, settings.secret_key, call.client_ip, call.path, call.method, context)


def make(tx: Tx, flow: Row, who: Asker, session: Session) -> Plan:
    """Plan a flow for somebody.

    Raises:
        NotApplicableError: the flow's policies or its demand for a login refuse.
    """
    _check_authentication(tx, flow, who, session)
    result = policies.check(tx, target_of(flow, "authentik_flows.flow"), str(flow["policy_engine_mode"]), who)
    if not result.passing:
        raise NotApplicableError(result.messages)
    steps = []
    for binding in sorted(tx.select(STAGE_BINDING, target=flow["pk"]), key=lambda row: int(row["order"])):
        if binding["evaluate_on_plan"] and not _applies(tx, binding, who):
            continue
        steps.append(Step(stage=str(binding["stage"]), binding=str(binding["pk"])))
    return Plan(str(flow["slug"]), steps, dict(who.context))


def _check_authentication(tx: Tx, flow: Row, who: Asker, session: Session) -> None:
    wanted, user = flow["authentication"], session.user
    refused = {
        "require_authenticated": user is None,
        "require_unauthenticated": user is not None,
        "require_superuser": user is None or not accounts.is_superuser(tx, user["pk"]),
        # These need an outpost's token, a recovery token or another flow before; none of them is made here.
        "require_outpost": not who.context.get("is_outpost"),
        "require_token": True,
        "require_redirect": not who.context.get("is_redirected"),
    }
    if refused.get(wanted, False):
        raise NotApplicableError((f"Flow requires: {wanted.removeprefix('require_')}.",))


def _applies(tx: Tx, binding: Row, who: Asker) -> bool:
    target = target_of(binding, STAGE_BINDING)
    return policies.check(tx, target, str(binding["policy_engine_mode"]), who).passing


def next_stage(run: Run) -> Row | None:
    """The stage of the first step, or None for a step without one; steps whose policies refuse go.

    Policies are asked here for bindings with `re_evaluate_policies`: what earlier stages found out counts.
    """
    while run.plan.steps:
        step = run.plan.steps[0]
        if not step.binding:
            return run.tx.require(STAGE, step.stage) if step.stage else None
        binding = run.tx.get(STAGE_BINDING, step.binding)
        if binding is None:
            run.plan.steps.pop(0)
            continue
        if binding["re_evaluate_policies"] and not _applies(
            run.tx, binding, run.asker(flow_plan=Record("flow plan", context=run.plan.context))
        ):
            run.plan.steps.pop(0)
            continue
        return run.tx.require(STAGE, step.stage)
    return None
