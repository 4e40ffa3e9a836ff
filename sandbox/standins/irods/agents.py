"""Connections that a server has with itself: the delay server asks and runs rules through them."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from .handshake import Startup
from .rules import RuleBase
from .rulescope import Scope
from .session import Session
from .wire import Channel

if TYPE_CHECKING:
    from .server import State


class LocalAgent:
    """A user's connection without a network; on a server without catalogue it asks the provider."""

    def __init__(self, state: State, user: str, zone: str) -> None:
        """Act for a user, or with empty names for the server's own. Raises -827000 for an unknown one."""
        config = state.config
        ours, theirs = socket.socketpair()
        self._sockets = Channel(ours), Channel(theirs)
        startup = Startup(config.zone_user, config.zone, user or config.zone_user, zone or config.zone, "")
        self._session = Session(state, self._sockets[0], startup)
        try:
            self._session.vouch()
        except BaseException:
            self.close()
            raise

    @property
    def rules(self) -> RuleBase:
        """The rules that the server has read."""
        return self._session.rules

    def scope(self) -> Scope:
        """Return what a rule runs with."""
        return self._session.policy.scope()

    def close(self) -> None:
        """End the connection."""
        self._session.close()
        for channel in self._sockets:
            channel.close()
