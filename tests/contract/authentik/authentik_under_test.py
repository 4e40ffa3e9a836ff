"""The server that tests talk to: a fresh stand-in, or the one that `BIC_CONTRACT_AUTHENTIK` names.

The variable's value is `https://TOKEN@HOST[:PORT]`; the token is of a superuser. The recording is replayed on
a server that is fresh, so a server that is named must be one too.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from sandbox.standins.authentik.launcher import running

VARIABLE = "BIC_CONTRACT_AUTHENTIK"
# What the recorded server's administrator had as a token.
RECORDED_TOKEN = "bootstrap-token-fixed-0123456789"


@dataclass(frozen=True, slots=True)
class AuthentikServer:
    """Where the server is, and a superuser's token."""

    url: str
    token: str

    def client(self, token: str | None = None) -> httpx.Client:
        """Return a client with a token, the superuser's if none is given."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)


def named_server() -> AuthentikServer | None:
    """Return the server that the environment names."""
    value = os.environ.get(VARIABLE)
    if not value:
        return None
    parts = urlsplit(value)
    host = parts.netloc.rpartition("@")[2]
    return AuthentikServer(f"{parts.scheme}://{host}", parts.username or "")


@contextmanager
def server_under_test(directory: Path) -> Iterator[AuthentikServer]:
    """Give the named server, or a fresh stand-in with its files in a directory."""
    if server := named_server():
        yield server
        return
    with running(directory, token=RECORDED_TOKEN) as standin:
        yield AuthentikServer(standin.url, standin.token)
