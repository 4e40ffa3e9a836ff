"""The `/metrics` endpoint as a process."""

import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import uvicorn

from controlplane.errors import BadInputError
from controlplane.exporter.gate import CHALLENGE, Gate
from controlplane.exporter.page import CONTENT_TYPES, wanted
from controlplane.exporter.port import Collector
from controlplane.exporter.run import Background

log = logging.getLogger(__name__)

PATH = "/metrics"

STOP_TIMEOUT = 5.0
"""Seconds that a reading under way may take to end when the exporter is stopped."""

Send = Callable[[Mapping[str, Any]], Awaitable[None]]


def serve(
    collectors: Iterable[Collector],
    address: str,
    port: int,
    certificate: Path | None,
    key: Path | None,
    *,
    gate: Gate | None = None,
) -> None:
    """Answer on `address`:`port` until SIGTERM or SIGINT; over TLS when a certificate and key are given.

    With a `gate`, only to those whom it admits. At SIGHUP every collector reads again at once.

    Raises BadInputError when the address cannot be used or the certificate and key do not fit.
    """
    background = Background(collectors)
    if (certificate is None) != (key is None):
        raise BadInputError("a TLS certificate and its key must be given together")
    settings = uvicorn.Config(
        application(background, gate),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(STOP_TIMEOUT),
    )
    try:
        settings.load()
    except OSError as error:
        reason = error.strerror or error
        raise BadInputError(
            f"the certificate {certificate} and key {key} cannot be used: {reason}"
        ) from error
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listening = socket.create_server((address, port), family=family)
    except (OSError, OverflowError) as error:
        raise BadInputError(f"cannot listen on {address}:{port}: {error}") from error
    # The server takes these signals itself, and hands them on when it has stopped.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGHUP, lambda *_: background.read_now())
    log.info("metrics on %s://%s:%d%s", "https" if certificate else "http", address, port, PATH)
    background.start()
    uvicorn.Server(settings).run(sockets=[listening])
    log.info("stopping")
    background.stop(STOP_TIMEOUT)


def application(background: Background, gate: Gate | None = None) -> Callable[..., Awaitable[None]]:
    """What answers requests (ASGI): the metrics in the format that is asked for, and nothing else.

    With a `gate`, whoever it does not admit learns nothing at all.
    """

    async def app(scope: Mapping[str, Any], _receive: object, send: Send) -> None:
        headers = dict(scope["headers"])
        if gate is not None and not gate.admits(headers):
            refusal = b"metrics are for those who give the user name and password of scrapes\n"
            await _answer(send, 401, "text/plain", refusal, (b"www-authenticate", CHALLENGE))
        elif scope["path"] != PATH:
            await _answer(send, 404, "text/plain", f"metrics are at {PATH}\n".encode())
        elif scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, "text/plain", b"")
        else:
            format = wanted(headers.get(b"accept", b"").decode("latin-1"))
            await _answer(send, 200, CONTENT_TYPES[format], background.page(format))

    return app


async def _answer(
    send: Send, status: int, content_type: str, body: bytes, *further: tuple[bytes, bytes]
) -> None:
    length = str(len(body)).encode()
    headers = [(b"content-type", content_type.encode()), (b"content-length", length), *further]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
