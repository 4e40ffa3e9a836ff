"""Flows, stages, policies, and the bindings between them."""

import re
from typing import Any

from ..http import Answer, Call, Route, invalid, route
from ..login import policies
from ..login.expressions import ExpressionError
from ..models.core import FLOW, GROUP, USER
from ..models.flows import BINDING, POLICY, PROMPT, STAGE, STAGE_BINDING, TARGETS
from ..models.registry import by_name, family_members
from ..store import Row, Tx, column
from . import users
from .views import Views, plain

_PATHS = {
    "authentik_stages_identification.identificationstage": "stages/identification",
    "authentik_stages_password.passwordstage": "stages/password",
    "authentik_stages_prompt.promptstage": "stages/prompt/stages",
    "authentik_stages_user_write.userwritestage": "stages/user_write",
    "authentik_stages_user_login.userloginstage": "stages/user_login",
    "authentik_stages_user_logout.userlogoutstage": "stages/user_logout",
    "authentik_stages_consent.consentstage": "stages/consent",
    "authentik_stages_authenticator_validate.authenticatorvalidatestage": "stages/authenticator/validate",
    "authentik_stages_authenticator_totp.authenticatortotpstage": "stages/authenticator/totp",
    "authentik_stages_authenticator_static.authenticatorstaticstage": "stages/authenticator/static",
    "authentik_stages_deny.denystage": "stages/deny",
    "authentik_policies_expression.expressionpolicy": "policies/expression",
    "authentik_policies_event_matcher.eventmatcherpolicy": "policies/event_matcher",
    "authentik_policies_password.passwordpolicy": "policies/password",
}
_BACKGROUND = "/static/dist/assets/images/flow_background.jpg"


def any_of(name: str, given: list[str]) -> tuple[str, list[Any]]:
    """Return the condition that a field has one of some values."""
    return f"{column(name)} IN ({','.join('?' * len(given))})", list(given)


def flow_summary(flow: Row) -> dict[str, Any]:
    """Return a flow as stages show it."""
    names = (
        "pk",
        "policybindingmodel_ptr_id",
        "name",
        "slug",
        "title",
        "designation",
        "policy_engine_mode",
        "compatibility_mode",
        "layout",
        "denied_action",
    )
    return {name: flow[name] for name in names} | {
        "background_url": flow["background"] or _BACKGROUND,
        "background_themed_urls": None,
        "export_url": f"/api/v3/flows/instances/{flow['slug']}/export/",
    }


def represent_flows(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return flows as the API shows them."""
    shown = []
    for item, row in zip(plain(call, rows), rows, strict=True):
        stages = call.tx.rows(STAGE_BINDING, f"{column('target')} = ?", [row["pk"]], order=("order",))
        bound = call.tx.select(BINDING, target=row["policybindingmodel_ptr_id"])
        shown.append(
            item
            | flow_summary(row)
            | {
                "stages": [binding["stage"] for binding in stages],
                "policies": [binding["policy"] for binding in bound if binding["policy"]],
                "cache_count": 0,
            }
        )
    return shown


FLOWS = Views(
    model=by_name(FLOW),
    path="flows/instances",
    represent=represent_flows,
    filter_fields=("name", "slug", "designation", "denied_action"),
    filters={"flow_uuid": lambda call, given: ("pk = ?", [given[-1]])},
)


def represent_stages(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return stages as the API shows them, with the flows that they are in."""
    shown = []
    for item in plain(call, rows):
        targets = [binding["target"] for binding in call.tx.select(STAGE_BINDING, stage=item["pk"])]
        flows = call.tx.many(FLOW, targets).values()
        item["flow_set"] = [flow_summary(flow) for flow in flows]
        if item["meta_model_name"].endswith("authenticatorvalidatestage"):
            item |= {"webauthn_allowed_device_types": [], "webauthn_allowed_device_types_obj": []}
        shown.append(item)
    return shown


def _stage_summary(call: Call, pk: str) -> dict[str, Any]:
    item = represent_stages(call, [call.tx.require(STAGE, pk)])[0]
    names = ("pk", "name", "component", "verbose_name", "verbose_name_plural", "meta_model_name", "flow_set")
    return {name: item[name] for name in names}


def represent_stage_bindings(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return bindings of stages as the API shows them."""
    return [item | {"stage_obj": _stage_summary(call, item["stage"])} for item in plain(call, rows)]


STAGE_BINDINGS = Views(
    model=by_name(STAGE_BINDING),
    path="flows/bindings",
    represent=represent_stage_bindings,
    filter_fields=("target", "stage", "order", "policy_engine_mode", "invalid_response_action"),
)
ALL_STAGES = Views(
    model=by_name(STAGE),
    path="stages/all",
    represent=represent_stages,
    methods=("list", "retrieve", "destroy", "used_by"),
    filter_fields=("name",),
)


def represent_prompts(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return prompts as the API shows them."""
    stage = "authentik_stages_prompt.promptstage"
    shown = []
    for item in plain(call, rows):
        keys = call.tx.linked_from(stage, "fields", [item["pk"]]).get(item["pk"], [])
        stages = [row for row in call.tx.many(STAGE, keys).values() if row["model"] == stage]
        shown.append(item | {"prompt_stages_obj": represent_stages(call, stages)})
    return shown


PROMPTS = Views(
    model=by_name(PROMPT),
    path="stages/prompt/prompts",
    represent=represent_prompts,
    filter_fields=("field_key", "name", "label", "type", "placeholder"),
)


def represent_policies(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return policies as the API shows them, with how often they are bound."""
    return [
        item | {"bound_to": call.tx.count(BINDING, f"{column('policy')} = ?", [item["pk"]])}
        for item in plain(call, rows)
    ]


ALL_POLICIES = Views(
    model=by_name(POLICY),
    path="policies/all",
    represent=represent_policies,
    methods=("list", "retrieve", "destroy", "used_by"),
    filters={"bindings__isnull": lambda call, given: None},
)


def test_policy(call: Call) -> Answer:
    """Evaluate a policy for somebody."""
    row = ALL_POLICIES.one(call)
    user = call.tx.get(USER, call.data.get("user", -1))
    if user is None or not call.rights.has_on("authentik_core.view_user", user["pk"]):
        invalid({"user": ["Invalid user"]})
    asker = policies.Asker(
        user=user, secret_key=call.settings.secret_key, context=call.data.get("context") or {}
    )
    try:
        result = policies.policy(call.tx, row, asker)
    except ExpressionError as error:
        result = policies.Result(False, (str(error),))
    return Answer({"passing": result.passing, "messages": list(result.messages), "log_messages": []})


def target_exists(tx: Tx, key: str) -> bool:
    """Whether something has this key by which policies are bound to it."""
    return any(
        tx.exists(model, key) if name == "pk" else tx.find(model, **{name: key}) is not None
        for model, name in TARGETS.items()
    )


def validate(call: Call, instance: Row | None, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Check that a binding has a target, and exactly one thing that it binds."""
    check(call.tx, instance, cleaned)
    return cleaned


def check(tx: Tx, instance: Row | None, cleaned: dict[str, Any]) -> None:
    """Check that a binding has a target, and exactly one thing that it binds.

    Raises:
        ApiError: it has not.
    """
    together = {**(instance or {}), **cleaned}
    target = together.get("target")
    if target is not None and not target_exists(tx, str(target)):
        invalid({"target": [f'Invalid pk "{target}" - object does not exist.']})
    set_ones = [name for name in ("group", "policy", "user") if together.get(name) is not None]
    if len(set_ones) > 1:
        invalid({"non_field_errors": ["Only one of 'group', 'policy', 'user' can be set."]})
    if not set_ones:
        invalid({"non_field_errors": ["One of 'group', 'policy', 'user' must be set."]})


def represent_bindings(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return bindings as the API shows them."""
    shown = []
    for item in plain(call, rows):
        policy = call.tx.get(POLICY, item["policy"]) if item["policy"] else None
        group = call.tx.get(GROUP, item["group"]) if item["group"] else None
        user = call.tx.get(USER, item["user"]) if item["user"] else None
        shown.append(
            item
            | {
                "policy_obj": represent_policies(call, [policy])[0] if policy else None,
                "group_obj": users.group_summary(group) if group else None,
                "user_obj": users.partial(call, user) if user else None,
            }
        )
    return shown


def _target_in(call: Call, given: list[str]) -> tuple[str, list[Any]]:
    return any_of("target", [key for value in given for key in re.split(",", value)])


BINDINGS = Views(
    model=by_name(BINDING),
    path="policies/bindings",
    represent=represent_bindings,
    validate=validate,
    filter_fields=("policy", "group", "user", "target", "enabled", "order", "timeout"),
    filters={"target_in": _target_in},
)


def _kinds() -> list[Views]:
    found = []
    for base, represent in ((STAGE, represent_stages), (POLICY, represent_policies)):
        for model in family_members(base):
            extra: dict[str, Any] = {}
            if model.name.endswith("eventmatcherpolicy"):
                extra["validate"] = validate_matcher
            filters = ("name", *(name for name in model.fields if name not in model.many))
            found.append(
                Views(
                    model=model,
                    path=_PATHS[model.name],
                    represent=represent,
                    filter_fields=filters,
                    **extra,
                )
            )
    return found


def validate_matcher(call: Call, instance: Row | None, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Fail for an event matcher that looks for nothing: upstream's check of that is itself an error."""
    together = {**(instance or {}), **cleaned}
    if not any(together.get(name) for name in ("action", "client_ip", "app", "matched_model", "query")):
        raise RuntimeError("an event matcher policy that looks for nothing")
    return cleaned


def routes() -> list[Route]:
    """Return the paths of flows, stages, policies and bindings."""
    return [
        *FLOWS.routes(),
        *STAGE_BINDINGS.routes(),
        *PROMPTS.routes(),
        *(found for views in _kinds() for found in views.routes()),
        *ALL_STAGES.routes(),
        *ALL_POLICIES.routes(route("policies/all/{pk}/test/", post=test_policy)),
        *BINDINGS.routes(),
    ]
