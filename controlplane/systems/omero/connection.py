"""One login at an OMERO server: TLS always, verified always.

The client library takes more than a second to load, so that happens when the first connection is made.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from controlplane.systems.omero.errors import OmeroError, failed, unanswered

if TYPE_CHECKING:
    from controlplane.model import Host, OmeroServer

# The library logs errors before it raises them; we report them ourselves, once.
logging.getLogger("omero").setLevel(logging.CRITICAL + 1)

TIMEOUT = 30.0
"""Seconds to wait for an answer."""

CONNECT_TIMEOUT = 5.0
"""Seconds to wait for a connection; the library tries three times."""

POLLS = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds between looks for the answer to a request that the server works on; the last one repeats."""

_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "Ice.Default.PreferSecure": "1",
        "IceSSL.VerifyPeer": "2",
        "IceSSL.CheckCertName": "1",
        "IceSSL.UsePlatformCAs": "0",
        # Without the anonymous ones: they ask for no certificate.
        "IceSSL.Ciphers": "HIGH:!aNULL:!eNULL:!MD5",
    }
)


@dataclass(frozen=True)
class Endpoint:
    """A server and the account to use there."""

    host: str
    """A name or address that the server's certificate holds."""
    port: int
    user: str
    password: str = field(repr=False)
    ca_file: Path
    timeout: float = TIMEOUT

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def endpoint(server: OmeroServer, host: Host, timeout: float = TIMEOUT) -> Endpoint:
    """The server on `host`, entered as its administrator.

    Raises SecretError when the password cannot be read.
    """
    return Endpoint(
        str(host.address),
        server.port,
        server.administrator,
        server.password.reveal(),
        server.ca_file,
        timeout,
    )


class Connection:
    """One login, for one thread at a time: the library makes a communicator with own threads for it."""

    def __init__(self, server: Endpoint) -> None:
        """Log in. Raises what the library raises, and OmeroError when the authority cannot be read."""
        import Ice
        import omero.clients

        _check_authority(server.ca_file)
        # Without arguments, so that no file or variable of the environment says how to connect.
        properties = Ice.createProperties()
        settings = {
            **_SETTINGS,
            "IceSSL.CAs": str(server.ca_file.absolute()),
            "Ice.Override.ConnectTimeout": str(int(min(CONNECT_TIMEOUT, server.timeout) * 1000)),
            "Ice.Default.InvocationTimeout": str(int(server.timeout * 1000)),
            "omero.host": server.host,
            "omero.port": str(server.port),
        }
        for name, value in settings.items():
            properties.setProperty(name, value)
        data = Ice.InitializationData()
        data.properties = properties
        self.server = server
        self._client = omero.client(id=data)
        self._client.setAgent("bic")
        try:
            self._session = self._client.createSession(server.user, server.password)
        except BaseException:
            self.abandon()
            raise

    @cached_property
    def admin(self) -> Any:  # noqa: ANN401
        """omero.api.IAdmin."""
        return self._session.getAdminService()

    @cached_property
    def query(self) -> Any:  # noqa: ANN401
        """omero.api.IQuery."""
        return self._session.getQueryService()

    @cached_property
    def sessions(self) -> Any:  # noqa: ANN401
        """omero.api.ISession."""
        return self._session.getSessionService()

    @cached_property
    def ldap(self) -> Any:  # noqa: ANN401
        """omero.api.ILdap."""
        return self._session.getLdapService()

    @property
    def version(self) -> str:
        """The server's version."""
        return str(self._session.getConfigService().getVersion())

    def rows(self, query: str) -> list[list[Any]]:
        """The rows of an HQL projection over all groups, in Python's types."""
        from omero.rtypes import unwrap

        everywhere = self._client.getContext(group=-1)
        return [unwrap(row) for row in self.query.projection(query, None, everywhere)]

    def submit(self, request: Any) -> Any:  # noqa: ANN401
        """The response to an omero.cmd.Request, once the server has worked on it.

        Raises OmeroError when that takes longer than a call may, or when the server says that it failed.
        """
        import omero.cmd

        handle = self._session.submit(request)
        try:
            deadline, looks = time.monotonic() + self.server.timeout, 0
            while (response := handle.getResponse()) is None:
                if time.monotonic() > deadline:
                    raise unanswered(self.server)
                time.sleep(POLLS[min(looks, len(POLLS) - 1)])
                looks += 1
        finally:
            handle.close()
        if isinstance(response, omero.cmd.ERR):
            raise failed(self.server, response)
        return response

    def close(self) -> None:
        """Log out and disconnect."""
        # A connection that is already gone cannot be told goodbye, and need not be.
        with suppress(Exception):
            self._client.closeSession()

    def abandon(self) -> None:
        """Disconnect without a word, which might not be answered."""
        with suppress(Exception):
            self._client.getCommunicator().destroy()
        # The library logs out again when the object goes. At the end of the process, where an error may still
        # hold it, that would abort the interpreter; it has nothing to do when it was done before.
        with suppress(Exception):
            self._client.closeSession()


def _check_authority(ca_file: Path) -> None:
    """The library would name neither the file nor what is wrong with it."""
    try:
        ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if isinstance(error, FileNotFoundError) else "it is not a PEM certificate"
        raise OmeroError(f"the certificate authority {ca_file} cannot be read: {reason}") from error
