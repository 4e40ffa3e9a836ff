"""An HTTPS server of a test, with a certificate of a throw-away authority."""

import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "contract" / "irods"))

from throwaway_pki import create_authority, issue


@contextmanager
def answering(folder: Path, pages: Mapping[str, str | int]) -> Iterator[tuple[str, Path]]:
    """An HTTPS server that answers each path with a text or a bare status, and all others with 404.

    Gives its address and authority.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = pages.get(self.path.partition("?")[0], 404)
            body = found.encode() if isinstance(found, str) else b""
            self.send_response(200 if isinstance(found, str) else found)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    authority = create_authority(folder)
    files = issue(authority, folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(files.certificate_chain_file, files.certificate_key_file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}", authority.ca_file
        finally:
            server.shutdown()
            thread.join()
