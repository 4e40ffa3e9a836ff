"""When people and memberships last followed, in a file for the exporter of the same host."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "sync.json"
"""Its name in the platform's state folder."""


@dataclass(frozen=True)
class Status:
    """How the latest sync went; times are Unix times."""

    at: float
    ok: bool
    followed: dict[str, float]
    """When each system last was known to follow, by its identifier; 0 when it never was."""
    seconds: float
    """How long the latest sync that read anything took."""
    changes: int
    """How many changes it made."""


def read(folder: Path) -> Status | None:
    """The latest one, or None."""
    try:
        return Status(**json.loads((folder / FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(folder: Path, status: Status) -> None:
    """Replace the file as a whole. Raises OSError."""
    draft = folder / f".{FILE}.{secrets.token_hex(4)}"
    try:
        with open(draft, "x", encoding="utf-8", opener=_private) as file:
            json.dump(asdict(status), file)
        draft.replace(folder / FILE)
    finally:
        draft.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
