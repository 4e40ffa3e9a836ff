"""Questions that several systems ask: does a port answer, does a page answer over verified TLS, does its
certificate last?"""

import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from controlplane.at_address import AtAddress
from controlplane.health.port import CheckFailedError, FindingError
from controlplane.model.platform import Scrape

TIMEOUT = 5.0
"""Seconds for one connection or page."""

NOWHERE: Mapping[str, str] = MappingProxyType({})

CERTIFICATE_LEFT = timedelta(days=14)
"""A certificate that ends sooner than this is a finding: renewal should have happened long before."""


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


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """A context that takes certificates of the authority in `ca_file`, or of those that this host trusts.

    Raises CheckFailedError.
    """
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise CheckFailedError(f"the certificate authority {ca_file} cannot be read: {error}") from error


def certificate_lasts(host: str, port: int, ca_file: Path | None, address: str = "") -> str:
    """That a port's certificate is of the authority, for this host, and lasts.

    `address` is where the host is, if its name need not say so. Raises CheckFailedError.
    """
    with connect(address or host, port) as plain:
        return secured_lasts(plain, host, port, ca_file)


def secured_lasts(plain: socket.socket, host: str, port: int, ca_file: Path | None) -> str:
    """As `certificate_lasts`, on a connection on which TLS may begin now. Raises CheckFailedError."""
    context = tls_context(ca_file)
    plain.settimeout(TIMEOUT)
    try:
        with context.wrap_socket(plain, server_hostname=host) as secured:
            certificate = secured.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        raise FindingError(
            f"the certificate of {host}:{port} is not accepted: {error.verify_message}"
        ) from error
    except OSError as error:
        raise CheckFailedError(f"{host}:{port} cannot be asked for its certificate: {error}") from error
    return time_left(certificate)


def time_left(certificate: Mapping[str, Any]) -> str:
    """That a verified certificate, as `SSLSocket.getpeercert` gives it, lasts. Raises FindingError."""
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    left = ends - datetime.now(UTC)
    if left < CERTIFICATE_LEFT:
        raise FindingError(f"the certificate ends on {ends:%Y-%m-%d}, in {left.days} days")
    return f"certificate good for {left.days} days"


def ask(
    url: str, ca_file: Path | None, addresses: Mapping[str, str] = NOWHERE, scrape: Scrape | None = None
) -> httpx.Response:
    """What is answered over TLS, verified with the authority in `ca_file`, be it a success or not.

    `addresses` says where names lead that need not be in a DNS, `scrape` as whom an exporter is asked. Raises
    CheckFailedError and SecretError.
    """
    login = httpx.BasicAuth(scrape.user, scrape.password.reveal()) if scrape else None
    try:
        # Internal addresses: a proxy from the environment could not reach them.
        with httpx.Client(
            transport=AtAddress(addresses, tls_context(ca_file)), timeout=TIMEOUT, trust_env=False, auth=login
        ) as client:
            return client.get(url)
    except httpx.HTTPError as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckFailedError(f"{url}: {reason}") from error


def fetch(
    url: str, ca_file: Path | None, addresses: Mapping[str, str] = NOWHERE, scrape: Scrape | None = None
) -> httpx.Response:
    """As `ask`, for an answer that must be a success."""
    response = ask(url, ca_file, addresses, scrape)
    if not response.is_success:
        raise CheckFailedError(f"{url} answers {response.status_code}")
    return response
