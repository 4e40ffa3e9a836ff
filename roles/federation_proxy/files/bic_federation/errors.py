"""Why somebody is not logged in, in words that reach them."""

from __future__ import annotations

from typing import Any

from satosa.exception import SATOSAAuthenticationError


class RefusedError(SATOSAAuthenticationError):
    """Ends a login; SATOSA tells the client, with the reason instead of the number of the error alone."""

    def __init__(self, state: Any, reason: str) -> None:
        super().__init__(state, reason)
        self._reason = reason

    @property
    def message(self) -> str:
        """What the client is told."""
        return self._reason
