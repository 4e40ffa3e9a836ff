"""Calls to servers that may go away: made again while that may help, and no more once a server is gone."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from controlplane.errors import BicError
from controlplane.reconcile.port import SystemDownError

LONGEST_WAIT = 5.0
"""Seconds between two attempts at most."""

T = TypeVar("T")


class ServerError(BicError):
    """A server that could not be reached or refused, in one line for people."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient
        """Whether another attempt may succeed."""


class ClosedError(ServerError):
    """A server that takes no connection from us, so that nothing can be done there."""


def patiently(attempt: Callable[[], T], seconds: float) -> T:
    """What `attempt` returns; made again for so many seconds while its error is transient.

    So it must be safe to repeat: what is lost may be the answer alone. Raises the last ServerError.
    """
    try:
        return attempt()
    except ServerError as error:
        if not error.transient or seconds <= 0:
            raise
    attempts = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, ServerError) and error.transient),
        stop=stop_after_delay(seconds),
        wait=wait_exponential_jitter(multiplier=0.1, max=LONGEST_WAIT, jitter=0.1),
        reraise=True,
    )
    return attempts(attempt)


class Outage:
    """Whether a server is gone, so that an apply does not wait for it at each of many changes."""

    def __init__(self, ask: Callable[[], object]) -> None:
        """Find out by `ask`, a call that any server answers and that raises ServerError when it does not."""
        self._ask = ask
        self._reason = ""

    def __bool__(self) -> bool:
        """Whether the server is known to be gone."""
        return bool(self._reason)

    def watch(self, call: Callable[[], T]) -> T:
        """What a call returns that was tried for long enough.

        Raises SystemDownError when the server is gone, by this call or an earlier one, and what the call
        raises when it is only refused.
        """
        if self._reason:
            raise SystemDownError(self._reason)
        try:
            return call()
        except ServerError as error:
            if isinstance(error, ClosedError) or (error.transient and not self._answers()):
                self._reason = str(error)
                raise SystemDownError(self._reason) from error
            raise

    def _answers(self) -> bool:
        try:
            self._ask()
        except ServerError:
            return False
        return True
