"""Rules for another time or place: the queue of delayed rules in the catalogue, and how rules get there.

A hint such as `<PLUSET>30s</PLUSET><EF>1h REPEAT FOR EVER</EF>` says when and how often a rule runs.
"""

import json
import re
import time

from .catalogue import Transaction
from .errors import Code, IrodsError
from .evaluation import DELAY, REMOTE
from .microservices import string
from .microservices_data import do
from .rulescope import Arguments, Scope, microservice
from .wire import element, leaf

SUBMIT, DELETE, MODIFY, LOCK, EXECUTE = 623, 624, 708, 10222, 625
_TAG = re.compile(r"<(\w+)>(.*?)</\1>", re.S)
_INTERVAL = re.compile(r"\s*(\d+)(\.\d+)?\s*([smhdy]?)\s*")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}
_FREQUENCY = re.compile(
    r"\s*(\d+)([smhdy]?)\s*(REPEAT FOR EVER|DOUBLE FOR EVER|REPEAT UNTIL SUCCESS(?: OR (\d+) TIMES\b.*)?|)\s*"
)
_PRIORITY = "5"


def seconds(interval: str) -> int:
    """Return an interval such as `30s` or `2h` in seconds. Raises -1084000 for what is none."""
    match = _INTERVAL.fullmatch(interval)
    if match is None or (match[2] and _UNITS[match[3]] > 1):
        raise IrodsError(Code.INPUT_ARG_NOT_WELL_FORMED_ERR, f"'{interval}' is no interval")
    return int(match[1]) * _UNITS[match[3]]


def hints(text: str, now: float) -> dict[str, str]:
    """Return when a rule is to run (eleven digits), how often, and its priority, from a delay's condition.

    Raises -1084000 for tags or intervals that are malformed, and -66000 for a repetition that the stand-in
    does not know.
    """
    if _TAG.sub("", text).strip():
        raise IrodsError(Code.INPUT_ARG_NOT_WELL_FORMED_ERR, f"'{text}' is no condition of a delay")
    given = dict(_TAG.findall(text))
    start = now + seconds(given["PLUSET"]) if "PLUSET" in given else now
    if "ET" in given:
        start = _moment(given["ET"])
    frequency = given.get("EF", "").strip()
    if frequency and not _FREQUENCY.fullmatch(frequency):
        raise IrodsError(Code.SYS_NOT_SUPPORTED, f"the stand-in does not repeat '{frequency}'")
    return {
        "exeTime": f"{int(start):011d}",
        "exeFrequency": frequency,
        "priority": given.get("PRIORITY", _PRIORITY),
    }


def _moment(given: str) -> float:
    if given.strip().isdecimal():
        return float(given)
    try:
        return time.mktime(time.strptime(given.strip(), "%Y-%m-%d.%H:%M:%S"))
    except ValueError as error:
        raise IrodsError(Code.DATE_FORMAT_ERR, f"'{given}' is no date") from error


def following(frequency: str, now: float, *, success: bool) -> tuple[str, str] | None:
    """Return when a rule runs next and its frequency from then on, or None when it has run its last time."""
    match = _FREQUENCY.fullmatch(frequency)
    if match is None:
        return None
    step, unit, repetition, times = match.groups()
    start = f"{int(now) + int(step) * _UNITS[unit]:011d}"
    if repetition == "DOUBLE FOR EVER":
        return start, f"{int(step) * 2}{unit} {repetition}"
    if repetition.startswith("REPEAT UNTIL SUCCESS"):
        left = int(times or 2) - 1
        if success or left <= 0:
            return None
        return start, f"{step}{unit} REPEAT UNTIL SUCCESS OR {left} TIMES" if times else frequency
    return start, frequency


def submit(tx: Transaction, user: str, fields: dict[str, str]) -> int:
    """Put a rule into the queue and return its id. `fields` are those of the protocol's structure."""
    rule_id = tx.new_id()
    tx.execute(
        "insert into r_rule_exec (rule_exec_id, rule_name, rei_file_path, user_name, exe_address, exe_time,"
        " exe_frequency, priority, estimated_exe_time, notification_addr, last_exe_time, exe_status,"
        " exe_context, lock_host, lock_host_pid, lock_ts)"
        " values (?, ?, 'EMPTY_REI_PATH', ?, '', ?, ?, ?, '', '', '', '', ?, '', '', '')",
        (
            rule_id,
            fields["ruleName"],
            user,
            fields["exeTime"],
            fields["exeFrequency"],
            fields["priority"],
            fields["exeContext"],
        ),
    )
    return rule_id


@microservice(DELAY)
def delay(scope: Scope, arguments: Arguments) -> int:
    """Put a block into the queue: `(hint, text, variables)`; answers the rule's id."""
    hint, text, variables = (string(arguments, position) for position in range(3))
    fields = hints(hint, time.time()) | {"ruleName": text.strip()}
    context = {
        "variables": json.loads(variables),
        "user": scope.variables["userNameClient"],
        "zone": scope.variables["rodsZoneClient"],
    }
    fields["exeContext"] = json.dumps(context, sort_keys=True)
    packed = element("RULE_EXEC_SUBMIT_INP_PI", *(leaf(name, value) for name, value in fields.items()))
    return do(scope, SUBMIT, packed).int_info


@microservice(REMOTE)
def remote(scope: Scope, arguments: Arguments) -> int:
    """Run a block on another server: `(host, text, variables)`; what it sets stays there."""
    host, text, variables = (string(arguments, position) for position in range(3))
    given = json.loads(variables)
    labels = [
        element(
            "MsParam_PI",
            leaf("label", name),
            leaf("type", "STR_PI"),
            element("STR_PI", leaf("myStr", _literal(value))),
        )
        for name, value in given.items()
    ]
    packed = element(
        "ExecMyRuleInp_PI",
        leaf("myRule", f"@external rule {{ {text} }}"),
        element("RHostAddr_PI", leaf("hostAddr", host), leaf("rodsZone", ""), leaf("port", 0)),
        element("KeyValPair_PI", leaf("ssLen", 0)),
        leaf("outParamDesc", ""),
        element("MsParamArray_PI", leaf("paramLen", len(labels)), leaf("oprType", 0), *labels),
    )
    return do(scope, EXECUTE, packed).int_info


def _literal(value: object) -> str:
    """Return a value as the rule language writes it."""
    if isinstance(value, str):
        escaped = re.sub(r"([\\'*$])", r"\\\1", value)
        return f"'{escaped}'"
    return json.dumps(value)
