"""The HTTP server of the outside world: login pages of the institutions, and the federations' feeds.

Run as `python -m sandbox.federation.server --fleet=NAME --listen ADDRESS:PORT --folder DIR`.
"""

from __future__ import annotations

import argparse
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from jinja2 import Environment, FileSystemLoader

from sandbox.federation.idp import IdentityProvider, LoginRequest, RequestRefusedError
from sandbox.federation.institutions import INSTITUTIONS, Directory, Institution, institution

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True
)
_CARRIED = ("SAMLRequest", "RelayState", "SigAlg", "Signature")
_LARGEST_FORM = 1 << 20


class OutsideWorld(ThreadingHTTPServer):
    """Serves what is below `folder`: `feeds/` as they are, and institutions that know `services/`."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], folder: Path, base_url: str) -> None:
        super().__init__(address, Handler)
        self.feeds = folder / "feeds"
        self._services = folder / "services"
        self._directory = Directory(folder)
        self._base_url = base_url
        # pysaml2's servers are not made for several threads.
        self.one_login = threading.Lock()
        self._directory.passwords()
        for place in INSTITUTIONS:
            self._directory.keys(place.slug)

    def provider(self, place: Institution) -> IdentityProvider:
        """The institution's identity provider, with the services that are registered now."""
        return IdentityProvider(place, self._base_url, self._directory, self._services)


class Handler(BaseHTTPRequestHandler):
    """`/feeds/NAME.xml`, `/SLUG/sso` and `/SLUG/login`."""

    server: OutsideWorld
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a request for a feed or a login page."""
        url = urlsplit(self.path)
        match url.path.strip("/").split("/"):
            case ["feeds"]:
                self._send("feeds\n", "text/plain")
            case ["feeds", name] if (self.server.feeds / Path(name).name).is_file():
                self._send((self.server.feeds / Path(name).name).read_bytes(), "application/samlmetadata+xml")
            case [slug, "sso"] if _exists(slug):
                self._login(institution(slug), dict(parse_qsl(url.query)))
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Check account and password, and answer the service."""
        match urlsplit(self.path).path.strip("/").split("/"):
            case [slug, "login"] if _exists(slug):
                length = min(int(self.headers.get("Content-Length") or 0), _LARGEST_FORM)
                form = dict(parse_qsl(self.rfile.read(length).decode(), keep_blank_values=True))
                self._login(institution(slug), form, given=True)
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:
        """Log the path alone: what follows it are people's login requests."""
        print(f"{self.command} {urlsplit(self.path).path} {args[1:2]}", file=sys.stderr, flush=True)

    def _login(self, place: Institution, given_form: dict[str, str], given: bool = False) -> None:
        title = next(iter(place.names.values()))
        with self.server.one_login:
            provider = self.server.provider(place)
            try:
                request = provider.read(given_form)
            except RequestRefusedError as error:
                page = _TEMPLATES.get_template("refused.html").render(title=title, reason=str(error))
                self._send(page, "text/html", HTTPStatus.BAD_REQUEST)
                return
            login = given_form.get("login", "")
            person = provider.directory.person(place.slug, login, given_form.get("password", ""))
            if given and person is not None:
                fields = {"SAMLResponse": provider.answer(request, person)}
                fields |= {"RelayState": given_form.get("RelayState", "")}
                self._send(_page("answer.html", title, request, request.answer_url, fields), "text/html")
                return
        fields = {name: given_form[name] for name in _CARRIED if name in given_form}
        target = f"/{place.slug}/login"
        page = _page("login.html", title, request, target, fields, login=login, wrong=given)
        self._send(page, "text/html", HTTPStatus.UNAUTHORIZED if given else HTTPStatus.OK)

    def _send(self, content: str | bytes, media_type: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        body = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        self.send_header("Content-Type", f"{media_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


def _exists(slug: str) -> bool:
    return any(place.slug == slug for place in INSTITUTIONS)


def _page(
    template: str, title: str, request: LoginRequest, action: str, hidden: dict[str, str], **more: object
) -> str:
    service = urlsplit(request.service).hostname or request.service
    values = {"title": title, "service": service, "action": action, "hidden": hidden, **more}
    return _TEMPLATES.get_template(template).render(values)


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleet", required=True, help="the fleet that this world surrounds: its mark")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--folder", required=True, type=Path)
    arguments = parser.parse_args()
    address, _, port = arguments.listen.rpartition(":")
    base_url = f"http://{arguments.listen}"
    OutsideWorld((address, int(port)), arguments.folder, base_url).serve_forever()


if __name__ == "__main__":
    main()
