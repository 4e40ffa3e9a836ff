"""Becoming logged in, and logged out."""

from ... import clock, events
from ...models.core import SESSION
from ...store import Row
from .. import sessions
from ..outcomes import Answer, Denied, Done, Outcome, Show
from ..plan import METHOD, METHOD_ARGS, PENDING_USER, Run


def begin_login(run: Run, stage: Row) -> Outcome:
    """Log the identified person in; with `remember_me_offset` ask first whether to remember them."""
    if clock.duration(str(stage["remember_me_offset"])):
        return Show({"component": "ak-stage-user-login"})
    return _log_in(run, stage, remember=False)


def take_login(run: Run, stage: Row, answer: Answer) -> Outcome:
    """Log them in for as long as they said."""
    return _log_in(run, stage, remember=answer.flag("remember_me"))


def _log_in(run: Run, stage: Row, *, remember: bool) -> Outcome:
    if PENDING_USER not in run.plan.context or (user := run.user) is None:
        return Denied("No Pending user to login.")
    if not user["is_active"]:
        return Denied("User is not active.")
    lasts = clock.duration(str(stage["session_duration"]))
    if remember:
        lasts += clock.duration(str(stage["remember_me_offset"]))
    method = str(run.plan.context.get(METHOD, "password"))
    arguments = dict(run.plan.context.get(METHOD_ARGS, {}))
    if stage["terminate_other_sessions"]:
        for other in run.tx.select(SESSION, user=user["pk"]):
            run.tx.delete(SESSION, other["pk"])
    sessions.log_in(run.tx, run.session, run.call, user, lasts, method=method, mfa="mfa_devices" in arguments)
    context = {"auth_method": method, "auth_method_args": arguments, "http_request": {"path": run.call.path}}
    events.record(run.tx, "login", "authentik.events.signals", user, context, run.call.client_ip)
    return Done()


def begin_logout(run: Run, stage: Row) -> Outcome:
    """End the session."""
    user = run.session.user
    if user is not None:
        events.record(run.tx, "logout", "authentik.events.signals", user, {}, run.call.client_ip)
    sessions.log_out(run.tx, run.session)
    run.plan.context.pop(PENDING_USER, None)
    return Done()
