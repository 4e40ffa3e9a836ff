"""Requests that are submitted, and the handles by which their answers are fetched.

Source: `omero/cmd/API.ice`, `omero/cmd/Admin.ice`, and the server's `HandleI` and `CurrentSessionsRequestI`.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable

import Ice
import omero
import omero.all
from omero.rtypes import rlong, rtime, unwrap

from .accounts import Caller
from .catalogue import now
from .errors import Fault, SecurityFault
from .model import event_context, group_row, session_object
from .remote import Remote
from .services import Parts

_LOG = logging.getLogger("omero.cmd")
_MOMENT_SECONDS = 0.02
"""How long a request takes at least: as upstream, whoever asks at once asks too early."""


class Handle(omero.cmd.Handle):  # type: ignore[misc]
    """A request that was submitted, and works by itself."""

    def __init__(self, request: Remote, work: Callable[[], Remote], close: Callable[[str], None]) -> None:
        self.name = f"IHandle{uuid.uuid4()}"
        self._request = request
        self._work = work
        self._close = close
        self._response: Remote = None
        self._callbacks: dict[str, Remote] = {}
        self._lock = threading.Lock()
        self._began = self._ended = 0

    def begin(self) -> None:
        """Start to work."""
        self._began = now()
        threading.Thread(target=self._run, daemon=True, name=self.name).start()

    def addCallback(self, callback: Remote, current: Remote = None) -> None:
        """Tell a client at the end, over the connection that it has."""
        identity = callback.ice_getIdentity()
        known = omero.cmd.CmdCallbackPrx.uncheckedCast(current.con.createProxy(identity).ice_oneway())
        with self._lock:
            self._callbacks[identity.name] = known

    def removeCallback(self, callback: Remote, current: Remote = None) -> None:
        """Tell a client no longer."""
        with self._lock:
            self._callbacks.pop(callback.ice_getIdentity().name, None)

    def getRequest(self, current: Remote = None) -> Remote:
        """What was submitted."""
        return self._request

    def getResponse(self, current: Remote = None) -> Remote:
        """The answer; None until there is one."""
        return self._response

    def getStatus(self, current: Remote = None) -> Remote:
        """How it goes."""
        made = omero.cmd.Status()
        made.flags = [] if self._response is None else [_state(self._response)]
        made.category, made.name, made.parameters = "", self._request.ice_id(), {}
        made.currentStep, made.steps = 0, 1
        made.startTime, made.stopTime = self._began, self._ended
        made.stepStartTimes, made.stepStopTimes = [self._began], [self._ended]
        return made

    def cancel(self, current: Remote = None) -> bool:
        """Too late: it is done in a moment."""
        return False

    def close(self, current: Remote = None) -> None:
        """Forget it."""
        self._close(self.name)

    def _run(self) -> None:
        time.sleep(_MOMENT_SECONDS)
        response = self._work()
        self._ended = now()
        with self._lock:
            self._response = response
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            try:
                callback.finished(response, self.getStatus())
            except Ice.Exception as error:
                _LOG.info("a client was not told: %s", type(error).__name__)


def answer(parts: Parts, caller: Caller, request: Remote) -> Remote:
    """The answer to a request, which may be an error."""
    try:
        if isinstance(request, omero.cmd.CurrentSessionsRequest):
            return _current_sessions(parts, caller)
        if isinstance(request, omero.cmd.UpdateSessionTimeoutRequest):
            return _update_timeout(parts, caller, request)
    except Fault as fault:
        return _error(request, fault.name, fault.message)
    except Exception as error:
        _LOG.exception("%s failed", request.ice_id())
        return _error(request, "InternalException", type(error).__name__)
    return _error(request, "stand-in", f"the stand-in does not know {request.ice_id()}")


def _state(response: Remote) -> Remote:
    failed = isinstance(response, omero.cmd.ERR)
    return omero.cmd.State.FAILURE if failed else omero.cmd.State.SUCCESS


def _current_sessions(parts: Parts, caller: Caller) -> Remote:
    made = omero.cmd.CurrentSessionsResponse()
    made.sessions, made.contexts, made.data = [], [], []
    for session in parts.sessions.all():
        group = group_row(parts.catalogue, session.caller.group)
        context = event_context(session.caller, group)
        if caller.administrator or session.caller.user == caller.user:
            made.sessions.append(session_object(session))
            made.data.append({"hitCount": rlong(session.hits), "lastAccessTime": rtime(session.seen)})
        else:
            # Others are told who is there, and no more.
            made.sessions.append(None)
            made.data.append({})
            context.sessionUuid, context.sessionId = "", 0
            context.memberOfGroups, context.leaderOfGroups, context.adminPrivileges = [], [], []
        made.contexts.append(context)
    return made


def _update_timeout(parts: Parts, caller: Caller, request: Remote) -> Remote:
    key = request.session
    if not caller.administrator and parts.sessions.find(key).caller.user != caller.user:
        raise SecurityFault("the session is somebody else's")
    parts.sessions.set_times(
        key, unwrap(request.timeToIdle), unwrap(request.timeToLive), trusted=caller.administrator
    )
    return omero.cmd.OK()


def _error(request: Remote, name: str, message: str) -> Remote:
    made = omero.cmd.ERR()
    made.category, made.name = request.ice_id(), name
    made.parameters = {"message": message}
    return made
