"""ServiceFactory: what a client gets at login, and where it finds the services and submits its requests.

Source: `omero/API.ice`, and the server's `ServiceFactoryI` and `SessionI`.
"""

from collections.abc import Callable, Sequence

import Ice
import omero
import omero.all

from .accounts import Caller
from .admin import IAdmin
from .catalogue import GUEST_USER
from .commands import Handle, answer
from .errors import ApiUsageFault, Fault, RemovedSessionFault, SecurityFault, SessionTimeoutFault
from .model import Graph, id_of
from .query import IQuery
from .remote import Remote
from .services import Client, answering, exception, guarded, role
from .session_service import ISession
from .small_services import IConfig, ILdap, ITypes, IUpdate

SERVICES: dict[str, tuple[type, Remote]] = {
    "omero.api.IAdmin": (IAdmin, omero.api.IAdminPrx),
    "omero.api.IConfig": (IConfig, omero.api.IConfigPrx),
    "omero.api.ILdap": (ILdap, omero.api.ILdapPrx),
    "omero.api.IQuery": (IQuery, omero.api.IQueryPrx),
    "omero.api.ISession": (ISession, omero.api.ISessionPrx),
    "omero.api.ITypes": (ITypes, omero.api.ITypesPrx),
    "omero.api.IUpdate": (IUpdate, omero.api.IUpdatePrx),
}
_FOR_GUESTS = ("omero.api.IAdmin", "omero.api.IConfig", "omero.api.ISession")
Register = Callable[[str, str, Remote], Remote]
"""Makes a servant reachable by category and name, and returns its proxy."""


def _service(name: str) -> Callable[..., Remote]:
    def get(self: "ServiceFactory", current: Remote) -> Remote:
        return self.service(name, current)

    return get


@answering
class ServiceFactory(omero.api.ServiceFactory):  # type: ignore[misc]
    """One client's way into one session."""

    def __init__(self, client: Client, register: Register, remove: Callable[[str, str], None]) -> None:
        self.client = client
        self._register = register
        self._remove = remove
        self._names: list[str] = []

    getAdminService = _service("omero.api.IAdmin")
    getConfigService = _service("omero.api.IConfig")
    getLdapService = _service("omero.api.ILdap")
    getQueryService = _service("omero.api.IQuery")
    getSessionService = _service("omero.api.ISession")
    getTypesService = _service("omero.api.ITypes")
    getUpdateService = _service("omero.api.IUpdate")

    def getByName(self, name: str, current: Remote) -> Remote:
        """A service by its name."""
        return self.service(name, current)

    def service(self, name: str, current: Remote) -> Remote:
        """The proxy of a service. Raises ApiUsageException for one that is not there."""

        def find(_self: Remote, caller: Caller) -> Remote:
            if name not in SERVICES:
                raise ApiUsageFault(f"{name} is an unknown service of the stand-in for OMERO.server.")
            if caller.user == GUEST_USER and name not in _FOR_GUESTS:
                raise SecurityFault(f"Access denied to guest user: {name}")
            kind, proxy = SERVICES[name]
            return proxy.uncheckedCast(self._added(f"{self.client.client}{name}", kind(self.client)))

        find.__dict__["allowed"] = ()
        return guarded(self, "getByName", find, [], current)

    def setCallback(self, callback: Remote, current: Remote) -> None:
        """Taken and not used, as upstream since 2010."""

    def subscribe(self, topic: str, proxy: Remote, current: Remote) -> None:
        """Taken and not used: the stand-in tells nothing by itself."""
        if not topic.startswith("/public/"):
            raise exception(ApiUsageFault('Currently only "/public/" topics allowed.'))

    def detachOnDestroy(self, current: Remote) -> None:
        """Let the session live on when this client goes."""
        self.client.closes = False

    def closeOnDestroy(self, current: Remote) -> None:
        """End the session with its last client."""
        self.client.closes = True

    def keepAlive(self, proxy: Remote, current: Remote) -> bool:
        """Use the session; return whether a service is there still."""
        self._used(current)
        return proxy is not None and proxy.ice_getIdentity().name in self._names

    def keepAllAlive(self, proxies: Sequence[Remote], current: Remote) -> int:
        """Use the session; return a bit for each service that is there no longer."""
        self._used(current)
        if not proxies:
            return -1
        gone = (proxy is not None and proxy.ice_getIdentity().name not in self._names for proxy in proxies)
        return sum(1 << place for place, missing in enumerate(gone) if missing)

    def activeServices(self, current: Remote) -> list[str]:
        """The names of the services that this client has asked for."""
        return list(self._names)

    def getSecurityContexts(self, current: Remote) -> Remote:
        """The groups that the session may enter."""

        def find(_self: Remote, caller: Caller) -> Remote:
            return Graph(self.client.parts.catalogue).groups(caller.member_of)

        find.__dict__["allowed"] = ()
        return guarded(self, "getSecurityContexts", find, [], current)

    def setSecurityContext(self, thing: Remote, current: Remote) -> Remote:
        """Go on in another group; return the one before."""

        def enter(_self: Remote, _: Caller) -> Remote:
            key = id_of(thing)
            if key is None:
                raise ApiUsageFault("Security context must be managed!")
            if not isinstance(thing, omero.model.ExperimenterGroup):
                raise ApiUsageFault(f"Unknown security context:{type(thing).__name__}")
            before = self.client.parts.sessions.enter_group(self.client.session(), key)
            return omero.model.ExperimenterGroupI(before, False)

        enter.__dict__["allowed"] = ()
        return guarded(self, "setSecurityContext", enter, [], current)

    def setSecurityPassword(self, password: str, current: Remote) -> None:
        """Give the password in a session that was entered by its key."""
        caller = self.client.caller(current.ctx)
        if not self.client.parts.passwords.check(caller.name, password):
            raise exception(SecurityFault(f"Bad password for {caller.name}"))
        self.client.with_password = True

    @role()
    def submit(self, caller: Caller, request: Remote) -> Remote:
        """Begin a request; its answer is fetched by the handle."""
        handle = Handle(request, lambda: answer(self.client.parts, caller, request), self._close_handle)
        proxy = self._added(handle.name, handle)
        handle.begin()
        return omero.cmd.HandlePrx.uncheckedCast(proxy)

    def destroy(self, current: Remote) -> None:
        """End this client's use of the session."""
        self.leave()

    def leave(self) -> None:
        """End this client's use of the session, and the session with its last use unless it was detached."""
        sessions = self.client.parts.sessions
        self._remove(f"session-{self.client.client}", self.client.key)
        try:
            left = sessions.detach(self.client.key)
        except (RemovedSessionFault, SessionTimeoutFault):
            left, self.client.closes = 0, True
        if self.client.closes and left < 1:
            sessions.close(self.client.key)
        self.forget()

    def forget(self) -> None:
        """Take this client's services away."""
        while self._names:
            self._remove(self.client.key, self._names.pop())
        self._remove(f"session-{self.client.client}", self.client.key)

    def _added(self, name: str, servant: Remote) -> Remote:
        if name not in self._names:
            self._names.append(name)
        return self._register(self.client.key, name, servant)

    def _close_handle(self, name: str) -> None:
        self._remove(self.client.key, name)
        if name in self._names:
            self._names.remove(name)

    def _used(self, current: Remote) -> None:
        try:
            self.client.caller(current.ctx)
        except Fault as fault:
            raise exception(fault) from None


def identity(category: str, name: str) -> Remote:
    """An identity of Ice."""
    return Ice.Identity(name, category)
