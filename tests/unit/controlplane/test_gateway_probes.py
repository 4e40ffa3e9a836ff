"""What health says of a gateway."""

import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "contract" / "irods"))

from throwaway_pki import create_authority, issue

from controlplane.health.port import CheckFailedError
from controlplane.systems.gateway import probes


@contextmanager
def answering(folder: Path, statuses: dict[str, int]) -> Iterator[tuple[str, Path]]:
    """An HTTPS server that answers each path with a status; its address and authority."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()

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


@pytest.mark.parametrize(
    ("check", "path", "status", "good"),
    [
        (probes._reaches_its_zone, "/-/ready", 200, True),
        (probes._reaches_its_zone, "/-/ready", 503, False),
        (probes._asks_who_it_is, "/", 401, True),
        (probes._asks_who_it_is, "/", 404, True),
        (probes._asks_who_it_is, "/", 200, False),
        (probes._asks_who_it_is, "/", 502, False),
    ],
)
def test_a_gateway_is_well_when_it_reaches_its_zone_and_lets_nobody_in(
    tmp_path: Path, check: Callable[[str, Path], str], path: str, status: int, good: bool
) -> None:
    with answering(tmp_path, {path: status}) as (base, ca_file):
        if good:
            assert check(base, ca_file)
            return
        with pytest.raises(CheckFailedError, match=f"answers {status}"):
            check(base, ca_file)
