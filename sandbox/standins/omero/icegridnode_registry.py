"""The stand-in of IceGrid's registry, as far as omero-py's `omero admin` asks it.

It listens on the loopback alone, at the address that `etc/internal.cfg` and `etc/master.cfg` have, and
answers by Ice's own protocol: the locator, `IceGrid.Query`, and an administrator's session. What it does not
have is answered by Ice's own errors.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from xml.etree import ElementTree

import Glacier2
import Ice
import IceGrid
import omero
import omero.all

from .icegridnode import APPLICATION, NODE, SERVER
from .remote import Remote

#: Seconds that the router's port may take to answer.
PROBE_SECONDS = 2.0
SESSION_MANAGER = "::Glacier2::SessionManager"


class Registry:
    """The registry of one node, listening while it is entered."""

    def __init__(
        self, settings: dict[str, str], pid: Callable[[], int], server: Path, shut_down: Callable[[], None]
    ) -> None:
        """Take the node's settings, what tells the server's process (0 for none), the folder of
        OMERO.server, and what ends the node.
        """
        self._settings = settings
        self._pid = pid
        self._server = server
        self._shut_down = shut_down
        self._communicator: Remote = None

    def __enter__(self) -> Registry:
        """Listen. Raises Ice.SocketException where the address is taken."""
        data = Ice.InitializationData()
        data.properties = Ice.createProperties()
        endpoints = self._settings["IceGrid.Registry.Client.Endpoints"]
        data.properties.setProperty("IceGrid.Registry.Client.Endpoints", endpoints)
        data.properties.setProperty("Ice.Warn.Dispatch", "0")
        self._communicator = Ice.initialize(data)
        adapter = self._communicator.createObjectAdapter("IceGrid.Registry.Client")
        admin = adapter.add(_Admin(self), _identity("admin"))
        manager = adapter.add(_SessionManager(), _identity("session-manager"))
        known = {
            "Query": adapter.add(_Query(self, manager), _identity("Query")),
            "Registry": adapter.add(_Registry(adapter, admin), _identity("Registry")),
        }
        adapter.add(_Locator(known), _identity("Locator"))
        adapter.activate()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        self._communicator.destroy()

    @property
    def pid(self) -> int:
        """The server's process, 0 for none."""
        return self._pid()

    def shut_down(self) -> None:
        """End the node, after the answer."""
        self._shut_down()

    def accepts(self) -> bool:
        """Whether the server runs and takes connections of clients."""
        if not self.pid:
            return False
        try:
            with socket.create_connection(("127.0.0.1", self.router_port()), PROBE_SECONDS):
                return True
        except OSError:
            return False

    def router_port(self) -> int:
        """The port at which clients find the server over TLS, as the descriptor has it."""
        descriptor = ElementTree.parse(self._server / "etc/grid/default.xml")  # noqa: S314 - our own
        for variable in descriptor.iter("variable"):
            if variable.get("name") == "ROUTERPORT":
                return int(variable.get("value", ""))
        raise ValueError("etc/grid/default.xml has no variable ROUTERPORT")


def _identity(name: str) -> Remote:
    return Ice.Identity(name=name, category="IceGrid")


class _Locator(Ice.Locator):  # type: ignore[misc]
    """Finds the registry's own objects; no adapter of the stand-in is found by its name."""

    def __init__(self, known: dict[str, Remote]) -> None:
        self._known = known

    def findObjectById_async(self, callback: Remote, identity: Remote, current: Remote) -> None:
        proxy = self._known.get(identity.name) if identity.category == "IceGrid" else None
        if proxy is None:
            callback.ice_exception(Ice.ObjectNotFoundException())
        else:
            callback.ice_response(proxy)

    def findAdapterById_async(self, callback: Remote, name: str, current: Remote) -> None:
        callback.ice_exception(Ice.AdapterNotFoundException())

    def getRegistry(self, current: Remote) -> None:
        """No adapter can be registered here."""


class _Query(IceGrid.Query):  # type: ignore[misc]
    """Finds the server's session manager, once the server takes connections."""

    def __init__(self, registry: Registry, manager: Remote) -> None:
        self._registry = registry
        self._manager = manager

    def findAllObjectsByType(self, kind: str, current: Remote) -> list[Remote]:
        return [self._manager] if kind == SESSION_MANAGER and self._registry.accepts() else []


class _SessionManager(Glacier2.SessionManager):  # type: ignore[misc]
    """Refuses as OMERO's own does who does not come through the router: a sign that it is there."""

    def create(self, user: str, control: Remote, current: Remote) -> Remote:
        raise omero.WrappedCreateSessionException(
            "STAND-IN: sessions are made by the router", False, -1, "omero.ApiUsageException"
        )


class _Registry(IceGrid.Registry):  # type: ignore[misc]
    """Lets administrators in: who reaches its address is on this host, and upstream asks no password."""

    def __init__(self, adapter: Remote, admin: Remote) -> None:
        self._adapter = adapter
        self._admin = admin

    def createAdminSession(self, user: str, password: str, current: Remote) -> Remote:
        return IceGrid.AdminSessionPrx.uncheckedCast(self._adapter.addWithUUID(_AdminSession(self._admin)))


class _AdminSession(IceGrid.AdminSession):  # type: ignore[misc]
    def __init__(self, admin: Remote) -> None:
        self._admin = admin

    def getAdmin(self, current: Remote) -> Remote:
        return IceGrid.AdminPrx.uncheckedCast(self._admin)

    def destroy(self, current: Remote) -> None:
        current.adapter.remove(current.id)


class _Admin(IceGrid.Admin):  # type: ignore[misc]
    """What `omero admin` asks of node and server."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def pingNode(self, name: str, current: Remote) -> bool:
        self._check(name)
        return True

    def shutdownNode(self, name: str, current: Remote) -> None:
        self._check(name)
        self._registry.shut_down()

    def getAllServerIds(self, current: Remote) -> list[str]:
        return [SERVER]

    def getServerState(self, name: str, current: Remote) -> Remote:
        if name != SERVER:
            raise IceGrid.ServerNotExistException(name)
        if self._registry.accepts():
            return IceGrid.ServerState.Active
        return IceGrid.ServerState.Activating if self._registry.pid else IceGrid.ServerState.Inactive

    def getServerPid(self, name: str, current: Remote) -> int:
        if name != SERVER:
            raise IceGrid.ServerNotExistException(name)
        return self._registry.pid

    def getAllApplicationNames(self, current: Remote) -> list[str]:
        return [APPLICATION]

    @staticmethod
    def _check(name: str) -> None:
        if name != NODE:
            raise IceGrid.NodeNotExistException(name)
