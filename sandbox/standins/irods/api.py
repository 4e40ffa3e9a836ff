"""What an API handler gets and gives, and the table of all APIs that the stand-in answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .wire import Message, error_stack

if TYPE_CHECKING:
    from .session import Session


@dataclass(frozen=True, slots=True)
class Reply:
    """An API's success: the header's integer, packed output, binary part and the error stack's warnings."""

    int_info: int = 0
    body: str = ""
    bs: bytes = b""
    stack: list[tuple[int, str]] = field(default_factory=list)

    def message(self) -> Message:
        """Return the message that carries the reply."""
        return Message("RODS_API_REPLY", self.body.encode(), error_stack(self.stack), self.bs, self.int_info)


Handler = Callable[["Session", Message], Reply]


@dataclass(frozen=True, slots=True)
class Api:
    """An API by its iRODS name; `admin` ones are refused to other users with -13000."""

    name: str
    handler: Handler
    admin: bool = False


APIS: dict[int, Api] = {}

EXEC_MY_RULE = 625


def api(number: int, name: str, *, admin: bool = False) -> Callable[[Handler], Handler]:
    """Register a handler under an API number."""

    def register(handler: Handler) -> Handler:
        APIS[number] = Api(name, handler, admin)
        return handler

    return register
