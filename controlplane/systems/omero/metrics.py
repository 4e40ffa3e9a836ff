"""What is measured of an OMERO server: whether it can be used, and how many people do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

from controlplane.exporter.families import Family
from controlplane.model import OmeroServer, Platform
from controlplane.systems.omero import sessions
from controlplane.systems.omero.client import Client
from controlplane.systems.omero.connection import endpoint
from controlplane.systems.omero.errors import OmeroError

INTERVAL = 60.0
TIMEOUT = 10.0
"""Seconds for one answer."""

SERVER_UP = Family("bic_omero_server_up", "Whether the server lets the administrator in.", ("host",))
SERVER_INFO = Family("bic_omero_server_info", "The server's version.", ("host", "version"))
SESSIONS = Family("bic_omero_sessions", "Open sessions, without the exporter's own.", ("host",))


def collectors(platform: Platform) -> Iterator[Server]:
    """One collector for each OMERO server."""
    for server in platform.omero_servers.values():
        yield Server(platform, server)


class Server:
    """One server."""

    interval = INTERVAL
    budget = 45.0

    def __init__(self, platform: Platform, server: OmeroServer) -> None:
        """Measure this server."""
        self.name = f"omero_server_{server.host}"
        self._host = platform.hosts[server.host]
        self._server = server

    def collect(self) -> Iterable[Metric]:
        """One reading; a server that does not answer is a value, not an error.

        Raises SecretError when the administrator's password cannot be read.
        """
        host = [self._server.host]
        entrance = endpoint(self._server, self._host, TIMEOUT)
        try:
            with Client(entrance, connections=1) as client:
                version = client.call(lambda connection: connection.version)
                opened = len(client.call(sessions.open_sessions)) - 1
        except OmeroError:
            return [SERVER_UP.of([(host, 0)])]
        return [
            SERVER_UP.of([(host, 1)]),
            SERVER_INFO.of([([*host, version], 1)]),
            SESSIONS.of([(host, opened)]),
        ]
