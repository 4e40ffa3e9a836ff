"""ISession: sessions of others and one's own.

Source: `omero/api/ISession.ice` and the server's `SessionBean`.
"""

import omero
import omero.all
from omero.rtypes import unwrap

from .accounts import Caller
from .errors import SecurityFault
from .model import session_object
from .remote import Remote
from .services import GUESTS_TOO, Client, answering, role


@answering
class ISession(omero.api.ISession):  # type: ignore[misc]
    """The service as one client sees it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._parts = client.parts
        self._sessions = client.parts.sessions

    @role(*GUESTS_TOO)
    def getSession(self, _: Caller, key: str) -> Remote:
        """An open session, by its key."""
        return session_object(self._sessions.find(key))

    @role(*GUESTS_TOO)
    def getReferenceCount(self, _: Caller, key: str) -> int:
        """How many use a session."""
        return self._sessions.find(key).references

    @role(*GUESTS_TOO)
    def closeSession(self, _: Caller, session: Remote) -> int:
        """One use less of a session; without any, it ends."""
        return self._sessions.close(unwrap(session.uuid))

    @role("user")
    def getMyOpenSessions(self, caller: Caller) -> list[Remote]:
        """The caller's sessions."""
        return [session_object(each) for each in self._sessions.of_owner(caller.user)]

    @role("user")
    def getMyOpenAgentSessions(self, caller: Caller, agent: str) -> list[Remote]:
        """The caller's sessions of one program."""
        return [session_object(each) for each in self._sessions.of_owner(caller.user) if each.agent == agent]

    @role("user")
    def createUserSession(self, caller: Caller, live: int, idle: int, group: str) -> Remote:
        """One session more of the caller's."""
        made = self._sessions.create(self._parts.accounts, caller.name, group or None, agent="createSession")
        trusted = self._sessions.set_times(made.uuid, idle, live, trusted=False)
        return session_object(trusted)

    @role("user")
    def createSessionWithTimeout(self, caller: Caller, principal: Remote, live: int) -> Remote:
        """A session of somebody else, which an administrator may open."""
        return self._opened(caller, principal, live, 0)

    @role("user")
    def createSessionWithTimeouts(self, caller: Caller, principal: Remote, live: int, idle: int) -> Remote:
        """A session of somebody else, which an administrator may open."""
        return self._opened(caller, principal, live, idle)

    def _opened(self, caller: Caller, principal: Remote, live: int, idle: int) -> Remote:
        if not caller.administrator:
            raise SecurityFault("the stand-in lets administrators alone open sessions of others")
        made = self._sessions.create(
            self._parts.accounts,
            principal.name,
            principal.group or None,
            agent="OMERO.sudo",
            live=live,
            idle=idle,
            sudoer=caller.user,
            event_type=principal.eventType or "User",
        )
        return session_object(made)
