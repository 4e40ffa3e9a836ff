"""Passwords and app passwords."""

from collections.abc import Sequence

from ... import accounts, events, passwords
from ...store import Row
from .. import throttle
from ..outcomes import Answer, Denied, Done, Outcome, Show, wrong
from ..plan import METHOD, METHOD_ARGS, PENDING_IDENTIFIER, Run

INBUILT, TOKENS = "authentik.core.auth.InbuiltBackend", "authentik.core.auth.TokenBackend"
TRIES = "password_tries"
# Checked for names that nobody has, so that those take as long as others.
_NOBODYS = passwords.make("nobody's")


def begin(run: Run, stage: Row) -> Outcome:
    """Ask for the password."""
    return Show({"component": "ak-stage-password", "allow_show_password": stage["allow_show_password"]})


def take(run: Run, stage: Row, answer: Answer) -> Outcome:
    """Check it; after too many wrong ones the flow ends."""
    identifier = str(run.plan.context.get(PENDING_IDENTIFIER, ""))
    method = authenticate(run, run.user, identifier, answer.text("password"), stage["backends"])
    if method is None:
        tries = int(run.plan.context.get(TRIES, 0)) + 1
        run.plan.context[TRIES] = tries
        if tries > int(stage["failed_attempts_before_cancel"]):
            return Denied("Too many wrong passwords.")
        return wrong("password", "Invalid password")
    run.plan.context.pop(TRIES, None)
    run.plan.context[METHOD] = method
    return Done()


def authenticate(
    run: Run, user: Row | None, identifier: str, password: str, backends: Sequence[str]
) -> str | None:
    """How the password proves that it is this person: `password`, `token`, or None when it does not.

    A failed try is an event and is counted; after too many the right password is refused too, for a while.
    """
    subject = identifier if user is None else str(user["username"])
    blocked = throttle.is_blocked(run.tx, subject, run.call)
    method = _method(run, user, password, backends)
    if blocked or method is None or user is None or not user["is_active"]:
        if not blocked:
            throttle.failed(run.tx, subject, run.call)
        _record(run, user, subject, blocked=blocked)
        return None
    throttle.succeeded(run.tx, subject, run.call)
    return method


def _method(run: Run, user: Row | None, password: str, backends: Sequence[str]) -> str | None:
    if user is None:
        passwords.check(password, _NOBODYS)
        return None
    if INBUILT in backends and accounts.check_password(run.tx, user, password):
        return "password"
    if TOKENS in backends and accounts.check_app_password(run.tx, user, password):
        run.plan.context[METHOD_ARGS] = {"token": True}
        return "token"
    return None


def _record(run: Run, user: Row | None, subject: str, *, blocked: bool) -> None:
    context = {
        "username": subject,
        "password": "********************",
        "http_request": {
            "args": {},
            "path": run.call.path,
            "method": run.call.method,
            "user_agent": run.call.user_agent,
        },
    }
    if blocked:
        context["message"] = "Too many failed logins; refused unseen."
    events.record(run.tx, "login_failed", "authentik.events.signals", user, context, run.call.client_ip)
