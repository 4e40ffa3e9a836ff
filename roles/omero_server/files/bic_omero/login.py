"""A login at the server as its clients do it: over TLS, with the certificate and its name verified."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from .errors import ToolError


@dataclass(frozen=True)
class Server:
    """A server, by a name or address that its certificate holds, and whom to trust for that."""

    host: str
    port: int
    authorities: Path

    def __str__(self) -> str:
        return f"OMERO on {self.host}:{self.port}"


def run(server: Server, user: str, password: str) -> str:
    """Log in and out; returns the server's version.

    Raises ToolError; its text begins with `refused` when the server answers and does not take the password.
    """
    import Glacier2
    import Ice
    import omero

    # The library reports on its own, too.
    logging.getLogger("omero").setLevel(logging.CRITICAL + 1)
    settings = {
        "omero.host": server.host,
        "omero.port": str(server.port),
        "IceSSL.VerifyPeer": "2",
        "IceSSL.CheckCertName": "1",
        "IceSSL.UsePlatformCAs": "0",
        "IceSSL.CAs": str(server.authorities),
        # The anonymous ciphers, which the library would take too, show no certificate.
        "IceSSL.Ciphers": "HIGH:!aNULL:!eNULL:!MD5",
        "Ice.Override.ConnectTimeout": "5000",
        "Ice.Override.Timeout": "30000",
    }
    try:
        client = omero.client(pmap=settings)
        try:
            return str(client.createSession(user, password).getConfigService().getVersion())
        finally:
            # It closes the session, and bears that there is none.
            client.__del__()
    except Glacier2.PermissionDeniedException as error:
        raise ToolError(f"refused: {server} does not let {user} in with this password") from error
    except (Ice.Exception, omero.ClientError) as error:
        reason = " ".join(str(error).split())
        raise ToolError(f"{server} cannot be used over TLS: {type(error).__name__}: {reason}") from error
