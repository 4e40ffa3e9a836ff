"""Zones with rule bases of a test's own: only a server that the test starts itself can have them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from irods.session import iRODSSession
from zone_under_test import IrodsServer, open_session

from sandbox.standins.irods.launcher import Options, running
from sandbox.standins.irods.server import Server

USER, PASSWORD = "ada", "her password"
HOME = f"/tempZone/home/{USER}"


@dataclass(frozen=True)
class Zone:
    """A zone without TLS, a user in it, and the server that runs it."""

    server: Server
    where: IrodsServer

    @contextlib.contextmanager
    def session(self, user: str = USER) -> Iterator[iRODSSession]:
        """Open a client's session as the user, or as `rods`."""
        password = PASSWORD if user == USER else self.where.password
        with open_session(self.where, user=user, password=password) as session:
            yield session


@contextlib.contextmanager
def policy_zone(directory: Path, rules: str, **options: object) -> Iterator[Zone]:
    """Run a zone with a rule base before `core`; options are the launcher's."""
    settings = Options(directory / "server", rule_bases=(("own", rules),), **options)  # type: ignore[arg-type]
    with running(settings) as server:
        where = IrodsServer("localhost", server.port, "tempZone", "rods", "rods", None, is_standin=True)
        zone = Zone(server, where)
        with zone.session("rods") as session:
            if not options.get("provider"):
                session.users.create(USER, "rodsuser")
                session.users.modify(USER, "password", PASSWORD)
        yield zone


def put(session: iRODSSession, path: str, data: bytes = b"data") -> None:
    """Write a data object."""
    with session.data_objects.open(path, "w") as file:
        file.write(data)
