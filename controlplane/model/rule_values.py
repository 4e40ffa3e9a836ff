"""Values of rule bases' parameters: as people write them, and as the catalogue keeps them.

The text in the catalogue follows from the value alone, so a control host that has an inventory but no rule
bases compiles the same plan. What type a value must have is in the rule base's manifest.
"""

import re
from typing import Annotated, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from controlplane.model.durations import DURATION_PATTERN, parse_duration
from controlplane.model.sizes import SIZE_PATTERN, parse_size

ParameterType = Literal["string", "integer", "boolean", "size", "duration"]
"""A type of parameters: a size is written with its unit, a duration as in `30s`, `5m`, `12h`, `90d`."""

EXAMPLES: dict[ParameterType, str] = {
    "string": "text",
    "integer": "a whole number of 0 or more",
    "boolean": "true or false",
    "size": "a size, such as 20 GiB",
    "duration": "a length of time, such as 30s, 5m, 12h or 90d",
}
"""What a value of each type looks like, for messages."""

# Rules put values into queries, in which quotes, backslashes and wildcards would mean something.
_TEXT = r"""[^'"\\%*\u0000-\u001f\u007f]{1,500}"""
_LARGEST = 2**53


class _Value:
    """Text, a whole number or a truth value."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_check)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        text = {"type": "string", "pattern": f"^{_TEXT}$"}
        number = {"type": "integer", "minimum": 0, "maximum": _LARGEST}
        return {"anyOf": [text, number, {"type": "boolean"}]}


def _check(value: object) -> object:
    match value:
        case bool():
            return value
        case int() if 0 <= value <= _LARGEST:
            return value
        case str() if re.fullmatch(_TEXT, value) and value.strip() == value:
            return value
    raise PydanticCustomError(
        "parameter_value",
        "a parameter's value is a whole number of 0 or more, true, false, or a text of at most 500 "
        "characters without quotes, backslashes, '%' and '*'",
    )


ParameterValue = Annotated[str | int | bool, _Value()]
"""The value of a parameter, as YAML has it."""


def type_of(value: str | int | bool) -> ParameterType:
    """The type that a value has by the way it is written."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
    if re.fullmatch(SIZE_PATTERN, value):
        return "size"
    return "duration" if re.fullmatch(DURATION_PATTERN, value) else "string"


def catalogue_text(value: str | int | bool) -> str:
    """A value as the catalogue keeps it: sizes in bytes, durations in seconds, `true` or `false`.

    Raises ValueError for a size that is no whole number of bytes or too large.
    """
    match type_of(value):
        case "boolean":
            return "true" if value else "false"
        case "size":
            return str(parse_size(str(value)))
        case "duration":
            return str(parse_duration(str(value)))
        case _:
            return str(value)
