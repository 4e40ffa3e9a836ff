"""What the stand-in's log of calls says."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

QUERIES = (702, 10221)


@dataclass(frozen=True)
class Call:
    """One request and its result."""

    connection: int
    """What the calls of one connection have in common."""
    number: int
    name: str
    result: int
    arguments: tuple[str, ...]

    @property
    def work(self) -> tuple[str, tuple[str, ...]]:
        """What was to be done."""
        return self.name, self.arguments

    @property
    def changed(self) -> bool:
        """Whether it was a change of the catalogue that succeeded."""
        return self.result >= 0 and bool(self.arguments)


def read_calls(path: Path) -> list[Call]:
    """All calls of a log, in order; none when there is no log yet."""
    if not path.exists():
        return []
    return [
        Call(
            line["connection"],
            line["api_number"],
            line["api_name"],
            line["result"],
            tuple(line.get("arguments", ())),
        )
        for line in map(json.loads, path.read_text("utf-8").splitlines())
    ]


def by_name(calls: list[Call]) -> Counter[str]:
    """How many calls there were of each API."""
    return Counter(call.name or str(call.number) for call in calls)
