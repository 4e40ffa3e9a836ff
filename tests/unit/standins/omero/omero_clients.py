"""A running stand-in for OMERO.server, and clients of OMERO's own library at it, for the tests."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import omero
import omero.clients
from omero.rtypes import rbool, rstring

sys.path.insert(0, str(Path(__file__).parents[3] / "contract" / "irods"))

from throwaway_pki import create_authority, issue

from sandbox.standins.omero.server import running

ROOT_PASSWORD = "root's throw-away password"
PASSWORD = "secret"
USER_GROUP, GUEST_GROUP = 1, 2


@dataclass(frozen=True)
class Site:
    """Where a server is, and whom to trust."""

    port: int
    ca_file: Path

    @contextlib.contextmanager
    def client(self, name: str = "root", password: str = ROOT_PASSWORD, **properties: str) -> Iterator[Any]:
        """A client that has logged in."""
        client = omero.client(pmap={"omero.host": "localhost", "omero.port": str(self.port), **properties})
        try:
            client.createSession(name, password)
            yield client
        finally:
            # It closes the session, and bears that there is none.
            client.__del__()

    @contextlib.contextmanager
    def joined(self, uuid: str) -> Iterator[Any]:
        """A client in a session that is open, which it leaves open."""
        with self.client(uuid, uuid) as client:
            client.sf.detachOnDestroy()
            yield client

    def verified(self, ca_file: Path | None = None) -> dict[str, str]:
        """The properties with which a client wants a certificate of this authority."""
        return {"IceSSL.VerifyPeer": "2", "IceSSL.CAs": str(ca_file or self.ca_file)}


@contextlib.contextmanager
def site(folder: Path, config: Mapping[str, str] | None = None) -> Iterator[Site]:
    """A server that nobody else has."""
    authority = create_authority(folder / "pki")
    tls = issue(authority, folder / "pki")
    with running(
        folder / "data",
        root_password=ROOT_PASSWORD,
        certificate=tls.certificate_chain_file,
        key=tls.certificate_key_file,
        config=config,
    ) as server:
        yield Site(server.port, authority.ca_file)


def group(name: str | None, permissions: str | None = "rwr---", description: str | None = None) -> Any:
    """A group to be made."""
    made = omero.model.ExperimenterGroupI()
    made.name = None if name is None else rstring(name)
    made.description = None if description is None else rstring(description)
    made.ldap = rbool(False)
    made.details.permissions = None if permissions is None else omero.model.PermissionsI(permissions)
    return made


def person(name: str | None, *, ldap: bool | None = False, last: str | None = "Example") -> Any:
    """An experimenter to be made."""
    made = omero.model.ExperimenterI()
    made.omeName = None if name is None else rstring(name)
    made.firstName, made.lastName = rstring("A"), None if last is None else rstring(last)
    made.ldap = None if ldap is None else rbool(ldap)
    return made


def groups(*ids: int) -> list[Any]:
    """Groups of which only the id is said."""
    return [omero.model.ExperimenterGroupI(key, False) for key in ids]


def people(*ids: int) -> list[Any]:
    """Experimenters of whom only the id is said."""
    return [omero.model.ExperimenterI(key, False) for key in ids]


def add_group(root: Any, name: str) -> int:
    """A new group's id."""
    return int(root.sf.getAdminService().createGroup(group(name)))


def add_person(root: Any, name: str, *of: int, password: str = PASSWORD, active: bool = True) -> int:
    """A new experimenter's id."""
    others = [*of[1:], *([USER_GROUP] if active else [])]
    admin = root.sf.getAdminService()
    return int(
        admin.createExperimenterWithPassword(person(name), rstring(password), *groups(of[0]), groups(*others))
    )


def session_object(uuid: str) -> Any:
    """A session to be closed."""
    made = omero.model.SessionI()
    made.uuid = rstring(uuid)
    return made
