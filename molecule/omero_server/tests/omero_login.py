"""Logins at the scenario's server with OMERO's own client library."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import omero

# The library logs what it raises.
logging.getLogger("omero").setLevel(logging.CRITICAL + 1)

LogIn = Callable[..., contextlib.AbstractContextManager[Any]]


@contextlib.contextmanager
def session(address: str, authority: Path, user: str, password: str) -> Iterator[Any]:
    """Logs in over TLS, with certificate and name verified; gives the session's services until it is left."""
    client = omero.client(
        pmap={
            "omero.host": address,
            "omero.port": "4064",
            "IceSSL.VerifyPeer": "2",
            "IceSSL.CheckCertName": "1",
            "IceSSL.CAs": str(authority),
            "IceSSL.Ciphers": "HIGH:!aNULL",
            "Ice.Override.ConnectTimeout": "3000",
        }
    )
    try:
        yield client.createSession(user, password)
    finally:
        # It closes the session, and bears that there is none.
        client.__del__()
