"""The model's own rules, one value at a time: for answers, options and parts of a file."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from controlplane.errors import BadInputError
from controlplane.model.facility import Person
from controlplane.model.facility_file import FacilityFile, MemberEntry, PersonEntry, QuotaEntry
from controlplane.model.problems import suggestion
from controlplane.model.sizes import parse_size
from controlplane.model.source import Data, Key, Route
from controlplane.model.types import TEXT_ERROR
from controlplane.model.validate import bare, fields_of

Known = Mapping[str, Person]
"""Everybody on the platform by user name."""

_TRUE, _FALSE = ("true", "yes"), ("false", "no")
_NAMES = ("id", "user", "host")
"""The keys by which an item of a list is told from the others."""


def check_field(kind: Any, field: str, value: Data) -> None:  # noqa: ANN401
    """Hold a single value against the rule of one field.

    Raises BadInputError with what is wrong.
    """
    info = fields_of(kind)[field]
    _check(Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation, value)


def entry(kind: Any, text: str, names: Sequence[str]) -> dict[str, Data]:  # noqa: ANN401
    """A part of the file from `a,b,c`, the values of `names` in order, or from `{key: value, …}`.

    Values at the end may be left out where the model has a default. Raises BadInputError for anything else.
    """
    if text.startswith("{"):
        value = _mapping(text)
    else:
        parts = [part.strip() for part in text.split(",")]
        if len(parts) > len(names):
            raise BadInputError(f"{text!r} has too many parts; write {','.join(names)}")
        value = {name: part for name, part in zip(names, parts, strict=False) if part}
        required = [name for name in names if fields_of(kind)[name].is_required() and name not in value]
        if required:
            raise BadInputError(f"{text!r} has no {' and no '.join(required)}; write {','.join(names)}")
    return checked_entry(kind, value)


def checked_entry(kind: Any, value: Mapping[str, Data]) -> dict[str, Data]:  # noqa: ANN401
    """`value` with its keys in the model's order, when the model allows it.

    Raises BadInputError with what is wrong.
    """
    known = fields_of(kind)
    if unknown := [key for key in value if key not in known]:
        raise BadInputError(f"unknown key {unknown[0]!r}; {suggestion(unknown[0], known, noun='known keys')}")
    _check(kind, dict(value))
    return {key: value[key] for key in known if key in value}


def person(text: str, known: Known) -> dict[str, Data]:
    """A person from `user,Full Name,email`, or from the user name alone when the person is `known`.

    Raises BadInputError for anything else.
    """
    user = text.strip()
    if user in known:
        return {"user": user, "name": known[user].name, "email": known[user].email}
    if "," not in user and not user.startswith("{"):
        raise BadInputError(f"nobody has the user name {user!r} yet; write user,Full Name,email")
    return entry(PersonEntry, text, ("user", "name", "email"))


def member(text: str, known: Known, role: str | None = None) -> dict[str, Data]:
    """A member of a team from `user,Full Name,email,role` or `user,role`; the role may be left out.

    Raises BadInputError for anything else.
    """
    roles = get_args(bare(fields_of(MemberEntry)["role"].annotation))
    head, _, last = text.rpartition(",")
    if role is None and last.strip() in roles:
        text, role = head, last.strip()
    role = roles[0] if role is None else role
    if role not in roles:
        raise BadInputError(f"{role!r} is not a role; {suggestion(role, roles, noun='allowed')}")
    return checked_entry(MemberEntry, {**person(text, known), "role": role})


def quota(text: str) -> dict[str, Data]:
    """A quota from a size such as `20 TiB`, or from the name of a tier.

    Raises BadInputError for anything else.
    """
    try:
        parse_size(text)
    except ValueError:
        return checked_entry(QuotaEntry, {"tier": text})
    return checked_entry(QuotaEntry, {"total": text})


def locate(path: str, data: Data) -> tuple[Route, list[str], Any]:
    """What a path such as `teams.cell-dynamics.quota.tier` means in a facility's file.

    Returns its route in the file, the keys that its mapping may have in their usual order, and its type. An
    item of a list is named by its id, user name or host; a route ends with the length of the list when there
    is no such item.

    Raises BadInputError for a key that the model does not know.
    """
    current: Any = FacilityFile
    route: tuple[Key, ...] = ()
    order: list[str] = []
    steps = path.split(".")
    for position, step in enumerate(steps):
        current, order = bare(current), []
        here = data.get(step) if isinstance(data, dict) else None
        if known := fields_of(current):
            order = list(known)
            if step not in order:
                hint = suggestion(step, order, noun="known keys")
                raise BadInputError(f"{path!r}: unknown key {step!r}; {hint}")
            route, data, current = (*route, step), here, known[step].annotation
        elif get_origin(current) is dict:
            route, data, current = (*route, step), here, get_args(current)[1]
        elif fields_of(_items(current)):
            entries = data if isinstance(data, list) else []
            names = [_name(item) for item in entries]
            index = names.index(step) if step in names else len(names)
            if index == len(names) and position + 1 < len(steps):
                raise BadInputError(f"{path!r}: there is no {step!r}; {suggestion(step, names)}")
            data = entries[index] if index < len(names) else None
            route, current = (*route, index), _items(current)
        else:
            raise BadInputError(f"{path!r}: {steps[position - 1]!r} has no parts")
    return route, order, bare(current)


def value_of(path: str, text: str, kind: Any, known: Known) -> Data:  # noqa: ANN401
    """The value that a person wrote for something of type `kind`.

    Raises BadInputError when it cannot be one.
    """
    if parts := fields_of(kind):
        if text.startswith("{"):
            return _mapping(text)
        if kind is MemberEntry:
            return member(text, known)
        if kind is PersonEntry:
            return person(text, known)
        if kind is QuotaEntry:
            return quota(text)
        keys = ", ".join(f"{path}.{key}" for key in parts)
        raise BadInputError(f"{path!r} has parts; set one of {keys}, or all of them as {{key: value, …}}")
    if _items(kind) or get_origin(kind) is dict:
        raise BadInputError(f"{path!r} holds several; name one of them, as in {path}.NAME")
    if kind is bool:
        if text.lower() not in (*_TRUE, *_FALSE):
            raise BadInputError(f"{path!r} is either true or false, not {text!r}")
        return text.lower() in _TRUE
    return text


def name_key(kind: Any) -> str:  # noqa: ANN401
    """The key that names an item of a list of `kind`."""
    return next(key for key in _NAMES if key in fields_of(kind))


def _check(kind: Any, value: Data) -> None:  # noqa: ANN401
    try:
        TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        # The model's own messages are half a sentence that follows the value.
        raise BadInputError(
            "; ".join(
                f"{detail['input']!r} {detail['msg']}" if detail["type"] == TEXT_ERROR else detail["msg"]
                for detail in error.errors(include_url=False)
            )
        ) from None


def _items(kind: Any) -> Any:  # noqa: ANN401
    return bare(get_args(kind)[0]) if get_origin(kind) is tuple else None


def _name(item: Data) -> str:
    if not isinstance(item, dict):
        return str(item)
    return next((str(item[key]) for key in _NAMES if key in item), "")


def _mapping(text: str) -> dict[str, Data]:
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        value = None
    if not isinstance(value, dict):
        raise BadInputError(f"{text!r} is not a mapping; write {{key: value, …}}")
    return {str(key): _as_data(item) for key, item in value.items()}


def _as_data(value: object) -> Data:
    if isinstance(value, dict):
        return {str(key): _as_data(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_data(item) for item in value]
    return value if isinstance(value, (bool, int, float)) or value is None else str(value)
