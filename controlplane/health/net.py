"""Questions that several systems ask: does a port answer, does a page answer over verified TLS."""

import socket
import ssl
from pathlib import Path

import httpx

from controlplane.health.port import CheckFailedError

TIMEOUT = 5.0
"""Seconds for one connection or page."""


def connect(host: str, port: int, timeout: float = TIMEOUT) -> socket.socket:
    """A TCP connection. Raises CheckFailedError."""
    try:
        return socket.create_connection((host, port), timeout)
    except TimeoutError as error:
        raise CheckFailedError(f"{host}:{port} does not answer within {timeout:g} s") from error
    except OSError as error:
        raise CheckFailedError(f"{host}:{port} cannot be reached: {error.strerror or error}") from error


def reachable(host: str, port: int) -> str:
    """That a TCP port accepts connections. Raises CheckFailedError."""
    connect(host, port).close()
    return f"port {port} answers"


def ask(url: str, ca_file: Path) -> httpx.Response:
    """What is answered over TLS, verified with the authority in `ca_file`, be it a success or not.

    Raises CheckFailedError.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise CheckFailedError(f"the certificate authority {ca_file} cannot be read: {error}") from error
    try:
        # Internal addresses: a proxy from the environment could not reach them.
        return httpx.get(url, verify=context, timeout=TIMEOUT, trust_env=False)
    except httpx.HTTPError as error:
        raise CheckFailedError(f"{url}: {str(error) or type(error).__name__}") from error


def fetch(url: str, ca_file: Path) -> httpx.Response:
    """As `ask`, for an answer that must be a success."""
    response = ask(url, ca_file)
    if not response.is_success:
        raise CheckFailedError(f"{url} answers {response.status_code}")
    return response
