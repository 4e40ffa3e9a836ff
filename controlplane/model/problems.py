"""What is wrong with an inventory, and where."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from controlplane.errors import BadInputError


@dataclass(frozen=True, order=True)
class Place:
    """A position in a file, as editors count: line and column start at 1; line 0 is the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong at one place."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class InventoryError(BadInputError):
    """An inventory that cannot be used; `problems` holds all that is wrong, in reading order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


_LISTED = 16
_SHOWN = 60


def shorten(value: object) -> str:
    """A value as messages show it: quoted where it is text, and cut where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def suggestion(word: str, known: Iterable[str], *, noun: str = "known") -> str:
    """The half sentence that helps with a misspelt word: the nearest known one and what is allowed."""
    choices = sorted(known)
    near = get_close_matches(word, choices, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if not choices:
        return f"{hint}{noun}: none"
    return f"{hint}{noun}: {enumeration(choices)}"


def enumeration(words: Iterable[str]) -> str:
    """Words in order, at most sixteen of them, so that a message stays readable in a large inventory."""
    ordered = sorted(words)
    more = f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
    return ", ".join(ordered[:_LISTED]) + more
