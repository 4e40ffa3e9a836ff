"""Where the contract tests find their server, and how they open sessions with it."""

import contextlib
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irods.session import iRODSSession
from throwaway_pki import create_authority, issue

from sandbox.standins.irods.config import TlsClient
from sandbox.standins.irods.launcher import Options, running

VARIABLE = "BIC_CONTRACT_IRODS"


@dataclass(frozen=True)
class IrodsServer:
    """Where the server is that the contract tests talk to, and its administrator."""

    host: str
    port: int
    zone: str
    user: str
    password: str
    ca_file: Path | None
    is_standin: bool


def named_server(value: str) -> IrodsServer:
    """Return the server that a URL names. Raises `ValueError` for one that is malformed."""
    url = urllib.parse.urlsplit(value)
    ca = urllib.parse.parse_qs(url.query).get("ca")
    if url.scheme != "irods" or not (url.hostname and url.username and url.password and len(url.path) > 1):
        raise ValueError(f"{VARIABLE} must be irods://USER:PASSWORD@HOST:PORT/ZONE?ca=FILE")
    return IrodsServer(
        url.hostname,
        url.port or 1247,
        url.path.strip("/"),
        urllib.parse.unquote(url.username),
        urllib.parse.unquote(url.password),
        Path(ca[0]) if ca else None,
        is_standin=False,
    )


@contextlib.contextmanager
def standin_server(directory: Path, **options: Any) -> Iterator[IrodsServer]:
    """Run a stand-in that requires TLS; options are the launcher's."""
    authority = create_authority(directory / "pki")
    settings = Options(
        directory / "server",
        policy="CS_NEG_REQUIRE",
        tls_server=issue(authority, directory / "pki"),
        tls_client=TlsClient("hostname", str(authority.ca_file)),
        aliases=("icat.example",),
        **options,
    )
    with running(settings) as server:
        yield IrodsServer(
            settings.host,
            server.port,
            settings.zone,
            settings.user,
            settings.password,
            authority.ca_file,
            True,
        )


@contextlib.contextmanager
def open_session(server: IrodsServer, **overrides: Any) -> Iterator[iRODSSession]:
    """Open a client session with a server; keywords replace python-irodsclient's arguments."""
    arguments: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        "zone": server.zone,
        "client_server_negotiation": "request_server_negotiation",
        "client_server_policy": "CS_NEG_REFUSE",
    }
    if server.ca_file is not None:
        arguments |= {
            "client_server_policy": "CS_NEG_REQUIRE",
            "ssl_verify_server": "hostname",
            "ssl_ca_certificate_file": str(server.ca_file),
            "encryption_algorithm": "AES-256-CBC",
            "encryption_key_size": 32,
            "encryption_num_hash_rounds": 16,
            "encryption_salt_size": 8,
        }
    with iRODSSession(**(arguments | overrides)) as session:
        session.connection_timeout = 30
        yield session
