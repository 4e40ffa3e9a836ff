"""Where the contract tests find their server, and how they log in there without the control plane."""

import contextlib
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import omero
import omero.clients
from omero.rtypes import rstring, unwrap
from throwaway_pki import create_authority, issue

from controlplane.systems.omero.connection import Endpoint
from sandbox.standins.omero.server import running

VARIABLE = "BIC_CONTRACT_OMERO"
ROOT = "root"


@dataclass(frozen=True)
class OmeroServer:
    """Where the server is that the contract tests talk to, and its administrator."""

    host: str
    port: int
    user: str
    password: str
    ca_file: Path
    is_standin: bool

    @property
    def endpoint(self) -> Endpoint:
        """The control plane's way in."""
        return Endpoint(self.host, self.port, self.user, self.password, self.ca_file)


def named_server(value: str) -> OmeroServer:
    """Return the server that a URL names. Raises `ValueError` for one that is malformed."""
    url = urllib.parse.urlsplit(value)
    ca = urllib.parse.parse_qs(url.query).get("ca")
    if url.scheme != "omero" or not (url.hostname and url.username and url.password and ca):
        raise ValueError(f"{VARIABLE} must be omero://root:PASSWORD@HOST:PORT?ca=FILE")
    return OmeroServer(
        url.hostname,
        url.port or 4064,
        urllib.parse.unquote(url.username),
        urllib.parse.unquote(url.password),
        Path(ca[0]),
        is_standin=False,
    )


@contextlib.contextmanager
def standin_server(directory: Path, settings: Mapping[str, str] | None = None) -> Iterator[OmeroServer]:
    """Run a stand-in; settings are OMERO's own, by their names."""
    authority = create_authority(directory / "pki")
    files = issue(authority, directory / "pki")
    password = "root's throw-away one"
    with running(
        directory / "server",
        root_password=password,
        certificate=files.certificate_chain_file,
        key=files.certificate_key_file,
        config=settings,
    ) as server:
        yield OmeroServer("127.0.0.1", server.port, ROOT, password, authority.ca_file, is_standin=True)


@contextlib.contextmanager
def logged_in(server: OmeroServer, user: str = "", password: str = "") -> Iterator[Any]:
    """A client of the library, logged in; the administrator where nobody is named."""
    client = omero.client(host=server.host, port=server.port)
    try:
        client.createSession(user or server.user, password or server.password)
        yield client
    finally:
        client.closeSession()


def opened_for(root: Any, user: str, group: str = "", live: int = 600_000) -> str:
    """The UUID of a session that the administrator opens for somebody; times are in milliseconds."""
    principal = omero.sys.Principal(user, group, "User", None)
    made = root.sf.getSessionService().createSessionWithTimeout(principal, live)
    return str(unwrap(made.uuid))


@contextlib.contextmanager
def joined(server: OmeroServer, uuid: str) -> Iterator[Any]:
    """A client in a session that is open. It stays open afterwards."""
    client = omero.client(host=server.host, port=server.port)
    try:
        client.joinSession(uuid).detachOnDestroy()
        yield client
    finally:
        client.closeSession()


def is_open(server: OmeroServer, uuid: str) -> bool:
    """Whether a session is open, as the server says, whatever uses it."""
    with logged_in(server) as root:
        try:
            root.sf.getSessionService().getReferenceCount(uuid)
        except omero.SessionException:
            return False
        return True


def account(name: str, first: str = "First", last: str = "Last", *, ldap: bool = False) -> Any:
    """An experimenter to be made."""
    made = omero.model.ExperimenterI()
    made.omeName, made.firstName, made.lastName = rstring(name), rstring(first), rstring(last)
    made.ldap = omero.rtypes.rbool(ldap)
    return made


def group(name: str, permissions: str = "rw----", description: str = "") -> Any:
    """A group to be made."""
    made = omero.model.ExperimenterGroupI()
    made.name, made.description = rstring(name), rstring(description)
    made.ldap = omero.rtypes.rbool(False)
    made.details.permissions = omero.model.PermissionsI(permissions)
    return made


def account_proxy(number: int) -> Any:
    return omero.model.ExperimenterI(number, False)


def group_proxy(number: int) -> Any:
    return omero.model.ExperimenterGroupI(number, False)
