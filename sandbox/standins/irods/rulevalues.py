"""The values of the rule language, its operators and those of its functions that only compute.

Types are held to strictly: where iRODS 5.0.2 converts between strings and numbers only by chance of its type
inference, this refuses, so that a rule which passes here says what it means. Integers have 32 bits, as there.
"""

import math
import operator
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import Code


class RuleError(Exception):
    """What an action of a rule failed with: iRODS's code, a text, and the place of the action if known."""

    def __init__(self, code: int, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.offset = int(code), message, offset


class Unsupported(RuleError):
    """An action that the stand-in does not carry out."""

    def __init__(self, what: str, offset: int | None = None) -> None:
        text = f'error: cannot find rule for action "{what}", which the stand-in does not carry out'
        super().__init__(Code.NO_RULE_OR_MSI_FUNCTION_FOUND_ERR, text, offset)


@dataclass(frozen=True, slots=True)
class Time:
    """A point in time, in seconds of the epoch."""

    seconds: float


class Rows(Protocol):
    """The answer to a query, which is read as it is gone through."""

    def __iter__(self) -> Iterator["Value"]:
        """Return the rows, each a key-value list of its columns."""


Value = str | int | float | bool | Time | list["Value"] | dict[str, str] | Rows

_DEFAULT_TIME = "%b %d %Y %H:%M:%S"


def kind(value: Value) -> str:
    """Return the name of a value's type."""
    names: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "boolean"), (int, "integer"), (float, "double"), (str, "string"), (Time, "time"),
        (list, "list"), (dict, "KeyValPair_PI"),
    ]  # fmt: skip
    return next((name for python, name in names if isinstance(value, python)), "GenQueryOut_PI")


def integer(value: float) -> int:
    """Return a number as an integer of 32 bits, which wraps around as in iRODS."""
    return (int(value) + 2**31) % 2**32 - 2**31


def text(value: Value) -> str:  # noqa: PLR0911 - one type each
    """Return a value as iRODS writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return str(int(value)) if value == int(value) else f"{value:f}"
        case Time(seconds):
            return time.strftime(_DEFAULT_TIME, time.localtime(seconds))
        case list():
            return f"[{','.join(map(text, value))}]"
        case dict():
            return f"KeyValue[{len(value)}]:" + "".join(f"{key}={word};" for key, word in value.items())
    return "<value>"


def boolean(value: Value, offset: int | None = None) -> bool:
    """Return a condition's value. Raises -1230000 when it is no truth value."""
    if not isinstance(value, bool):
        raise RuleError(Code.RE_TYPE_ERROR, f"error: the condition is {kind(value)}, not boolean", offset)
    return value


def wildcard(pattern: str) -> re.Pattern[str]:
    """Return what `like` compares with: a star stands for anything, everything else for itself."""
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.S)


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "^": operator.pow,
}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def _number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def binary(sign: str, left: Value, right: Value, offset: int) -> Value:  # noqa: PLR0911 - one operator each
    """Return what an operator makes of two values.

    Raises -1230000 for types that it does not take and -1206000 for a division by zero.
    """
    if sign == "++":
        return text(left) + text(right)
    if sign in ("like", "not like") and isinstance(left, str) and isinstance(right, str):
        return (wildcard(right).fullmatch(left) is not None) == (sign == "like")
    if sign in ("like regex", "not like regex") and isinstance(left, str) and isinstance(right, str):
        return (re.fullmatch(right, left, re.S) is not None) == (sign == "like regex")
    numbers = _number(left) and _number(right)
    if sign in _ORDER and (numbers or kind(left) == kind(right)) and not isinstance(left, list | dict):
        if isinstance(left, Time) and isinstance(right, Time):
            return _ORDER[sign](left.seconds, right.seconds)
        return _ORDER[sign](left, right)
    if not (numbers and isinstance(left, int | float) and isinstance(right, int | float)):
        types = f"error: {sign} does not take {kind(left)} and {kind(right)}"
        raise RuleError(Code.RE_TYPE_ERROR, types, offset)
    if sign in ("/", "%") and right == 0:
        raise RuleError(Code.RE_DIVISION_BY_ZERO, "division by zero.", offset)
    if sign == "/":
        return left / right
    if sign == "%":
        return int(math.fmod(left, right))
    if sign not in _ARITHMETIC:
        raise Unsupported(sign, offset)
    result = _ARITHMETIC[sign](left, right)
    return integer(result) if isinstance(left, int) and isinstance(right, int) and sign != "^" else result


def _leading(pattern: str, value: str) -> str:
    match = re.match(pattern, value.strip())
    return match[0] if match else "0"


def _int(value: Value) -> Value:
    if isinstance(value, str):
        return integer(int(_leading(r"[-+]?\d+", value)))
    return integer(_checked(value, "integer"))


def _double(value: Value) -> Value:
    if isinstance(value, str):
        return float(_leading(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", value))
    return value.seconds if isinstance(value, Time) else float(_checked(value, "double"))


def _checked(value: Value, wanted: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    message = f"error: unsupported operator or type. can not convert {kind(value)} to {wanted}."
    raise RuleError(Code.RE_UNSUPPORTED_OP_OR_TYPE, message)


def _bool(value: Value) -> Value:
    if value in ("true", "1", "false", "0"):
        return value in ("true", "1")
    return value if isinstance(value, bool) else _checked(value, "boolean") != 0


def _substr(value: str, start: int, finish: int) -> Value:
    if not 0 <= start <= finish <= len(value):
        raise RuleError(Code.RE_RUNTIME_ERROR, "invalid substr index error")
    return value[start:finish]


def _elem(values: list[Value], index: int) -> Value:
    if not 0 <= index < len(values):
        raise RuleError(Code.RE_RUNTIME_ERROR, f"error: index out of range {index}.")
    return values[index]


def _setelem(values: list[Value], index: int, value: Value) -> Value:
    _elem(values, index)
    return [*values[:index], value, *values[index + 1 :]]


def _tail(values: list[Value]) -> Value:
    _elem(values, 0)
    return values[1:]


def _split(value: str, separators: str) -> Value:
    parts = re.split(f"[{re.escape(separators)}]+", value) if separators else [value]
    # Runs of separators count once, and at the ends not at all.
    return [part for position, part in enumerate(parts) if part or 0 < position < len(parts) - 1]


def _triml(value: str, mark: str) -> Value:
    head, found, tail = value.partition(mark) if mark else ("", mark, value)
    return tail if found or not mark else head


def _trimr(value: str, mark: str) -> Value:
    return value.rpartition(mark)[0] if mark and mark in value else value


def _datetime(value: Value) -> Value:
    if not isinstance(value, str):
        return Time(_checked(value, "time"))
    return _datetimef(value, _DEFAULT_TIME)


def _datetimef(value: str, form: str) -> Value:
    try:
        return Time(time.mktime(time.strptime(value, form)))
    except ValueError as error:
        raise RuleError(Code.RE_DYNAMIC_COERCION_ERROR, f"error: {value} is no time as {form}") from error


S, I, F, V, L, T = (str,), (int,), (int, float), (object,), (list,), (Time,)  # noqa: E741 - types of parameters
FUNCTIONS: dict[str, tuple[Callable[..., Value], tuple[tuple[type, ...], ...] | None]] = {
    "int": (_int, (V,)),
    "double": (_double, (V,)),
    "bool": (_bool, (V,)),
    "str": (text, (V,)),
    "type": (kind, (V,)),
    "strlen": (lambda value: len(value.encode()), (S,)),
    "substr": (_substr, (S, I, I)),
    "split": (_split, (S, S)),
    "triml": (_triml, (S, S)),
    "trimr": (_trimr, (S, S)),
    "list": (lambda *values: list(values), None),
    "elem": (_elem, (L, I)),
    "setelem": (_setelem, (L, I, V)),
    "size": (len, (L,)),
    "hd": (lambda values: _elem(values, 0), (L,)),
    "tl": (_tail, (L,)),
    "cons": (lambda value, values: [value, *values], (V, L)),
    "floor": (lambda value: float(math.floor(value)), (F,)),
    "ceiling": (lambda value: float(math.ceil(value)), (F,)),
    "abs": (lambda value: float(abs(value)), (F,)),
    "max": (lambda *values: float(max(map(float, values))), None),
    "min": (lambda *values: float(min(map(float, values))), None),
    "time": (lambda: Time(float(int(time.time()))), ()),
    "timestr": (text, (T,)),
    "timestrf": (lambda moment, form: time.strftime(form, time.localtime(moment.seconds)), (T, S)),
    "datetime": (_datetime, (V,)),
    "datetimef": (_datetimef, (S, S)),
}
"""Functions by name, with the types that each parameter takes; None stands for any number of any type."""


def apply(name: str, values: list[Value], offset: int) -> Value:
    """Return what a function makes of its arguments. Raises -1230000 for arguments that it does not take."""
    function, types = FUNCTIONS[name]
    if types is not None and (
        len(types) != len(values)
        or not all(
            isinstance(value, wanted) and (wanted == V or not isinstance(value, bool))
            for value, wanted in zip(values, types, strict=True)
        )
    ):
        given = ", ".join(map(kind, values)) or "nothing"
        raise RuleError(Code.RE_TYPE_ERROR, f"error: {name} does not take {given}", offset)
    try:
        return function(*values)
    except RuleError as error:
        raise RuleError(error.code, error.message, offset) from error
    except (ValueError, TypeError) as error:
        raise RuleError(Code.RE_RUNTIME_ERROR, f"error: {name}: {error}", offset) from error
