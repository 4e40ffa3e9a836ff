"""What the stand-in's log of calls says."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Call:
    """One request and its result."""

    time: float
    """When it was answered, in seconds since 1970."""
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


class CallLog:
    """A server's log of calls, read as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0

    def new(self) -> list[Call]:
        """The calls since this was last asked, in order."""
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8") as file:
            file.seek(self._read)
            calls = [_call(json.loads(line)) for line in file]
            self._read = file.tell()
        return calls


def _call(line: dict[str, Any]) -> Call:
    return Call(
        datetime.fromisoformat(line["time"]).timestamp(),
        line["connection"],
        line["api_number"],
        line["api_name"],
        line["result"],
        tuple(line.get("arguments", ())),
    )
