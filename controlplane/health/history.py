"""Which states are worth keeping: pure."""

from collections.abc import Iterable

from controlplane.health.run import Result, Status
from controlplane.store.health import CheckKey, State


def states(results: Iterable[Result]) -> dict[CheckKey, State]:
    """The state of each check that was made; of one that was skipped, nothing new is known."""
    return {
        (result.system, result.target, result.check): State(result.status.value, result.detail)
        for result in results
        if result.status is not Status.SKIPPED
    }
