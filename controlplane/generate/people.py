"""Synthetic people: names with their accents, and user names without."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import TypedDict, TypeVar

from controlplane.generate.names import FIRST_NAMES, LAST_NAMES

T = TypeVar("T")

# Letters that Unicode does not take apart into a plain one and a mark.
_SPELLINGS = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l"})


class Person(TypedDict):
    """A person as the files write one."""

    user: str
    name: str
    email: str


def pick(random: Random, choices: Sequence[T]) -> T:
    """One of the choices.

    Python promises the same numbers for a seed in every version of `Random.random` alone.
    """
    return choices[int(random.random() * len(choices))]


def identifier(name: str) -> str:
    """A name in lower-case letters and digits without accents, its parts joined by single hyphens."""
    plain = unicodedata.normalize("NFKD", name.lower().translate(_SPELLINGS))
    return "-".join(re.findall(r"[a-z0-9]+", re.sub(r"[^a-z0-9\s-]", "", plain)))


class People:
    """Makes people, no two with the same user name or e-mail address."""

    def __init__(self) -> None:
        self._given: Counter[str] = Counter()
        self._first = [(name, identifier(name)) for name in FIRST_NAMES]
        self._last = [(name, identifier(name)) for name in LAST_NAMES]

    def new(self, random: Random, domain: str) -> Person:
        """Somebody whose e-mail address is in `domain`."""
        first, plain_first = pick(random, self._first)
        last, plain_last = pick(random, self._last)
        base = plain_first[0] + plain_last.replace("-", "")
        self._given[base] += 1
        number = "" if self._given[base] == 1 else str(self._given[base])
        return Person(
            user=f"{base}{number}",
            name=f"{first} {last}",
            email=f"{plain_first}.{plain_last}{number}@{domain}",
        )
