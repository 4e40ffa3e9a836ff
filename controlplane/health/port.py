"""What a system offers to be asked whether it is well."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from controlplane.errors import BicError
from controlplane.model.types import Service

TIMEOUT = 10.0
"""Seconds for a check, unless it says otherwise."""

LOGIN = "login"
"""What the login server provides, wherever it is."""


class CheckFailedError(BicError):
    """What a check found wrong."""


class FindingError(CheckFailedError):
    """What a check found wrong with the target itself, whatever the state of what the target depends on.

    A certificate that ends is one; a port that does not answer is none, since its host may be down.
    """


class UnseenError(CheckFailedError):
    """Why nothing is known of a target: a warning, however severe a failure would be."""


class Severity(StrEnum):
    """How urgent a failed check is, in the words of the alert rules."""

    CRITICAL = "critical"
    """Somebody cannot work, or data are being lost: now."""
    WARNING = "warning"
    """Nobody is harmed yet, and somebody will be."""


NOBODY: frozenset[str] = frozenset()
"""No facility works with a target itself, though it may with something that needs it."""


@dataclass(frozen=True)
class Check:
    """One question to a target."""

    name: str
    run: Callable[[], str]
    """Asks, and returns what was found in a few words. Raises a BicError when it is not well."""
    meaning: str
    """What it means for people when it fails: one sentence."""
    runbook: str
    """What to do then: a page of docs/runbooks and its section, such as `HostDown#look`."""
    severity: Severity = Severity.CRITICAL
    timeout: float = TIMEOUT
    """Seconds after which it has failed."""
    always: bool = False
    """Whether it is asked even when an earlier check of its target has failed."""


@dataclass(frozen=True)
class Probe:
    """The questions to one target, in an order in which a critical failure makes the later ones pointless."""

    system: str
    target: str
    checks: tuple[Check, ...]
    provides: str = ""
    """What other targets may need of this one: the name of `machine` or `service`; empty for nothing."""
    needs: tuple[str, ...] = ()
    """What the target cannot work without, by the names of `machine` and `service`, the likeliest cause
    first. What no probe provides was not asked and explains nothing."""
    through: tuple[str, ...] = ()
    """What the questions go through, such as the monitoring: while it is down, the target is not seen."""
    serves: frozenset[str] | None = None
    """The facilities that work with the target itself; None for all. Those that only work with something that
    needs it are not among them."""

    @property
    def title(self) -> str:
        """The target for people."""
        return f"{self.system} {self.target}"


def machine(host: str) -> str:
    """What a host provides: that it runs and can be reached."""
    return f"host {host}"


def service(name: Service, host: str) -> str:
    """What a service of the inventory on a host provides."""
    return f"{name} on {host}"


def runbook_path(runbook: str) -> str:
    """Where a check's runbook is, from the project's folder, with its section."""
    page, _, section = runbook.partition("#")
    return f"docs/runbooks/{page}.md#{section}"
