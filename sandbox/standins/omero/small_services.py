"""IConfig, ILdap, ITypes and IUpdate, as far as they are needed.

Source: their Slice files and the server's classes.
"""

import time

import omero
import omero.all
from omero.rtypes import rtime, unwrap

from .accounts import Caller
from .errors import ApiUsageFault, SecurityFault
from .model import PRIVILEGES, id_of
from .release import VERSION
from .remote import Remote
from .services import ADMINISTRATORS, EVERYBODY, Client, answering, role

_FOR_ALL = ("omero.client.", "omero.security.password_required")


@answering
class IConfig(omero.api.IConfig):  # type: ignore[misc]
    """The service as one client sees it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._values = client.parts.settings.values
        self._database = client.parts.catalogue

    @role(*EVERYBODY)
    def getVersion(self, _: Caller) -> str:
        """The server's version."""
        return VERSION

    @role(*EVERYBODY)
    def getServerTime(self, _: Caller) -> Remote:
        """The present time."""
        return rtime(int(time.time() * 1000))

    @role(*EVERYBODY)
    def getDatabaseUuid(self, _: Caller) -> str:
        """What tells this database from others."""
        return self._database.identity()

    @role("user")
    def getConfigValue(self, caller: Caller, name: str) -> str:
        """A setting; passwords are told nobody, and most settings administrators only."""
        if not caller.administrator and not name.startswith(_FOR_ALL):
            raise SecurityFault(f"Cannot read configuration: {name}")
        if "pass" in name.rpartition(".")[2].lower() and name != "omero.security.password_required":
            raise SecurityFault(f"Cannot read configuration: {name}")
        return self._values.get(name, "")


@answering
class ILdap(omero.api.ILdap):  # type: ignore[misc]
    """The service as one client sees it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._parts = client.parts

    @role(*ADMINISTRATORS)
    def getSetting(self, _: Caller) -> bool:
        """Whether a directory is configured."""
        return self._parts.settings.ldap is not None

    @role(*ADMINISTRATORS)
    def findDN(self, _: Caller, name: str) -> str:
        """The distinguished name of somebody in the directory."""
        return self._parts.passwords.distinguished_name(name)

    @role(*ADMINISTRATORS)
    def setDN(self, _: Caller, person: Remote, name: str) -> None:
        """Let the directory check somebody's password, or no longer with a blank name."""
        self._parts.accounts.set_ldap(unwrap(person), bool((name or "").strip()))


@answering
class ITypes(omero.api.ITypes):  # type: ignore[misc]
    """The service as one client sees it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @role("user")
    def allEnumerations(self, _: Caller, kind: str) -> list[Remote]:
        """The values of an enumeration."""
        if kind.rpartition(".")[2] != "AdminPrivilege":
            raise ApiUsageFault(f"the stand-in does not have the enumeration {kind}")
        made = []
        for number, name in enumerate(PRIVILEGES):
            privilege = omero.model.AdminPrivilegeI(number, True)
            privilege.value = omero.rtypes.rstring(name)
            made.append(privilege)
        return made


@answering
class IUpdate(omero.api.IUpdate):  # type: ignore[misc]
    """The service as one client sees it: an experimenter's `ldap` can be saved, and nothing else."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._accounts = client.parts.accounts

    @role("user")
    def saveObject(self, caller: Caller, thing: Remote) -> None:
        """Save an object."""
        if not isinstance(thing, omero.model.Experimenter) or not thing.isLoaded():
            raise ApiUsageFault(f"the stand-in does not save {type(thing).__name__}")
        if not caller.administrator:
            raise SecurityFault("Updating a system type is not allowed to others than administrators")
        self._accounts.set_ldap(id_of(thing), bool(unwrap(thing.ldap)))
