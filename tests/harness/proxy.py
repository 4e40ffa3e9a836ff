"""A network that fails: a TCP proxy which cuts or holds up what goes through it."""

import contextlib
import socket
import threading
from collections.abc import Iterator

CHUNK = 4096


class Proxy:
    """Passes connections on to a port of the same address, from a port of its own."""

    def __init__(self, address: str, port: int, target: int) -> None:
        """Listen at once."""
        self._target = address, target
        self._listener = socket.create_server((address, port))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.cut_after: int | None = None
        """Cut each new connection when so many bytes came back from the server."""
        self.silent = False
        """Accept connections and never say a word."""
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening and cut all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Cut all connections."""
        with self._lock:
            sockets, self._open = self._open, set()
        for sock in sockets:
            _close(sock)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with self._lock:
                self._open.add(client)
            if not self.silent:
                threading.Thread(target=self._serve, args=(client, self.cut_after), daemon=True).start()

    def _serve(self, client: socket.socket, cut_after: int | None) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            _close(client)
            return
        with self._lock:
            self._open.add(server)
        threading.Thread(target=_pass_on, args=(client, server, None), daemon=True).start()
        _pass_on(server, client, cut_after)


def _pass_on(source: socket.socket, sink: socket.socket, limit: int | None) -> None:
    """Pass bytes on until one side ends or the limit is reached; then both end."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(CHUNK if limit is None else min(CHUNK, limit)):
            sink.sendall(chunk)
            if limit is not None:
                limit -= len(chunk)
                if limit <= 0:
                    break
    _close(source)
    _close(sink)


def _close(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


@contextlib.contextmanager
def proxied(address: str, port: int, target: int) -> Iterator[Proxy]:
    """A proxy until the block ends."""
    proxy = Proxy(address, port, target)
    try:
        yield proxy
    finally:
        proxy.close()
