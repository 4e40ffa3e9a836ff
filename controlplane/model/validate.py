"""One file against its model, with messages for people."""

import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from controlplane.model.problems import Place, Problem, shorten, suggestion
from controlplane.model.source import Data, Source
from controlplane.model.types import TEXT_ERROR, FileModel

Model = TypeVar("Model", bound=FileModel)

_EXPECTED = {
    "string_type": "text (put it in quotes if it is a number)",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "dataclass_type": "a mapping (key: value)",
    "bool_type": "true or false",
    "tuple_type": "a list",
}


def without_mistakes(model: type[Model], data: Data) -> Model | None:
    """The data as an instance of `model`, or None where anything is wrong with them."""
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def mistakes(model: type[FileModel], source: Source) -> Iterator[Problem]:
    """Everything that makes a file's data no instance of `model`."""
    try:
        model.model_validate(source.data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            yield _problem(model, source, detail)


def _problem(model: type[FileModel], source: Source, detail: ErrorDetails) -> Problem:
    is_key = detail["loc"][-1:] == ("[key]",)
    route = detail["loc"][:-1] if is_key else detail["loc"]
    parent, name = route[:-1], str(route[-1]) if route else ""
    subject = "this key" if is_key else _subject(route)
    kind = detail["type"]
    around = model_at(model, parent)
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        known = fields_of(around) if around else ()
        return Problem(
            source.key(*route), f"unknown key {shorten(name)}; {suggestion(name, known, noun='known keys')}"
        )
    if kind == "missing":
        return Problem(source.at(*parent), _missing(around, parent, name))
    place: Place = source.key(*route) if is_key else source.at(*route)
    return Problem(place, _message(detail, subject))


def _missing(around: type | None, parent: tuple[int | str, ...], name: str) -> str:
    field = fields_of(around).get(name) if around else None
    description = field.description if field else None
    meaning = f": {_first_sentence(description)}" if description else ""
    owner = f" in {shorten(parent[-1])}" if parent and isinstance(parent[-1], str) else ""
    if name == "pi":
        return f"a team needs a principal investigator; add 'pi'{meaning}"
    return f"the key {name!r} is missing{owner}{meaning}"


def _subject(route: tuple[int | str, ...]) -> str:
    match route:
        case (*_, str(key)):
            return shorten(key)
        case (*_, str(key), int()):
            return f"an item of {shorten(key)}"
        case _:
            return "the file"


def _message(detail: ErrorDetails, subject: str) -> str:
    kind = detail["type"]
    if kind == TEXT_ERROR and not isinstance(detail["input"], str):
        kind = "string_type"
    if expected := _EXPECTED.get(kind):
        return f"{subject} must be {expected}, not {_shown(detail['input'])}"
    if kind == "literal_error":
        allowed = [part.strip(" '") for part in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
        given = str(detail["input"])
        return f"{shorten(given)} is not allowed for {subject}; {suggestion(given, allowed, noun='allowed')}"
    if kind == TEXT_ERROR:
        return f"{_shown(detail['input'])} {detail['msg']}"
    if kind == "too_short":
        return f"{subject} must not be empty"
    if kind in ("greater_than_equal", "less_than_equal"):
        return f"{subject} is out of range: {detail['msg'].removeprefix('Input ')}"
    return detail["msg"]


def _shown(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return "true" if value else "false"
        case _:
            return shorten(value)


def _first_sentence(text: str) -> str:
    sentence = " ".join(text.split()).split(". ")[0].rstrip(".").replace("`", "")
    return sentence[:1].lower() + sentence[1:]


def fields_of(model: type) -> Mapping[str, FieldInfo]:
    """The fields of a model or of a data class that pydantic checks; none for any other class."""
    found: Mapping[str, FieldInfo] = getattr(model, "__pydantic_fields__", {})
    return found


def model_at(model: type, route: Iterable[int | str]) -> type | None:
    """The model that describes the mapping at `route` of a file."""
    current: Any = model
    for step in route:
        current = bare(current)
        if isinstance(current, type) and fields_of(current):
            field = fields_of(current).get(str(step))
            if field is None:
                return None
            current = field.annotation
        else:
            arguments = get_args(current)
            if not arguments:
                return None
            current = arguments[1] if get_origin(current) is dict else arguments[0]
    current = bare(current)
    return current if isinstance(current, type) and fields_of(current) else None


def bare(annotation: Any) -> Any:  # noqa: ANN401
    """An annotation without `Annotated` and without `| None`."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        else:
            return annotation
