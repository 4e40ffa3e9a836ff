"""What goes wrong with an OMERO server, in one line that names the server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from controlplane.systems.attempts import ClosedError, ServerError

if TYPE_CHECKING:
    from controlplane.systems.omero.connection import Endpoint

LONGEST = 300
"""Characters of a server's message that are shown."""

DATABASE_LOST = ("JDBCConnectionException", "DataAccessResourceFailureException")
"""What a server names in an InternalException when its database has closed a connection."""


class OmeroError(ServerError):
    """A server that could not be reached or refused."""

    def __init__(self, message: str, *, transient: bool = False, usable: bool = False) -> None:
        super().__init__(message, transient=transient)
        self.usable = usable
        """Whether the connection is as good as before."""


class LoginError(OmeroError, ClosedError):
    """A server that takes no connection from us, so that nothing can be done there."""


def unanswered(server: Endpoint) -> OmeroError:
    """The error of a server that takes too long."""
    return OmeroError(f"{server}: no answer within {server.timeout:g} s", transient=True)


def failed(server: Endpoint, response: Any) -> OmeroError:  # noqa: ANN401
    """The error of an omero.cmd.ERR, the answer to a request that the server could not carry out."""
    detail = (response.parameters or {}).get("message", "")
    return OmeroError(_with(f"{server}: {response.category} {response.name}", detail), usable=True)


def explain(server: Endpoint, error: Exception) -> OmeroError:
    """What the client library raised (the classes are those of ServerErrors.ice and of Ice 3.6)."""
    import Glacier2
    import omero

    if isinstance(error, OmeroError):
        return error
    if isinstance(error, omero.ServerError):
        return _refused(server, error)
    if isinstance(error, Glacier2.PermissionDeniedException | Glacier2.CannotCreateSessionException):
        # The others are a server that starts or has lost its database.
        final = (
            Glacier2.PermissionDeniedException,
            omero.AuthenticationException,
            omero.ExpiredCredentialException,
        )
        return OmeroError(
            _with(f"{server}: it does not let {server.user} in", error.reason),
            transient=not isinstance(error, final),
        )
    return _cut_off(server, error)


def _refused(server: Endpoint, error: Any) -> OmeroError:  # noqa: ANN401
    """A call that reached the server and failed there."""
    import omero

    kind, message = type(error).__name__, error.message or ""
    gone = isinstance(error, omero.SessionException)
    lost = isinstance(error, omero.InternalException) and any(name in message for name in DATABASE_LOST)
    passing = gone or lost or isinstance(error, omero.ConcurrencyException)
    return OmeroError(_with(f"{server}: {kind}", message), transient=passing, usable=not gone)


def _cut_off(server: Endpoint, error: Exception) -> OmeroError:
    """A call that did not reach the server, or whose answer did not come."""
    import Ice
    import omero

    kind = type(error).__name__
    # The library raises a ClientError when it has tried to connect often enough.
    if isinstance(error, Ice.TimeoutException | omero.ClientError):
        return unanswered(server)
    if isinstance(error, Ice.SecurityException):
        return OmeroError(_with(f"{server}: its certificate is not accepted", error.reason))
    if isinstance(error, Ice.ObjectNotExistException):
        return OmeroError(f"{server}: the login has ended", transient=True)
    final = (Ice.RequestFailedException, Ice.UnknownException, Ice.ProtocolException)
    passing = isinstance(error, Ice.LocalException) and not isinstance(error, final)
    if isinstance(error, Ice.SyscallException):
        detail = os.strerror(error.error) if error.error else ""
    elif isinstance(error, Ice.LocalException):
        said = (getattr(error, name, "") for name in ("reason", "unknown", "operation"))
        detail = next(filter(None, said), "")
    else:
        detail = str(error)
    return OmeroError(_with(f"{server}: {kind}", detail), transient=passing)


def _with(text: str, detail: str) -> str:
    shown = _first_line(detail or "")
    return f"{text}: {shown}" if shown else text


def _first_line(text: str) -> str:
    """What matters of a message: a server appends stack traces."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    shown = " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1])
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
