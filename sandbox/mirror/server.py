"""The mirror's HTTP server: a caching proxy for packages, and static folders.

Run as `python -m sandbox.mirror.server --fleet=NAME --listen ADDRESS:PORT --cache DIR --serve PREFIX=DIR …`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import socketserver
import sys
import threading
from email.utils import formatdate, parsedate_to_datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

#: Files whose content never changes under one name; all others are asked for again each time.
_IMMUTABLE = re.compile(r"(\.deb|\.whl|/by-hash/[A-Za-z0-9]+/[0-9a-f]+)$")
_CHUNK = 1 << 20


class Cache:
    """Files of package archives, by URL, fetched at most once at a time and stored whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client = httpx.Client(timeout=60, follow_redirects=True)
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def path(self, url: str) -> Path:
        """Return a local file with what `url` holds.

        A file that can change is asked for again, and its last known content serves when the archive
        does not answer. Raises `httpx.HTTPError` when there is neither.
        """
        parts = urlsplit(url)
        digest = hashlib.sha256(url.encode()).hexdigest()[:12]
        path = self._folder / (parts.hostname or "") / f"{digest}-{Path(parts.path).name or 'index'}"
        with self._guard:
            lock = self._locks.setdefault(url, threading.Lock())
        with lock:
            if not (path.exists() and _IMMUTABLE.search(parts.path)):
                self._refresh(url, path)
        return path

    def _refresh(self, url: str, path: Path) -> None:
        headers = (
            {"If-Modified-Since": formatdate(path.stat().st_mtime, usegmt=True)} if path.exists() else {}
        )
        try:
            with self._client.stream("GET", url, headers=headers) as answer:
                if answer.status_code == httpx.codes.NOT_MODIFIED:
                    return
                answer.raise_for_status()
                self._store(answer, path)
        except httpx.TransportError as error:
            if not path.exists():
                raise
            print(f"{url}: {error}; serving what the cache has", file=sys.stderr, flush=True)

    def _store(self, answer: httpx.Response, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        with temporary.open("wb") as file:
            for chunk in answer.iter_raw(_CHUNK):
                file.write(chunk)
        modified = answer.headers.get("Last-Modified")
        if modified:
            seconds = parsedate_to_datetime(modified).timestamp()
            os.utime(temporary, (seconds, seconds))
        temporary.replace(path)


class MirrorServer(ThreadingHTTPServer):
    """One thread a connection: package clients keep few, and each waits for whole files."""

    daemon_threads = True
    # A host of the fleet that boots opens many connections at once.
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], cache: Cache, served: dict[str, Path]) -> None:
        super().__init__(address, Handler)
        self.cache = cache
        self.served = served

    def server_bind(self) -> None:
        """Bind without looking up the address's name, which can take seconds on a machine without DNS."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


class Handler(SimpleHTTPRequestHandler):
    """Answers `GET http://…` as a proxy and `GET /PREFIX/…` from the served folders."""

    server: MirrorServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path.startswith("http://"):
            self._proxy()
        else:
            super().do_GET()

    def translate_path(self, path: str) -> str:
        """Map a request's path into the folder that its first part names."""
        prefix, _, rest = unquote(urlsplit(path).path).lstrip("/").partition("/")
        folder = self.server.served.get(prefix)
        missing = "/nonexistent"
        if folder is None or ".." in Path(rest).parts:
            return missing
        translated = str(folder / rest)
        return f"{translated}/" if path.endswith("/") else translated

    def log_message(self, format: str, *args: object) -> None:
        """Log failures only: a deployment makes thousands of requests."""
        if args and str(args[1] if len(args) > 1 else "").startswith(("4", "5")):
            print(f"{self.address_string()} {format % args}", file=sys.stderr, flush=True)

    def _proxy(self) -> None:
        try:
            path = self.server.cache.path(self.path)
        except httpx.HTTPStatusError as error:
            self.send_error(error.response.status_code)
            return
        except httpx.HTTPError as error:
            self.send_error(502, explain=str(error))
            return
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(stat.st_size))
            self.send_header("Last-Modified", formatdate(stat.st_mtime, usegmt=True))
            self.end_headers()
            shutil.copyfileobj(file, self.wfile, _CHUNK)


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleet", required=True, help="the fleet this mirror belongs to: its mark")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--cache", required=True, type=Path)
    parser.add_argument("--serve", action="append", default=[], metavar="PREFIX=DIR")
    arguments = parser.parse_args()
    address, _, port = arguments.listen.rpartition(":")
    served = {prefix: Path(folder) for prefix, _, folder in (item.partition("=") for item in arguments.serve)}
    MirrorServer((address, int(port)), Cache(arguments.cache), served).serve_forever()


if __name__ == "__main__":
    main()
