"""Microservices that need no data: output, times, key-value lists, paths, and the policies' settings."""

import json
import time

from .errors import Code
from .rulescope import Arguments, Microservice, Scope, microservice
from .rulevalues import RuleError, Value, kind, text

_DISALLOWED = Code.SYS_DELETE_DISALLOWED
_NO_TRASH = 1


def string(arguments: Arguments, position: int) -> str:
    """Return an argument that must be a string. Raises -323000 for anything else."""
    value = arguments[position]
    if not isinstance(value, str):
        given = "nothing" if value is None else kind(value)
        message = f"error: argument {position + 1} is {given}, not a string"
        raise RuleError(Code.USER_PARAM_TYPE_ERR, message)
    return value


def pairs(arguments: Arguments, position: int) -> dict[str, str]:
    """Return an argument that must be a key-value list. Raises -323000 for anything else."""
    value = arguments[position]
    if not isinstance(value, dict):
        given = "nothing" if value is None else kind(value)
        message = f"error: argument {position + 1} is {given}, not a key-value list"
        raise RuleError(Code.USER_PARAM_TYPE_ERR, message)
    return value


def _write(scope: Scope, where: str, written: str) -> None:
    if where == "stdout":
        scope.effects.stdout += written
    elif where == "stderr":
        scope.effects.stderr += written
    elif where == "serverLog":
        scope.log(f"writeLine: inString = {written}")
    else:
        # The real one writes into the data object of that path.
        raise RuleError(Code.SYS_NOT_SUPPORTED, f"the stand-in writes no lines to {where}")


def _value(arguments: Arguments, position: int) -> Value:
    value = arguments[position]
    if value is None:
        raise RuleError(Code.USER_PARAM_TYPE_ERR, f"error: argument {position + 1} has no value")
    return value


@microservice("writeLine")
def write_line(scope: Scope, arguments: Arguments) -> int:
    """Write a line to the client's stdout or stderr, or to `serverLog`: `(where, value)`."""
    where = string(arguments, 0)
    # A line of the log ends by itself.
    _write(scope, where, text(_value(arguments, 1)) + "\n")
    return 0


@microservice("writeString")
def write_string(scope: Scope, arguments: Arguments) -> int:
    """Write a text without a line's end: `(where, value)`."""
    _write(scope, string(arguments, 0), text(_value(arguments, 1)))
    return 0


@microservice("msiGetSystemTime")
def system_time(_scope: Scope, arguments: Arguments) -> int:
    """Tell the time, as eleven digits of seconds or, with `human`, as a date: `(*time, format)`."""
    human = string(arguments, 1) == "human"
    arguments[0] = time.strftime("%Y-%m-%d.%H:%M:%S") if human else f"{int(time.time()):011d}"
    return 0


@microservice("msiGetIcatTime")
def icat_time(_scope: Scope, arguments: Arguments) -> int:
    """Tell the catalogue's time, with `icat` or `unix` as eleven digits, else as a date: `(*time, type)`."""
    digits = string(arguments, 1) in ("icat", "unix")
    arguments[0] = f"{int(time.time()):011d}" if digits else time.strftime("%Y-%m-%d.%H:%M:%S")
    return 0


@microservice("msiAddKeyVal")
def add_key_value(_scope: Scope, arguments: Arguments) -> int:
    """Put a pair into a key-value list, which is made if need be: `(*list, key, value)`."""
    if arguments[0] is None:
        arguments[0] = {}
    pairs(arguments, 0)[string(arguments, 1)] = text(_value(arguments, 2))
    return 0


@microservice("msiGetValByKey")
def value_by_key(_scope: Scope, arguments: Arguments) -> int:
    """Take a value of a key-value list: `(*list, key, *value)`. Answers -313000 for an unknown key."""
    found = pairs(arguments, 0).get(string(arguments, 1))
    if found is None:
        return Code.UNMATCHED_KEY_OR_INDEX
    arguments[2] = found
    return 0


@microservice("msiString2KeyValPair")
def key_values_of_text(_scope: Scope, arguments: Arguments) -> int:
    """Read a key-value list from a text such as `a=1%b=2`: `(text, *list)`."""
    given = string(arguments, 0)
    arguments[1] = dict(
        (key.strip(), value.strip()) for key, _, value in (part.partition("=") for part in given.split("%"))
    )
    return 0


@microservice("msiSplitPath")
def split_path(_scope: Scope, arguments: Arguments) -> int:
    """Split a logical path into collection and name: `(path, *collection, *name)`."""
    collection, _, name = string(arguments, 0).rpartition("/")
    arguments[1], arguments[2] = collection, name
    return 0


@microservice("msiStrlen")
def length(_scope: Scope, arguments: Arguments) -> int:
    """Tell how long a text is, as text: `(text, *length)`."""
    arguments[1] = str(len(string(arguments, 0).encode()))
    return 0


@microservice("msi_json_parse")
def parse_json(_scope: Scope, arguments: Arguments) -> int:
    """Read JSON: `(text, size, *handle)`. The handle is the JSON text itself."""
    try:
        arguments[2] = json.dumps(json.loads(string(arguments, 0)))
    except ValueError as error:
        raise RuleError(Code.SYS_LIBRARY_ERROR, f"error: not JSON: {error}") from error
    return 0


@microservice("msi_json_value")
def json_value(_scope: Scope, arguments: Arguments) -> int:
    """Take the value at a JSON pointer: `(handle, pointer, *value)`. Answers -167000 where there is none."""
    found = json.loads(string(arguments, 0))
    for part in string(arguments, 1).split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(key) if isinstance(found, list) else key]
        except (KeyError, IndexError, ValueError, TypeError):
            return Code.SYS_LIBRARY_ERROR
    arguments[2] = found if isinstance(found, str) else json.dumps(found)
    return 0


@microservice("msi_json_free")
def free_json(_scope: Scope, arguments: Arguments) -> int:
    """Forget a JSON text: `(handle)`."""
    string(arguments, 0)
    return 0


@microservice("msiSleep")
def sleep(_scope: Scope, arguments: Arguments) -> int:
    """Wait: `(seconds, microseconds)`, both as text."""
    time.sleep(int(string(arguments, 0) or 0) + int(string(arguments, 1) or 0) / 1e6)
    return 0


@microservice("msiExit")
def leave(_scope: Scope, arguments: Arguments) -> int:
    """Fail with a code: `(code as text, message)`."""
    raise RuleError(int(string(arguments, 0)), string(arguments, 1))


def _setting(name: str) -> Microservice:
    def keep(scope: Scope, arguments: Arguments) -> int:
        scope.effects.settings[name] = tuple(arguments)
        return 0

    return keep


for _name in ("msiSetDefaultResc", "msiSetRescQuotaPolicy"):
    microservice(_name)(_setting(_name))


@microservice("msiDeleteDisallowed")
def delete_disallowed(scope: Scope, _arguments: Arguments) -> int:
    """Refuse the deletion that the policy is about."""
    scope.effects.status = _DISALLOWED
    return _DISALLOWED


@microservice("msiNoTrashCan")
def no_trash(scope: Scope, _arguments: Arguments) -> int:
    """Let what is removed be removed for good."""
    scope.effects.status = _NO_TRASH
    return _NO_TRASH
