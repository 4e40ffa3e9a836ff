"""One API call: who asks, what they sent, what they may; and the answers that are Authentik's own errors."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

from . import permissions
from .settings import Settings
from .store import Row, Tx

_DENIED = "You do not have permission to perform this action."


class ApiError(Exception):
    """A refusal: status and JSON body."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


def refuse(status: int, detail: str) -> NoReturn:
    """Answer a refusal with one sentence."""
    raise ApiError(status, {"detail": detail})


def invalid(errors: object) -> NoReturn:
    """Answer that the request's values are wrong, by field."""
    raise ApiError(400, errors)


def denied() -> NoReturn:
    """Answer that the caller may not do that."""
    refuse(403, _DENIED)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer."""

    body: Any = None
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


NO_CONTENT = Answer(status=204)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request to the API, with its transaction."""

    tx: Tx
    settings: Settings
    method: str
    path: str
    parameters: Mapping[str, str]
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    raw: bytes
    user: Row | None
    client_ip: str
    base_url: str
    session: Row | None = None

    @cached_property
    def caller(self) -> Row:
        """The person who asks."""
        if self.user is None:
            refuse(403, "Authentication credentials were not provided.")
        return self.user

    @cached_property
    def rights(self) -> permissions.Rights:
        """What the caller may do."""
        return permissions.rights_of(self.tx, self.caller)

    def value(self, name: str, default: str = "") -> str:
        """Return a query parameter's last value."""
        values = self.query.get(name)
        return values[-1] if values else default

    def flag(self, name: str, default: bool) -> bool:
        """Whether a query parameter says `true`."""
        return self.value(name, str(default)).lower() == "true"

    @cached_property
    def data(self) -> dict[str, Any]:
        """The request's body, an object."""
        found = self.body
        if not isinstance(found, dict):
            kind = type(found).__name__
            invalid({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {kind}."]})
        return found

    @cached_property
    def body(self) -> object:
        """The request's body."""
        media_type = self.headers.get("content-type", "").partition(";")[0].strip()
        if not self.raw:
            return {}
        if media_type != "application/json":
            refuse(415, f'Unsupported media type "{self.headers.get("content-type", "")}" in request.')
        try:
            found: object = json.loads(self.raw, parse_constant=_no_constant, parse_int=_number)
            # A half of a surrogate pair is no text.
            json.dumps(found, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            refuse(400, f"JSON parse error - {error}")
        return found


def _number(text: str) -> int | float:
    """Return a number; beyond 64 bits it loses its last digits."""
    value = int(text)
    return value if -(2**63) <= value < 2**64 else float(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"unexpected character: {name}")


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """A path of the API, with what answers each method."""

    pattern: re.Pattern[str]
    handlers: Mapping[str, Handler]
    public: bool = False
    """Whether it answers those who do not say who they are."""

    @property
    def allow(self) -> str:
        """The methods that it takes."""
        order = ("GET", "POST", "PUT", "PATCH", "DELETE")
        taken = [method for method in order if method in self.handlers]
        return ", ".join([*taken, *(["HEAD"] if "GET" in taken else []), "OPTIONS"])


def route(path: str, *, public: bool = False, **handlers: Handler) -> Route:
    """Return the route of a path such as `core/users/{pk}/`; handlers are given by method."""
    return at(path, handlers, public=public)


def at(path: str, handlers: Mapping[str, Handler], *, public: bool = False) -> Route:
    """Return the route of a path, with what answers each method."""
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
    return Route(re.compile(pattern), {name.upper(): handler for name, handler in handlers.items()}, public)
