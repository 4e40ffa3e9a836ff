"""The session router: logins, and which connection may reach which objects.

Source: `Glacier2/Router.ice` and Glacier2's documentation; the server's `PermissionsVerifierI` and
`SessionManagerI`.
"""

import logging
import threading

import Glacier2
import Ice
import omero
import omero.all

from .errors import Fault, RemovedSessionFault, SecurityFault, SessionTimeoutFault
from .factory import ServiceFactory, identity
from .remote import Remote
from .services import Client, Parts, redacted

_LOG = logging.getLogger("ome.services.blitz")
ROUTER = ("OMERO.Glacier2", "router")
_SESSION_SECONDS = 600
# The module Glacier2 of Ice 3.6 hides the protocol's exception behind one of the same name.
_SessionNotExistException = next(
    kind
    for kind in Ice.UserException.__subclasses__()
    if getattr(kind, "_ice_name", "") == "Glacier2::SessionNotExistException"
)


class _Connections(Ice.ConnectionCallback):  # type: ignore[misc]
    """Told when a client's connection has gone, however that came."""

    def __init__(self, router: "Router") -> None:
        self._router = router

    def heartbeat(self, connection: Remote) -> None:
        """A client lives."""

    def closed(self, connection: Remote) -> None:
        """A client has gone."""
        self._router.gone(connection)


class Router(Glacier2.Router):  # type: ignore[misc]
    """Lets clients in, and knows for each connection whose it is."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.RLock()
        self._factories: dict[str, tuple[Remote, ServiceFactory]] = {}
        self._servants: dict[tuple[str, str], Remote] = {}
        self._callbacks = _Connections(self)
        self.adapter: Remote = None
        parts.sessions.ended = self.ended

    def createSession_async(self, callback: Remote, name: str, password: str, current: Remote = None) -> None:
        """Let somebody in with a password, or into an open session with its key as both."""
        try:
            callback.ice_response(self._session(name, password, current))
        except Ice.Exception as error:
            _LOG.info("login of %s refused: %s", redacted(name), type(error).__name__)
            callback.ice_exception(error)
        except Exception:
            _LOG.exception("login of %s failed", redacted(name))
            callback.ice_exception(Glacier2.CannotCreateSessionException("internal server error"))

    def createSessionFromSecureConnection_async(self, callback: Remote, current: Remote = None) -> None:
        """Refused, as OMERO has no people with certificates."""
        callback.ice_exception(Glacier2.PermissionDeniedException("no ssl permissions verifier configured"))

    def destroySession(self, current: Remote = None) -> None:
        """Let a client go."""
        if not self.gone(current.con):
            raise _SessionNotExistException

    def refreshSession_async(self, callback: Remote, current: Remote = None) -> None:
        """Keep a client's session."""
        if self._factory(current.con):
            callback.ice_response()
        else:
            callback.ice_exception(_SessionNotExistException())

    def getCategoryForClient(self, current: Remote = None) -> str:
        """The category of objects that the client itself has."""
        factory = self._factory(current.con)
        if factory is None:
            raise Ice.ObjectNotExistException(current.id, current.facet, current.operation)
        return f"client-{factory.client.client}"

    def getSessionTimeout(self, current: Remote = None) -> int:
        """Seconds."""
        return _SESSION_SECONDS

    def getACMTimeout(self, current: Remote = None) -> int:
        """Seconds after which a connection that is silent is closed."""
        return 60

    def getClientProxy(self, current: Remote = None) -> Remote:
        """None: clients call at the router's own address."""
        return None

    def getServerProxy(self, current: Remote = None) -> Remote:
        """Where the server would call a client, which it never does."""
        return self.adapter.createProxy(identity("", "dummy"))

    def addProxies(self, proxies: Remote, current: Remote = None) -> list[Remote]:
        """Nothing to remember: all objects are here."""
        return []

    def find(self, current: Remote) -> Remote:
        """The object that a connection calls, if it may."""
        key = (current.id.category, current.id.name)
        if key == ROUTER:
            return self
        factory = self._factory(current.con)
        if factory and key[0] in (factory.client.key, f"session-{factory.client.client}"):
            return self._servants.get(key)
        return None

    def gone(self, connection: Remote) -> bool:
        """A connection is no longer a client's; return whether it was one's."""
        with self._lock:
            factory = self._factory(connection)
            if factory is None:
                return False
            del self._factories[_name(connection)]
        factory.leave()
        return True

    def _factory(self, connection: Remote) -> ServiceFactory | None:
        """What a connection's client has."""
        with self._lock:
            known, factory = self._factories.get(_name(connection), (None, None))
            # The same ends may be those of a later connection.
            return factory if known == connection else None

    def ended(self, key: str) -> None:
        """A session has ended: whatever its clients had is gone, while their connections stay."""
        with self._lock:
            factories = [each for _, each in self._factories.values() if each.client.key == key]
        for factory in factories:
            factory.forget()

    def _session(self, name: str, password: str, current: Remote) -> Remote:
        if self._factory(current.con):
            raise Glacier2.CannotCreateSessionException("session exists")
        joined = self._open(name, password)
        if not joined:
            self._check(name, password)
        client_id = current.ctx.get("omero.client.uuid")
        if not client_id:
            raise _cannot_create("ApiUsageException", "No omero.client.uuid key provided in context.")
        sessions = self._parts.sessions
        try:
            if joined:
                session = sessions.join(password)
            else:
                session = sessions.create(
                    self._parts.accounts,
                    name,
                    current.ctx.get("omero.group"),
                    agent=current.ctx.get("omero.agent"),
                    address=current.ctx.get("omero.ip"),
                    event_type=current.ctx.get("omero.event") or "User",
                )
        except Fault as fault:
            raise _cannot_create(fault.name, fault.message) from None
        client = Client(self._parts, session.uuid, client_id, joined=joined)
        factory = ServiceFactory(client, self._register, self._remove)
        proxy = self._register(f"session-{client_id}", session.uuid, factory)
        with self._lock:
            self._factories[_name(current.con)] = current.con, factory
        current.con.setCallback(self._callbacks)
        return Glacier2.SessionPrx.uncheckedCast(proxy)

    def _open(self, name: str, password: str) -> bool:
        """Whether name or password is the key of an open session, in which case both must be."""
        for key in (password, name):
            try:
                self._parts.sessions.find(key)
            except (RemovedSessionFault, SessionTimeoutFault):
                continue
            if name != password:
                raise Glacier2.PermissionDeniedException(
                    "username and password must be equal; use joinSession"
                )
            return True
        return False

    def _check(self, name: str, password: str) -> None:
        try:
            right = self._parts.passwords.check(name, password)
        except SecurityFault as fault:
            raise Glacier2.PermissionDeniedException(fault.message) from None
        except Exception as error:
            # As upstream: whatever goes wrong while checking lets nobody in.
            reason = error.message if isinstance(error, Fault) else type(error).__name__
            _LOG.exception("Exception thrown while checking the password of %s", redacted(name))
            raise Glacier2.PermissionDeniedException(
                f"Internal error. Please contact your administrator:\n{reason}"
            ) from None
        if not right:
            raise Glacier2.PermissionDeniedException(f"Password check failed for '{name}': []")

    def _register(self, category: str, name: str, servant: Remote) -> Remote:
        with self._lock:
            self._servants.setdefault((category, name), servant)
        return self.adapter.createProxy(identity(category, name))

    def _remove(self, category: str, name: str) -> None:
        with self._lock:
            self._servants.pop((category, name), None)


class Locator(Ice.ServantLocator):  # type: ignore[misc]
    """Finds the object of each call: only what belongs to the connection's session is there."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def locate(self, current: Remote) -> Remote:
        """The object, or None, which the client gets as ObjectNotExistException."""
        return self._router.find(current)

    def finished(self, current: Remote, servant: Remote, cookie: Remote) -> None:
        """Nothing to do."""

    def deactivate(self, category: str) -> None:
        """Nothing to do."""


def _name(connection: Remote) -> str:
    """What tells a connection from all others that are open: both its ends."""
    return str(connection.toString())


def _cannot_create(kind: str, reason: str) -> Remote:
    wrapped = omero.WrappedCreateSessionException()
    wrapped.reason, wrapped.concurrency, wrapped.backOff = reason, False, -1
    wrapped.type = f"ome.conditions.{kind}"
    return wrapped
