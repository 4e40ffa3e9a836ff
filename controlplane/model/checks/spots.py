"""Places that are looked up only when a message needs them: looking up one means to parse its file again."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from controlplane.model.documents import Document
from controlplane.model.problems import Place, Problem, suggestion
from controlplane.model.source import Key


@dataclass(frozen=True, slots=True)
class Spot:
    """A value in a document, or a key."""

    document: Document[Any]
    route: tuple[Key, ...]
    is_key: bool = False

    @property
    def place(self) -> Place:
        """Where it stands."""
        source = self.document.source
        return source.key(*self.route) if self.is_key else source.at(*self.route)

    def __str__(self) -> str:
        return str(self.place)

    def problem(self, message: str) -> Problem:
        """What is wrong here."""
        return Problem(self.place, message)

    def unknown(self, what: str, name: str, known: Iterable[str], *, noun: str = "known") -> Problem:
        """A reference to something that does not exist."""
        return self.problem(f"there is no {what} {name!r}; {suggestion(name, known, noun=noun)}")


def at(document: Document[Any], *route: Key) -> Spot:
    """The value at `route`."""
    return Spot(document, route)


def key(document: Document[Any], *route: Key) -> Spot:
    """The key at `route`."""
    return Spot(document, route, is_key=True)
