"""Forms: fields that somebody fills in, kept for the stages after them."""

import html
import logging
from typing import Any

from ...models.core import USER
from ...models.flows import PROMPT, STAGE
from ...store import Row
from .. import policies
from ..expressions import ExpressionError, evaluate
from ..outcomes import Again, Answer, Done, Outcome, Show
from ..plan import PENDING_USER, PROMPT_DATA, Run

LOG = logging.getLogger("authentik.stages.prompt")
SHOWN_ONLY = frozenset({"separator", "static", "alert_info", "alert_warning", "alert_danger"})
# What was in the form is not believed for these; the value is ours.
OURS = frozenset({"hidden", "text_read_only", "text_area_read_only", "static"})
REFUSED = frozenset({"file", "radio-button-group", "dropdown"})


def begin(run: Run, stage: Row) -> Outcome:
    """Show the form."""
    return Show({"component": "ak-stage-prompt", "fields": [_field(run, row) for row in _fields(run, stage)]})


def _fields(run: Run, stage: Row) -> list[Row]:
    found = run.tx.many(PROMPT, run.tx.links(STAGE, "fields", stage["pk"])).values()
    return sorted(found, key=lambda row: int(row["order"]))


def _field(run: Run, prompt: Row) -> dict[str, Any]:
    shown = ("field_key", "label", "type", "required", "order", "sub_text")
    return {
        **{name: prompt[name] for name in shown},
        "placeholder": _value(run, prompt, "placeholder"),
        "initial_value": _value(run, prompt, "initial_value"),
        "choices": None,
    }


def _value(run: Run, prompt: Row, name: str) -> str:
    """A placeholder or initial value, evaluated where it is an expression; what was entered counts first."""
    entered = run.plan.context.get(PROMPT_DATA, {})
    if name == "initial_value" and prompt["field_key"] in entered:
        return str(entered[prompt["field_key"]])
    if not prompt[f"{name}_expression"]:
        return str(prompt[name])
    try:
        asker = run.asker(prompt_context=entered)
        names = policies.names(run.tx, asker, [], {"prompt_context": entered})
        value = str(evaluate(str(prompt[name]), names))
        # Static text is HTML that an administrator wrote; what an expression puts into it is not.
        return html.escape(value) if prompt["type"] in SHOWN_ONLY else value
    except ExpressionError as problem:
        # As upstream: the text itself is shown then.
        LOG.warning("field %s: %s", prompt["field_key"], problem)
        return str(prompt[name])


def take(run: Run, stage: Row, answer: Answer) -> Outcome:
    """Check the form and keep its values.

    As upstream: a box that is not ticked is a value like another, so that terms must be accepted is for a
    validation policy to demand; the policy sees this form only; a key with dots makes dicts in dicts, and
    what is kept replaces what earlier stages or a source had under the same first key.
    """
    values: dict[str, Any] = {}
    errors: dict[str, list[dict[str, str]]] = {}
    for prompt in _fields(run, stage):
        key = str(prompt["field_key"])
        if prompt["type"] in SHOWN_ONLY - OURS:
            continue
        try:
            value = _taken(run, prompt, answer)
        except ValueError as problem:
            errors[key] = [{"string": str(problem), "code": "invalid"}]
            continue
        _keep(values, key.split("."), value)
        if prompt["type"] in OURS:
            values[key] = value
    if errors:
        return Again(errors)
    if text := _different_passwords(run, stage, answer):
        return Again({"non_field_errors": [{"string": text, "code": "invalid"}]})
    result = _validate(run, stage, values)
    if not result.passing:
        messages = result.messages or ("This form was not accepted.",)
        return Again({"non_field_errors": [{"string": text, "code": "invalid"} for text in messages]})
    run.plan.context[PROMPT_DATA] = {**run.plan.context.get(PROMPT_DATA, {}), **values}
    return Done()


def _keep(values: dict[str, Any], path: list[str], value: Any) -> None:  # noqa: ANN401 - what JSON can hold
    for part in path[:-1]:
        inner = values.setdefault(part, {})
        values = inner if isinstance(inner, dict) else {}
    values[path[-1]] = value


def _validate(run: Run, stage: Row, values: dict[str, Any]) -> policies.Result:
    wanted = run.tx.links(STAGE, "validation_policies", stage["pk"])
    try:
        return policies.check_list(run.tx, wanted, run.asker(prompt_data=values))
    except ExpressionError as problem:
        LOG.warning("stage %s: %s", stage["name"], problem)
        return policies.Result(False, ("The form cannot be checked.",))


def _taken(run: Run, prompt: Row, answer: Answer) -> Any:  # noqa: ANN401 - what JSON can hold
    kind, key = str(prompt["type"]), str(prompt["field_key"])
    if kind in REFUSED:
        raise ValueError(f"Fields of type {kind} are not carried out here.")
    if kind in OURS:
        return _value(run, prompt, "initial_value")
    if kind == "checkbox":
        return answer.flag(key)
    text = answer.text(key) if kind == "password" else answer.text(key).strip()
    if not text:
        if prompt["required"]:
            raise ValueError("This field is required.")
        return ""
    if kind == "number":
        if not text.removeprefix("-").isdigit():
            raise ValueError("A valid integer is required.")
        return int(text)
    if kind == "email" and ("@" not in text or " " in text):
        raise ValueError("Enter a valid email address.")
    if kind == "username":
        holder = run.tx.find(USER, username=text)
        if holder is not None and holder["pk"] != run.plan.context.get(PENDING_USER):
            raise ValueError("Username is already taken.")
    return text


def _different_passwords(run: Run, stage: Row, answer: Answer) -> str:
    keys = [str(row["field_key"]) for row in _fields(run, stage) if row["type"] == "password"]
    return "Passwords don't match." if len({answer.text(key) for key in keys}) > 1 else ""
