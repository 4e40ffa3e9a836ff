"""A second factor: codes of an authenticator app (TOTP) and recovery codes (static), checked and set up.

Other classes of devices are not carried out, nor is `last_auth_threshold`: the code is asked at each login.
"""

import secrets
import string
from typing import Any

from ... import clock, events
from ...models.flows import STAGE
from ...store import Row
from .. import throttle, totp
from ..outcomes import Answer, Denied, Done, Outcome, Show, wrong
from ..plan import METHOD_ARGS, Run, Step
from ..policies import STATIC, TOTP

SECRET, CODES = "totp_secret", "static_codes"
_ALPHABET = string.ascii_lowercase + string.digits


def begin_validation(run: Run, stage: Row) -> Outcome:
    """Ask for a code; what happens without a device is the stage's to say."""
    user = run.user
    if user is None:
        return Denied("No pending user.")
    devices = _devices(run, user, stage)
    if devices:
        return Show(
            {
                "component": "ak-stage-authenticator-validate",
                "device_challenges": [_challenge(device) for device in devices],
                "configuration_stages": [],
            }
        )
    if stage["not_configured_action"] == "skip":
        return Done()
    setups = run.tx.links(STAGE, "configuration_stages", stage["pk"])
    if stage["not_configured_action"] == "deny" or not setups:
        return Denied("No (allowed) MFA authenticator configured.")
    # As upstream: setting one up proves to have it.
    run.plan.steps.insert(1, Step(stage=str(setups[0])))
    return Done()


def _devices(run: Run, user: Row, stage: Row) -> list[Row]:
    models = [
        model for kind, model in (("totp", TOTP), ("static", STATIC)) if kind in stage["device_classes"]
    ]
    return [row for model in models for row in run.tx.select(model, user=user["pk"], confirmed=True)]


def _challenge(device: Row) -> dict[str, Any]:
    kind = "totp" if device["model"] == TOTP else "static"
    return {"device_class": kind, "device_uid": str(device["pk"]), "challenge": {}, "last_used": None}


def take_validation(run: Run, stage: Row, answer: Answer) -> Outcome:
    """Check a code against all devices; each code counts once, and wrong ones are slowed down."""
    user, code = run.user, answer.text("code").replace(" ", "")
    if user is None:
        return Denied("No pending user.")
    subject = f"mfa:{user['username']}"
    if not throttle.is_blocked(run.tx, subject, run.call):
        for device in _devices(run, user, stage):
            if _uses(run, device, code):
                throttle.succeeded(run.tx, subject, run.call)
                arguments = dict(run.plan.context.get(METHOD_ARGS, {}))
                run.plan.context[METHOD_ARGS] = {
                    **arguments,
                    "mfa_devices": [_challenge(device)["device_class"]],
                }
                return Done()
        throttle.failed(run.tx, subject, run.call)
    context = {"username": user["username"], "device_class": "mfa", "http_request": {"path": run.call.path}}
    events.record(run.tx, "login_failed", "authentik.events.signals", user, context, run.call.client_ip)
    return wrong("code", "Invalid Token. Please ensure the time on your device is accurate and try again.")


def _uses(run: Run, device: Row, code: str) -> bool:
    if device["model"] == TOTP:
        step = totp.matching_step(device["key"], code, _now(), int(device["digits"]), int(device["last_t"]))
        if step is None:
            return False
        run.tx.update(TOTP, device["pk"], {"last_t": step, "last_used": clock.now()})
        return True
    if not code or code not in device["tokens"]:
        return False
    left = [token for token in device["tokens"] if token != code]
    run.tx.update(STATIC, device["pk"], {"tokens": left})
    return True


def _now() -> float:
    return clock.parse(clock.now()).timestamp()


def begin_totp(run: Run, stage: Row) -> Outcome:
    """Show a new secret for an authenticator app."""
    user = run.user
    if user is None:
        return Denied("No pending user.")
    secret = str(run.plan.context.setdefault(SECRET, totp.make_secret()))
    uri = totp.provisioning_uri(secret, str(user["username"]), run.call.base_url, int(stage["digits"]))
    return Show({"component": "ak-stage-authenticator-totp", "config_url": uri, "secret": secret})


def take_totp(run: Run, stage: Row, answer: Answer) -> Outcome:
    """Keep the device once a code of it is right."""
    user, secret = run.user, str(run.plan.context.get(SECRET, ""))
    if user is None or not secret:
        return Denied("No pending user.")
    digits = int(stage["digits"])
    step = totp.matching_step(secret, answer.text("code").replace(" ", ""), _now(), digits)
    if step is None:
        return wrong("code", "Code does not match")
    run.plan.context.pop(SECRET)
    values = {
        "name": stage["friendly_name"] or "TOTP Authenticator",
        "user": user["pk"],
        "confirmed": True,
        "key": secret,
        "digits": digits,
        "last_t": step,
    }
    run.tx.insert(TOTP, values)
    arguments = dict(run.plan.context.get(METHOD_ARGS, {}))
    run.plan.context[METHOD_ARGS] = {**arguments, "mfa_devices": ["totp"]}
    return Done()


def begin_static(run: Run, stage: Row) -> Outcome:
    """Show new recovery codes, once."""
    if run.user is None:
        return Denied("No pending user.")
    length = int(stage["token_length"])
    made = [
        "".join(secrets.choice(_ALPHABET) for _ in range(length)) for _ in range(int(stage["token_count"]))
    ]
    codes = run.plan.context.setdefault(CODES, made)
    return Show({"component": "ak-stage-authenticator-static", "codes": codes})


def take_static(run: Run, stage: Row, answer: Answer) -> Outcome:
    """Keep the codes that were shown."""
    user, codes = run.user, run.plan.context.pop(CODES, None)
    if user is None or codes is None:
        return Denied("No pending user.")
    name = stage["friendly_name"] or "Static Token"
    run.tx.insert(STATIC, {"name": name, "user": user["pk"], "confirmed": True, "tokens": codes})
    return Done()
