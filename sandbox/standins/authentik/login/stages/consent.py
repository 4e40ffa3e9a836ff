"""May an application know what it asks for."""

import secrets

from ... import clock
from ...models.core import APPLICATION as APPLICATION_MODEL
from ...store import Row
from ..outcomes import Answer, Done, Outcome, Show, wrong
from ..plan import APPLICATION, CONSENT_HEADER, CONSENT_PERMISSIONS, Run

CONSENT = "authentik_stages_consent.userconsent"
TOKEN = "consent_token"  # noqa: S105 - a key of the plan


def begin(run: Run, stage: Row) -> Outcome:
    """Ask, unless it was given for the same before and still counts."""
    if stage["mode"] != "always_require" and _is_given(run):
        return Done()
    token = run.plan.context.setdefault(TOKEN, secrets.token_urlsafe(16))
    application = run.tx.get(APPLICATION_MODEL, str(run.plan.context.get(APPLICATION)))
    return Show(
        {
            "component": "ak-stage-consent",
            "header_text": run.plan.context.get(CONSENT_HEADER, ""),
            "application_name": application["name"] if application else "",
            "permissions": run.plan.context.get(CONSENT_PERMISSIONS, []),
            "additional_permissions": [],
            "token": token,
        }
    )


def take(run: Run, stage: Row, answer: Answer) -> Outcome:
    """Note that it was given; the answer must be to this very question."""
    if not secrets.compare_digest(answer.text("token"), str(run.plan.context.get(TOKEN))):
        return wrong("non_field_errors", "Invalid consent token, re-showing prompt")
    run.plan.context.pop(TOKEN, None)
    user = run.user
    if stage["mode"] == "always_require" or user is None:
        return Done()
    expiring = stage["mode"] == "expiring"
    values = {
        "user": user["pk"],
        "application": run.plan.context[APPLICATION],
        "permissions": _permissions(run),
        "expiring": expiring,
        "expires": clock.later(clock.duration(str(stage["consent_expire_in"]))) if expiring else None,
    }
    for old in run.tx.select(CONSENT, user=user["pk"], application=run.plan.context[APPLICATION]):
        run.tx.delete(CONSENT, old["pk"])
    run.tx.insert(CONSENT, values)
    return Done()


def _is_given(run: Run) -> bool:
    user = run.user
    if user is None or APPLICATION not in run.plan.context:
        return False
    given = run.tx.select(CONSENT, user=user["pk"], application=run.plan.context[APPLICATION])
    return any(
        row["permissions"] == _permissions(run)
        and (not row["expiring"] or row["expires"] is None or row["expires"] > clock.now())
        for row in given
    )


def _permissions(run: Run) -> str:
    return " ".join(sorted(str(one["id"]) for one in run.plan.context.get(CONSENT_PERMISSIONS, [])))
