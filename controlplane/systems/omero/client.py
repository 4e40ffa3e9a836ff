"""Connections to an OMERO server: bounded in number, gone when not in use.

What may pass by itself (a server that restarts, a database that is away for some seconds, somebody else's
change of the same rows) is tried again for as long as the caller has patience, on a new connection unless the
old one is known to be good.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Semaphore
from types import TracebackType
from typing import TypeVar

from controlplane.systems.attempts import patiently
from controlplane.systems.omero.connection import Connection, Endpoint
from controlplane.systems.omero.errors import LoginError, explain

CONNECTIONS = 4
"""Logins for bulk work."""

T = TypeVar("T")


class Client:
    """A bounded set of logins at one server."""

    def __init__(self, server: Endpoint, connections: int = CONNECTIONS) -> None:
        """Log in nowhere yet; at most `connections` logins will exist."""
        self.server = server
        self.connections = connections
        self._free = Semaphore(connections)
        self._idle: deque[Connection] = deque()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, work: Callable[[Connection], T], *, patience: float = 0.0) -> T:
        """What `work` returns for a connection; tried again for `patience` seconds while that may help.

        So `work` must be safe to repeat: what is lost may be the answer alone. Raises OmeroError, and
        LoginError when the server takes no connection.
        """

        def attempt() -> T:
            with self._free:
                return self._attempt(work)

        return patiently(attempt, patience)

    def _attempt(self, work: Callable[[Connection], T]) -> T:
        connection = self._pop() or self._connected()
        usable = False
        try:
            result = work(connection)
            usable = True
        except Exception as error:
            reason = explain(self.server, error)
            usable = reason.usable
            if reason is error:
                raise
            raise reason from error
        finally:
            if usable:
                self._idle.append(connection)
            else:
                connection.abandon()
        return result

    def _pop(self) -> Connection | None:
        """The connection that was used last, if there is one."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connected(self) -> Connection:
        try:
            return Connection(self.server)
        except Exception as error:
            reason = explain(self.server, error)
            raise LoginError(str(reason), transient=reason.transient) from error

    def close(self) -> None:
        """Log out everywhere, each when it is no longer in use."""
        for _ in range(self.connections):
            self._free.acquire()
        while (connection := self._pop()) is not None:
            connection.close()
        for _ in range(self.connections):
            self._free.release()
