"""The health gate: whether a server does with new rules what it must, and refuses what it must.

A rule may also loop, or keep every login waiting, so the answer is only waited for so long.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from controlplane.errors import BicError

GATE_SECONDS = 60.0
"""Seconds after which a gate that has not ended counts as failed."""


@dataclass(frozen=True)
class Check:
    """One operation on a server, and whether it went as it must."""

    name: str
    passed: bool
    text: str = ""
    """What happened instead."""


@dataclass(frozen=True)
class GateResult:
    """What a gate says of a server."""

    checks: tuple[Check, ...]
    seconds: float
    error: str = ""
    """Why it could not be run to its end, or empty."""

    @property
    def passed(self) -> bool:
        """Whether all checks were made and went as they must; a gate without checks proves nothing."""
        return not self.error and bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def reason(self) -> str:
        """Why it failed, for people."""
        wrong = [f"{check.name}: {check.text}" for check in self.checks if not check.passed]
        if not (wrong or self.error or self.checks):
            return "nothing was checked"
        return "; ".join([*wrong, *([self.error] if self.error else [])])


def run_gate(probe: Callable[[], Sequence[Check]], seconds: float = GATE_SECONDS) -> GateResult:
    """Run the checks of a server for at most `seconds`."""
    begun = time.monotonic()
    checks: list[Check] = []
    errors: list[str] = []

    def work() -> None:
        try:
            checks.extend(probe())
        except BicError as error:
            errors.append(str(error))
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=work, name="gate", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        # It ends by itself when its connection does; nobody waits for it any more.
        errors.append(f"not done within {seconds:.0f} s, as with a rule that does not end")
    return GateResult(tuple(checks), time.monotonic() - begun, "; ".join(errors))
