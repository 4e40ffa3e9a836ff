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


def fetch(url: str, ca_file: Path) -> httpx.Response:
    """A page over TLS, verified with the authority in `ca_file`, answered with a success.

    Raises CheckFailedError.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise CheckFailedError(f"the certificate authority {ca_file} cannot be read: {error}") from error
    try:
        # Internal addresses: a proxy from the environment could not reach them.
        response = httpx.get(url, verify=context, timeout=TIMEOUT, trust_env=False)
        response.raise_for_status()
    except httpx.HTTPStatusError as error:
        raise CheckFailedError(f"{url} answers {error.response.status_code}") from error
    except httpx.HTTPError as error:
        raise CheckFailedError(f"{url}: {str(error) or type(error).__name__}") from error
    return response
