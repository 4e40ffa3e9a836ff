"""Where the login server sends word of events, so that nobody waits for the next look.

It is told no more than that something has happened: what, is read. A message is believed when it carries the
secret, and one that is sent twice does no harm.
"""

from __future__ import annotations

import hmac
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from controlplane.errors import BadInputError

PATH = "/events"
"""Where messages are posted to."""

LONGEST = 1_000_000
"""Bytes of a message; longer ones are refused."""

SECONDS = 10.0
"""How long a client may take to send its message."""


@contextmanager
def listening(
    address: str,
    port: int,
    secret: str,
    word: threading.Event,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
) -> Iterator[int]:
    """Set `word` whenever a message with the secret comes, over TLS where a certificate is given; gives the
    port.

    Raises BadInputError when the address or the certificate cannot be used.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = SECONDS
        server_version, sys_version = "bic", ""

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path != PATH:
                self._answer(HTTPStatus.NOT_FOUND)
            elif not length.isdecimal() or int(length) > LONGEST:
                self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            elif not hmac.compare_digest(
                self.headers.get("Authorization", "").encode(), f"Bearer {secret}".encode()
            ):
                self._answer(HTTPStatus.FORBIDDEN)
            else:
                self.rfile.read(int(length))
                word.set()
                self._answer(HTTPStatus.NO_CONTENT)

        def _answer(self, status: HTTPStatus) -> None:
            self.send_response(status)
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a message is no news, and refused ones are somebody else's noise."""

    try:
        server = ThreadingHTTPServer((address, port), Handler)
    except (OSError, OverflowError) as error:
        raise BadInputError(f"cannot listen on {address}:{port}: {error}") from error
    server.daemon_threads = True
    if certificate and key:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            server.server_close()
            raise BadInputError(
                f"the certificate {certificate} and key {key} cannot be used: {error}"
            ) from error
        # The handshake is made in the client's own thread, so that nobody can hold up the others.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, name="webhook", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(SECONDS)
