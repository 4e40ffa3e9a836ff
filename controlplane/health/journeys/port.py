"""What a system contributes to a journey.

A journey is as long as its stages: those of several systems, which have the journey's name in common, follow
each other by their places. What they carry is one `Traveller`, made anew for each journey.
"""

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from controlplane.health.port import Severity

SIZE = 1 << 20
"""Bytes of a synthetic data set."""

LIFETIME = 600.0
"""Seconds after which no journey is under way any more: what is older was left by one that was killed."""


class Place(IntEnum):
    """Where on the way a stage stands."""

    BEGIN = 0
    """What killed journeys left is removed, and what this one needs is made."""
    ENTRY = 10
    """The data set enters; the person logs in."""
    COPIES = 20
    TEAM = 30
    """Those who may, can."""
    OTHERS = 40
    """Those who may not, cannot."""
    APPLICATIONS = 50
    END = 90
    """What was made is removed, however the rest went."""


@dataclass(frozen=True)
class Traveller:
    """What goes through a journey."""

    token: str = field(default_factory=lambda: secrets.token_hex(4))
    """Eight hexadecimal digits that no other journey has; in the names of all that is made."""
    content: bytes = field(default_factory=lambda: secrets.token_bytes(SIZE))
    """The synthetic data set."""
    where: dict[str, str] = field(default_factory=dict)
    """Where the data set is by now, by system; each stage that brings it further adds to it."""

    @property
    def checksum(self) -> str:
        """The data set's SHA-256 in base 64, as `sha2:` checksums have it."""
        return b64encode(hashlib.sha256(self.content).digest()).decode()


@dataclass(frozen=True)
class Stage:
    """One step of a journey."""

    journey: str
    """What the journey is called, such as `data in bicZone`."""
    place: Place
    name: str
    run: Callable[[Traveller], str]
    """Goes this step, and returns what came of it in a few words. Raises a BicError when it fails."""
    meaning: str
    """What it means for people when it fails: one sentence."""
    runbook: str
    """As that of a check."""
    timeout: float = 30.0
    severity: Severity = Severity.CRITICAL
    needs: tuple[str, ...] = ()
    """What the stage cannot go without, as a probe's."""
    serves: frozenset[str] | None = None
    """The facilities whose way this is; None for all."""
