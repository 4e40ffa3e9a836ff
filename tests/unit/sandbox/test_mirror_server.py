"""The artifact mirror's cache, against an archive that counts what it is asked."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from sandbox.mirror.server import Cache, MirrorServer

LAST_MODIFIED = "Wed, 01 Jul 2026 10:00:00 GMT"


class Archive(ThreadingHTTPServer):
    """A package archive with two files; `broken` makes it end each body early."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ArchiveHandler)
        self.files = {"/pool/tool_1.0.deb": b"package" * 1000, "/dists/InRelease": b"index one"}
        self.asked: Counter[str] = Counter()
        self.broken = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class ArchiveHandler(BaseHTTPRequestHandler):
    server: Archive

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        if self.headers.get("If-Modified-Since") == LAST_MODIFIED and self.path.endswith("InRelease"):
            self.send_response(304)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", LAST_MODIFIED)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.server.broken else body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


def _serve(server: ThreadingHTTPServer) -> threading.Thread:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def archive() -> Iterator[Archive]:
    server = Archive()
    _serve(server)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[MirrorServer]:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "a.whl").write_bytes(b"wheel")
    (tmp_path / "secret").write_bytes(b"secret")
    server = MirrorServer(("127.0.0.1", 0), Cache(tmp_path / "cache"), {"wheels": tmp_path / "wheels"})
    _serve(server)
    yield server
    server.shutdown()
    server.server_close()


def _proxied(mirror: MirrorServer, url: str) -> httpx.Response:
    with httpx.Client(proxy=f"http://127.0.0.1:{mirror.server_port}", trust_env=False, timeout=10) as client:
        return client.get(url)


def test_a_package_is_fetched_once_however_many_ask(archive: Archive, mirror: MirrorServer) -> None:
    url = f"{archive.url}/pool/tool_1.0.deb"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _proxied(mirror, url), range(16)))
    assert {answer.content for answer in answers} == {archive.files["/pool/tool_1.0.deb"]}
    assert archive.asked["/pool/tool_1.0.deb"] == 1


def test_an_index_is_asked_for_again_and_its_change_seen(archive: Archive, mirror: MirrorServer) -> None:
    url = f"{archive.url}/dists/InRelease"
    assert [_proxied(mirror, url).content for _ in range(2)] == [b"index one"] * 2
    assert archive.asked["/dists/InRelease"] == 2


def test_the_cache_serves_when_the_archive_is_away(archive: Archive, mirror: MirrorServer) -> None:
    url = f"{archive.url}/dists/InRelease"
    assert _proxied(mirror, url).content == b"index one"
    archive.shutdown()
    archive.server_close()
    assert _proxied(mirror, url).content == b"index one"
    assert _proxied(mirror, f"{archive.url}/dists/other").status_code == 502


def test_a_missing_file_is_missing(archive: Archive, mirror: MirrorServer) -> None:
    assert _proxied(mirror, f"{archive.url}/pool/nosuch.deb").status_code == 404


def test_a_broken_download_is_not_kept(archive: Archive, mirror: MirrorServer) -> None:
    url = f"{archive.url}/pool/tool_1.0.deb"
    archive.broken = True
    assert _proxied(mirror, url).status_code == 502
    archive.broken = False
    assert _proxied(mirror, url).content == archive.files["/pool/tool_1.0.deb"]


def test_folders_are_served_and_nothing_beside_them(mirror: MirrorServer) -> None:
    base = f"http://127.0.0.1:{mirror.server_port}"
    assert httpx.get(f"{base}/wheels/a.whl", trust_env=False).content == b"wheel"
    assert "a.whl" in httpx.get(f"{base}/wheels/", trust_env=False).text
    for path in ("/secret", "/wheels/../secret", "/wheels/%2e%2e/secret", "/other/"):
        with httpx.Client(trust_env=False) as client:
            request = client.build_request("GET", base)
            request.url = request.url.copy_with(raw_path=path.encode())
            assert client.send(request).status_code == 404, path
