"""Kinds of fields: what values they take, with the messages that Authentik gives for others."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

from .. import clock


class Invalid(Exception):
    """A value that a field does not take; `detail` is what the API answers."""

    def __init__(self, detail: object) -> None:
        super().__init__(str(detail))
        self.detail = detail


class Lookup(Protocol):
    """What a field needs of the store."""

    def exists(self, model: str, pk: int | str) -> bool:
        """Whether an object of a model, or of one of its kinds, has this key."""


class _Missing:
    """The default of a field that must be given."""


REQUIRED = _Missing()


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a model. Its value is what JSON can hold."""

    default: Any = REQUIRED
    """The value where none is given, or what makes it."""
    null: bool = False
    read_only: bool = False
    write_only: bool = False
    hidden: bool = False
    """Kept, but no part of the API."""
    unique: bool = False
    indexed: bool = False
    """Objects are looked up by its value where there may be many."""
    api_name: str = ""
    """Its name in the API, where that cannot be its own."""

    TYPE: ClassVar[str] = "field"

    @property
    def required(self) -> bool:
        """Whether a new object must give it."""
        return isinstance(self.default, _Missing) and not self.read_only and not self.hidden

    def initial(self) -> object:
        """Return the value of a new object that gives none."""
        if isinstance(self.default, _Missing):
            return None
        return self.default() if callable(self.default) else json.loads(json.dumps(self.default))

    def clean(self, value: object, lookup: Lookup) -> object:
        """Return the value as it is kept.

        Raises:
            Invalid: the field does not take it.
        """
        if value is None:
            if self.null:
                return None
            raise Invalid(["This field may not be null."])
        return self.check(value, lookup)

    def check(self, value: object, lookup: Lookup) -> object:
        """Return a value that is not null as it is kept."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Text(Field):
    """A text."""

    blank: bool = False
    max_length: int | None = None
    trim: bool = True
    validators: tuple[Callable[[str], None], ...] = ()

    TYPE: ClassVar[str] = "string"

    def check(self, value: object, lookup: Lookup) -> str:
        """Take texts and numbers; white space around them goes."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Invalid(["Not a valid string."])
        text = str(value).strip() if self.trim else str(value)
        if not text and not self.blank:
            raise Invalid(["This field may not be blank."])
        if "\0" in text:
            raise Invalid(["Null characters are not allowed."])
        if self.max_length is not None and len(text) > self.max_length:
            raise Invalid([f"Ensure this field has no more than {self.max_length} characters."])
        if text:
            for validator in self.validators:
                validator(text)
        return text


@dataclass(frozen=True, kw_only=True)
class Choice(Field):
    """One of some words."""

    choices: tuple[str, ...]
    blank: bool = False

    TYPE: ClassVar[str] = "choice"

    def check(self, value: object, lookup: Lookup) -> str:
        """Take the words only."""
        if value == "" and self.blank:
            return ""
        if not isinstance(value, str) or value not in self.choices:
            raise Invalid([f'"{value}" is not a valid choice.'])
        return value


@dataclass(frozen=True, kw_only=True)
class Bool(Field):
    """True or false."""

    TYPE: ClassVar[str] = "boolean"

    def check(self, value: object, lookup: Lookup) -> bool:
        """Take booleans and the words for them."""
        word = str(value).lower()
        if isinstance(value, bool | int | str) and word in ("true", "t", "yes", "y", "on", "1"):
            return True
        if isinstance(value, bool | int | str) and word in ("false", "f", "no", "n", "off", "0"):
            return False
        raise Invalid(["Must be a valid boolean."])


@dataclass(frozen=True, kw_only=True)
class Int(Field):
    """A number without fraction, of 32 bits if nothing else is said."""

    minimum: int = -(2**31)
    maximum: int = 2**31 - 1

    TYPE: ClassVar[str] = "integer"

    def check(self, value: object, lookup: Lookup) -> int:
        """Take numbers and their texts."""
        try:
            number = int(re.sub(r"\.0*\s*$", "", str(value)))
        except ValueError:
            raise Invalid(["A valid integer is required."]) from None
        if isinstance(value, bool):
            raise Invalid(["A valid integer is required."])
        if number > self.maximum:
            raise Invalid([f"Ensure this value is less than or equal to {self.maximum}."])
        if number < self.minimum:
            raise Invalid([f"Ensure this value is greater than or equal to {self.minimum}."])
        return number


@dataclass(frozen=True, kw_only=True)
class Json(Field):
    """Any JSON; with `mapping`, an object."""

    mapping: bool = True

    def check(self, value: object, lookup: Lookup) -> object:
        """Take what JSON can say."""
        if self.mapping and not isinstance(value, Mapping):
            raise Invalid(["Value must be a dictionary, and not have any duplicate keys."])
        return value


@dataclass(frozen=True, kw_only=True)
class Time(Field):
    """A moment."""

    TYPE: ClassVar[str] = "datetime"

    def check(self, value: object, lookup: Lookup) -> str:
        """Take times of ISO 8601."""
        try:
            return clock.text(clock.parse(str(value)))
        except (TypeError, ValueError):
            raise Invalid(
                [
                    "Datetime has wrong format. Use one of these formats instead: "
                    "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
                ]
            ) from None


@dataclass(frozen=True, kw_only=True)
class Uuid(Field):
    """A UUID that refers to nothing."""

    TYPE: ClassVar[str] = "string"

    def check(self, value: object, lookup: Lookup) -> str:
        """Take UUIDs."""
        try:
            return str(uuid.UUID(str(value)))
        except ValueError:
            raise Invalid(["Must be a valid UUID."]) from None


def check_key(target: str, value: object, lookup: Lookup) -> int | str:
    """Return the key of an existing object of a model.

    Raises:
        Invalid: it is no key, or of nothing that exists.
    """
    from .registry import by_name

    if value is None:
        raise Invalid(['Invalid pk "None" - object does not exist.'])
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Invalid([f"Incorrect type. Expected pk value, received {type(value).__name__}."])
    key: int | str
    if by_name(target).integer_key:
        try:
            key = int(value)
        except ValueError:
            raise Invalid([f"Incorrect type. Expected pk value, received {type(value).__name__}."]) from None
    else:
        try:
            key = str(uuid.UUID(str(value)))
        except ValueError:
            raise Invalid([f"“{value}” is not a valid UUID."]) from None
    if not lookup.exists(target, key):
        raise Invalid([f'Invalid pk "{value}" - object does not exist.'])
    return key


@dataclass(frozen=True, kw_only=True)
class Ref(Field):
    """The key of another object; `on_delete` says what its deletion does here: cascade, set_null."""

    to: str
    on_delete: str = "cascade"

    def check(self, value: object, lookup: Lookup) -> object:
        """Take keys of existing objects."""
        if value == "" and self.null:
            return None
        return check_key(self.to, value, lookup)


@dataclass(frozen=True, kw_only=True)
class Many(Field):
    """Keys of other objects, kept as links."""

    to: str
    empty: bool = True

    def check(self, value: object, lookup: Lookup) -> object:
        """Take lists of keys of existing objects."""
        return self.keys(value, lookup)

    def keys(self, value: object, lookup: Lookup) -> list[int | str]:
        """Return a list of keys of existing objects, each once.

        Raises:
            Invalid: it is none.
        """
        if value is None:
            raise Invalid(["This field may not be null."])
        if not isinstance(value, list | tuple):
            raise Invalid([f'Expected a list of items but got type "{type(value).__name__}".'])
        if not value and not self.empty:
            raise Invalid(["This list may not be empty."])
        return list(dict.fromkeys(check_key(self.to, item, lookup) for item in value))


@dataclass(frozen=True, kw_only=True)
class ListOf(Field):
    """A list of values of one kind."""

    item: Field

    def check(self, value: object, lookup: Lookup) -> list[object]:
        """Take lists whose items the kind takes."""
        nested = isinstance(self.item, Nested)
        if not isinstance(value, list | tuple):
            message = [f'Expected a list of items but got type "{type(value).__name__}".']
            raise Invalid({"non_field_errors": message} if nested else message)
        cleaned: list[object] = []
        errors: dict[int, object] = {}
        for index, item in enumerate(value):
            try:
                cleaned.append(self.item.clean(item, lookup))
            except Invalid as error:
                errors[index] = error.detail
        if errors:
            raise Invalid(
                [errors.get(index, {}) for index in range(len(value))]
                if nested
                else {str(index): detail for index, detail in errors.items()}
            )
        return cleaned


@dataclass(frozen=True, kw_only=True)
class Nested(Field):
    """An object with fields of its own."""

    fields: Mapping[str, Field]

    def check(self, value: object, lookup: Lookup) -> dict[str, Any]:
        """Take objects with these fields."""
        if not isinstance(value, Mapping):
            name = type(value).__name__
            raise Invalid({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {name}."]})
        cleaned: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for name, field in self.fields.items():
            if name in value:
                try:
                    cleaned[name] = field.clean(value[name], lookup)
                except Invalid as error:
                    errors[name] = error.detail
            elif field.required:
                errors[name] = ["This field is required."]
            else:
                cleaned[name] = field.initial()
        if errors:
            raise Invalid(errors)
        return cleaned


def email(value: str) -> None:
    """Take e-mail addresses of ASCII with a domain."""
    label = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    pattern = rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@(?:{label}\.)+[A-Za-z0-9-]{{2,63}}"
    if not re.fullmatch(pattern, value) or ".." in value or len(value) > 320:
        raise Invalid(["Enter a valid email address."])


def slug(value: str) -> None:
    """Take slugs."""
    if not re.fullmatch(r"[-a-zA-Z0-9_]+", value):
        raise Invalid(["Enter a valid “slug” consisting of letters, numbers, underscores or hyphens."])


def url(value: str) -> None:
    """Take addresses of the web."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", value):
        raise Invalid(["Enter a valid URL."])


def duration(value: str) -> None:
    """Take durations of the form `hours=1;minutes=30`."""
    try:
        clock.duration(value)
    except ValueError:
        raise Invalid([f"{value} is not in the correct format of 'hours=3;minutes=1'."]) from None


def expression(value: str) -> None:
    """Take what can be the body of a Python function."""
    body = "\n".join(f"    {line}" for line in value.splitlines()) or "    pass"
    try:
        compile(f"def handler():\n{body}\n", "<expression>", "exec")
    except SyntaxError as error:
        raise Invalid([f"Expression Syntax Error: {error}"]) from None
