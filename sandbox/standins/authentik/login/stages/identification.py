"""Who is it: a name or address, or the button of a source."""

from typing import Any

from ...models.connections import OAUTH_SOURCE
from ...models.core import APPLICATION as APPLICATION_MODEL
from ...models.core import FLOW, SOURCE, USER
from ...models.flows import STAGE
from ...store import Row
from ..outcomes import Answer, Done, Outcome, Show, wrong
from ..plan import APPLICATION, METHOD, PENDING_IDENTIFIER, PENDING_USER, Run
from . import password

# Upstream's fields by which people can be found.
_FIELDS = {"username": "username", "email": "email", "upn": "attributes.upn"}


def begin(run: Run, stage: Row) -> Outcome:
    """Ask for a name, and show the sources."""
    challenge: dict[str, Any] = {
        "component": "ak-stage-identification",
        "user_fields": stage["user_fields"],
        "pending_user_identifier": run.plan.context.get(PENDING_IDENTIFIER),
        "password_fields": bool(stage["password_stage"]),
        "allow_show_password": False,
        "flow_designation": run.flow["designation"],
        "captcha_stage": None,
        "primary_action": "Log in" if run.flow["designation"] == "authentication" else "Continue",
        "sources": [_button(row) for row in _sources(run, stage)],
        "show_source_labels": stage["show_source_labels"],
        "enable_remember_me": False,
        "passkey_challenge": None,
    }
    application = run.tx.get(APPLICATION_MODEL, str(run.plan.context.get(APPLICATION)))
    if application is not None:
        challenge["application_pre"] = application["name"]
    for purpose, name in (("enrollment_flow", "enroll_url"), ("recovery_flow", "recovery_url")):
        flow = run.tx.get(FLOW, stage[purpose]) if stage[purpose] else None
        if flow is not None:
            challenge[name] = f"/if/flow/{flow['slug']}/"
    return Show(challenge)


def _sources(run: Run, stage: Row) -> list[Row]:
    linked = run.tx.links(STAGE, "sources", stage["pk"])
    found = [row for row in run.tx.many(SOURCE, linked).values() if row["model"] == OAUTH_SOURCE]
    return sorted((row for row in found if row["enabled"]), key=lambda row: str(row["name"]))


def _button(source: Row) -> dict[str, Any]:
    return {
        "name": source["name"],
        "icon_url": source["icon"] or None,
        "promoted": source["promoted"],
        "challenge": {"component": "xak-flow-redirect", "to": f"/source/oauth/login/{source['slug']}/"},
    }


def take(run: Run, stage: Row, answer: Answer) -> Outcome:
    """Find the person, and check the password when the stage asks for it too.

    With `pretend_user_exists` an unknown name goes on, so that nobody learns which names there are.
    """
    identifier = answer.text("uid_field").strip()
    if not identifier:
        return wrong("non_field_errors", "No identification data provided.")
    user = _find(run, stage, identifier)
    run.plan.context[PENDING_IDENTIFIER] = identifier
    run.plan.context.pop(PENDING_USER, None)
    if stage["password_stage"]:
        backends = run.tx.require(STAGE, stage["password_stage"])["backends"]
        method = password.authenticate(run, user, identifier, answer.text("password"), backends)
        if user is None or method is None:
            return wrong("non_field_errors", "Failed to authenticate.")
        run.plan.context[METHOD] = method
    elif user is None and not stage["pretend_user_exists"]:
        return wrong("non_field_errors", "Failed to authenticate.")
    if user is not None:
        run.plan.context[PENDING_USER] = user["pk"]
    return Done()


def _find(run: Run, stage: Row, identifier: str) -> Row | None:
    for name in stage["user_fields"]:
        column = f"json_extract(data, '$.{_FIELDS[name]}')"
        condition = f"lower({column}) = lower(?)" if stage["case_insensitive_matching"] else f"{column} = ?"
        found = run.tx.rows(USER, condition, (identifier,), limit=2)
        # An e-mail address may be that of several people; then it identifies nobody.
        if len(found) == 1:
            return found[0]
    return None
