"""The `/metrics` endpoint as a process."""

import logging
import signal
import ssl
import threading
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server

from controlplane.errors import BadInputError
from controlplane.exporter.port import Collector
from controlplane.exporter.run import Background

log = logging.getLogger(__name__)

STOP_TIMEOUT = 5.0
"""Seconds that a reading under way may take to end when the exporter is stopped."""


def serve(
    collectors: Iterable[Collector], address: str, port: int, certificate: Path | None, key: Path | None
) -> None:
    """Answer on `address`:`port` until SIGTERM or SIGINT; over TLS when a certificate and key are given.

    Raises BadInputError when the address cannot be used or the certificate and key do not fit.
    """
    registry = CollectorRegistry()
    background = Background(collectors)
    registry.register(background)
    _check_certificate(certificate, key)
    try:
        server, _ = start_http_server(
            port,
            address,
            registry,
            certfile=str(certificate) if certificate else None,
            keyfile=str(key) if key else None,
        )
    except (OSError, OverflowError) as error:
        raise BadInputError(f"cannot listen on {address}:{port}: {error}") from error
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    scheme = "https" if certificate else "http"
    log.info("metrics on %s://%s:%d/metrics", scheme, address, port)
    background.start()
    stop.wait()
    log.info("stopping")
    server.shutdown()
    background.stop(STOP_TIMEOUT)


def _check_certificate(certificate: Path | None, key: Path | None) -> None:
    if (certificate is None) != (key is None):
        raise BadInputError("a TLS certificate and its key must be given together")
    if certificate and key:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadInputError(
                f"the certificate {certificate} and key {key} cannot be used: {reason}"
            ) from error
