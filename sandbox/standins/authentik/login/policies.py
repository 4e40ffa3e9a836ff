"""Whether somebody meets the policies that are bound to an application, a flow, a stage or a source."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import accounts
from ..models.core import GROUP, USER
from ..models.flows import BINDING, POLICY
from ..store import Row, Tx
from . import expressionscope
from .expressions import ExpressionError, Record, evaluate

LOG = logging.getLogger("authentik.policies")
EXPRESSION = "authentik_policies_expression.expressionpolicy"
PASSWORD = "authentik_policies_password.passwordpolicy"  # noqa: S105 - the name of a model
TOTP, STATIC = (
    "authentik_stages_authenticator_totp.totpdevice",
    "authentik_stages_authenticator_static.staticdevice",
)


@dataclass(frozen=True)
class Asker:
    """For whom policies are asked, and in which request."""

    user: Row | None
    secret_key: str
    client_ip: str = ""
    path: str = ""
    method: str = "GET"
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What policies said."""

    passing: bool
    messages: tuple[str, ...] = ()


def check(tx: Tx, target: str, mode: str, asker: Asker) -> Result:
    """Evaluate the bindings of a target; one without bindings passes. `mode` is `any` or `all` of them."""
    bindings = [row for row in tx.select(BINDING, target=target) if row["enabled"]]
    return _join(
        [_bound(tx, row, asker) for row in sorted(bindings, key=lambda row: int(row["order"]))], mode
    )


def check_list(tx: Tx, policies: Iterable[Any], asker: Asker) -> Result:
    """Evaluate policies without bindings, all of which must pass."""
    return _join([policy(tx, tx.require(POLICY, pk), asker) for pk in policies], "all")


def _join(results: Sequence[Result], mode: str) -> Result:
    messages = tuple(text for result in results for text in result.messages)
    if not results:
        return Result(True)
    decide = all if mode == "all" else any
    return Result(decide(result.passing for result in results), messages)


def _bound(tx: Tx, binding: Row, asker: Asker) -> Result:
    if binding["policy"]:
        try:
            found = policy(tx, tx.require(POLICY, binding["policy"]), asker)
        except ExpressionError as problem:
            LOG.warning("policy binding %s: %s", binding["pk"], problem)
            found = Result(bool(binding["failure_result"]), (str(problem),))
            return found
    elif binding["group"]:
        found = Result(asker.user is not None and is_member(tx, asker.user["pk"], binding["group"]))
    else:
        found = Result(asker.user is not None and binding["user"] == asker.user["pk"])
    return Result(not found.passing, found.messages) if binding["negate"] else found


def is_member(tx: Tx, user: int, group: str) -> bool:
    """Whether somebody is in a group or in one below it."""
    return any(found["pk"] == group for found in accounts.all_groups(tx, user))


def policy(tx: Tx, row: Row, asker: Asker) -> Result:
    """Evaluate one policy; raises `ExpressionError` for one that cannot be carried out."""
    if row["model"] == EXPRESSION:
        messages: list[str] = []
        value = evaluate(str(row["expression"]), names(tx, asker, messages))
        return Result(bool(value), tuple(messages))
    if row["model"] == PASSWORD:
        return _password(row, asker)
    raise ExpressionError(f"policies of kind {row['model']} are not carried out here")


def names(
    tx: Tx, asker: Asker, messages: list[str], extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The names that an expression may use for an asker."""
    user, context = asker.user, dict(asker.context)
    pending = tx.get(USER, context["pending_user"]) if context.get("pending_user") else None
    if pending is not None:
        context["pending_user"] = user_record(tx, pending, asker.secret_key)
    return expressionscope.names(
        user=None if user is None else user_record(tx, user, asker.secret_key),
        context=context,
        client_ip=asker.client_ip,
        path=asker.path,
        method=asker.method,
        messages=messages,
        authenticators=() if user is None else authenticators(tx, user),
        extra=extra,
    )


def user_record(tx: Tx, user: Row, secret_key: str) -> Record:
    """A person of the store as expressions see them."""
    if "pk" not in user:
        return expressionscope.user_record(user, uid="", groups=(), all_groups=())
    direct = tx.many(GROUP, accounts.groups_of(tx, user["pk"])).values()
    every = accounts.all_groups(tx, user["pk"])
    uid = accounts.uid(secret_key, user)
    return expressionscope.user_record(user, uid=uid, groups=direct, all_groups=every)


def authenticators(tx: Tx, user: Row) -> list[str]:
    """The classes of authenticators that somebody has set up."""
    kinds = (("totp", TOTP), ("static", STATIC))
    return [kind for kind, model in kinds if tx.select(model, user=user["pk"], confirmed=True)]


def _password(row: Row, asker: Asker) -> Result:
    if row["check_have_i_been_pwned"] or row["check_zxcvbn"]:
        raise ExpressionError("checks of passwords by zxcvbn and haveibeenpwned are not carried out here")
    data = asker.context.get("prompt_data") or {}
    text = str(data.get(row["password_field"], ""))
    counts = (
        (row["amount_digits"], sum(character.isdigit() for character in text)),
        (row["amount_uppercase"], sum(character.isupper() for character in text)),
        (row["amount_lowercase"], sum(character.islower() for character in text)),
        (row["amount_symbols"], sum(character in row["symbol_charset"] for character in text)),
        (row["length_min"], len(text)),
    )
    if row["check_static_rules"] and any(have < wanted for wanted, have in counts):
        return Result(False, (str(row["error_message"]),))
    return Result(True)
