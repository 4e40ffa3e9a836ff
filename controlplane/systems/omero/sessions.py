"""Open sessions: who has one, and their end.

A session goes on when its owner has lost a group or the right to log in, with the groups that the server last
looked up. So those of people whose access ends are ended. A session's UUID opens it; nothing here shows it,
and it is kept no longer than it takes to end the session.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from controlplane.systems.omero import objects
from controlplane.systems.omero.connection import Connection
from controlplane.systems.omero.contents import OpenSession
from controlplane.systems.omero.errors import OmeroError

REFERENCES = 1000
"""How often one session is closed at most. Each program that has joined it is a reference, and each closing
gives up one (`SessionManagerImpl.close` of the server)."""


def open_sessions(connection: Connection) -> list[OpenSession]:
    """All sessions that are open, in a number of requests that does not depend on how many there are."""
    import omero.cmd

    response = connection.submit(omero.cmd.CurrentSessionsRequest())
    # A session that ended while the server answered comes without its details.
    return [
        _session(session, context)
        for session, context in zip(response.sessions, response.contexts, strict=True)
        if session is not None
    ]


def end(connection: Connection, chosen: Callable[[OpenSession], bool]) -> None:
    """End the chosen ones of all open sessions; those that are gone already are no error.

    Raises OmeroError when one goes on all the same.
    """
    for session in open_sessions(connection):
        if chosen(session):
            _close(connection, session)


def _close(connection: Connection, session: OpenSession) -> None:
    import omero

    service, named = connection.sessions, objects.session(session.uuid)
    for _ in range(REFERENCES):
        try:
            if service.closeSession(named) <= 0:
                return
        except omero.RemovedSessionException:
            return
    raise OmeroError(f"{connection.server}: session {session.number} goes on however often it is closed")


def _session(session: Any, context: Any) -> OpenSession:  # noqa: ANN401
    from omero.rtypes import unwrap

    # In milliseconds since 1970.
    since = datetime.fromtimestamp(unwrap(session.started) / 1000, UTC)
    return OpenSession(
        number=session.id.val,
        owner=context.userId,
        client=unwrap(session.userAgent) or "",
        since=since.isoformat(timespec="seconds"),
        uuid=context.sessionUuid,
    )
