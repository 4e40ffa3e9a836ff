"""The portal as a process."""

import logging
import os
import socket
from pathlib import Path

import uvicorn

from controlplane.errors import BadInputError
from controlplane.model import Platform
from controlplane.portal.app import application

_FIRST_SOCKET = 3
"""The first of the sockets that systemd hands over, see sd_listen_fds(3)."""

STOP_SECONDS = 10
"""How long requests in flight may take when the portal is stopped."""


def serve(platform: Platform, address: str, port: int, certificate: Path, key: Path) -> None:
    """Answer over TLS until stopped, on systemd's socket where there is one, else on `address`:`port`.

    Raises BadInputError when the inventory describes no portal, or the address or files cannot be used.
    """
    if platform.portal is None or platform.identity is None:
        raise BadInputError(f"{platform.root}/platform.yml describes no portal; add the key 'portal'")
    try:
        app = application(platform, platform.identity, platform.portal)
        settings = uvicorn.Config(
            app,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        settings.load()
        listening = _given() or _own(address, port)
    except OSError as error:
        raise BadInputError(f"the portal cannot start: {error.strerror or error}") from error
    logging.getLogger(__name__).info("%s answers on %s", platform.portal.url, listening.getsockname())
    uvicorn.Server(settings).run(sockets=[listening])


def _given() -> socket.socket | None:
    """The socket that systemd listens on for us, or None."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    return socket.socket(fileno=_FIRST_SOCKET)


def _own(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family)
