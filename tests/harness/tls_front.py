"""TLS in front of a server that speaks plain HTTP on the loopback interface, as nginx stands before
Authentik."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

from proxy import _close, _pass_on

from sandbox.standins.irods.config import TlsServer


class Front:
    """Takes TLS connections on a port of its own and passes them on; may go away and come back."""

    def __init__(self, tls: TlsServer, target: int) -> None:
        """Listen at once."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(tls.certificate_chain_file, tls.certificate_key_file)
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.away = False
        """Cut each new connection, as a server does that is stopped."""
        self._passing: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Go away, and end the connections that are open."""
        self.away = True
        while self._passing:
            _close(self._passing.pop())

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        if self.away:
            _close(plain)
            return
        try:
            client = self._context.wrap_socket(plain, server_side=True)
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            _close(plain)
            return
        self._passing.append(server)
        threading.Thread(target=_pass_on, args=(client, server, None), daemon=True).start()
        _pass_on(server, client, None)


@contextlib.contextmanager
def fronted(tls: TlsServer, target: int) -> Iterator[Front]:
    """A front until the block ends."""
    front = Front(tls, target)
    try:
        yield front
    finally:
        front.close()
