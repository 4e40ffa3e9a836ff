"""What a system offers to be asked whether it is well."""

from collections.abc import Callable
from dataclasses import dataclass

from controlplane.errors import BicError


class CheckFailedError(BicError):
    """What a check found wrong."""


@dataclass(frozen=True)
class Check:
    """One question to a target."""

    name: str
    run: Callable[[], str]
    """Asks, and returns what was found in a few words. Raises a BicError when it is not well."""


@dataclass(frozen=True)
class Probe:
    """The questions to one target, in an order in which one failure makes the later ones pointless."""

    system: str
    target: str
    checks: tuple[Check, ...]
