"""What health says of a federation proxy."""

import hashlib
import json
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "contract" / "irods"))

from throwaway_pki import create_authority, issue

from controlplane.health.port import CheckFailedError
from controlplane.systems.federation import probes

IDP = "https://idp.example/idp"
ENTITY = "/entities/%7Bsha1%7D" + hashlib.sha1(IDP.encode()).hexdigest()  # noqa: S324
LIST = "/discovery/institutions.json"
INSTITUTIONS = json.dumps([{"id": IDP, "names": {"en": "A university"}, "words": ""}])


@contextmanager
def answering(folder: Path, pages: dict[str, str]) -> Iterator[tuple[str, Path]]:
    """An HTTPS server that answers each path with a text, and all others with 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            self.send_response(200 if self.path in pages else 404)
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


def valid_for(**span: float) -> str:
    until = datetime.now(UTC) + timedelta(**span)
    return f'<md:EntityDescriptor entityID="x" validUntil="{until:%Y-%m-%dT%H:%M:%SZ}"/>'


def provider(issuer: str, authorization: str) -> str:
    return json.dumps({"issuer": issuer, "authorization_endpoint": authorization})


WELL_KNOWN = "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("check", "pages", "found"),
    [
        (
            probes._offers_logins,
            {WELL_KNOWN: provider("https://f.example", "https://f.example/saml/oidc/authorization")},
            "https://f.example offers logins",
        ),
        (
            probes._knows_institutions,
            {LIST: INSTITUTIONS, ENTITY: valid_for(days=9, hours=1)},
            "1 institutions, valid for 9 days",
        ),
        (
            probes._publishes_itself,
            {"/metadata/sp.xml": valid_for(days=13, hours=1)},
            "our own metadata are valid for 13 days",
        ),
    ],
)
def test_what_is_well_is_said_in_a_few_words(
    tmp_path: Path, check: Callable[[str, Path], str], pages: dict[str, str], found: str
) -> None:
    with answering(tmp_path, pages) as (base, ca_file):
        assert check(base, ca_file) == found


@pytest.mark.parametrize(
    ("check", "pages", "reason"),
    [
        (probes._offers_logins, {}, "answers 404"),
        (probes._offers_logins, {WELL_KNOWN: "<html>"}, "does not answer in JSON"),
        (probes._offers_logins, {WELL_KNOWN: "{}"}, "does not answer as an OpenID Connect provider"),
        (
            probes._offers_logins,
            {WELL_KNOWN: provider("https://f.example", "https://evil.example/")},
            "not below its issuer",
        ),
        (probes._knows_institutions, {LIST: "[]"}, "knows no institution"),
        (probes._knows_institutions, {LIST: "[1]"}, "is not the proxy's list"),
        (probes._knows_institutions, {LIST: INSTITUTIONS}, "answers 404"),
        (probes._knows_institutions, {LIST: INSTITUTIONS, ENTITY: "<x/>"}, "does not say until when"),
        (
            probes._knows_institutions,
            {LIST: INSTITUTIONS, ENTITY: valid_for(hours=20.2)},
            "expire in 20 hours: no newer feed",
        ),
        (probes._publishes_itself, {"/metadata/sp.xml": valid_for(hours=-1)}, "not signed anew"),
    ],
)
def test_what_is_not_well_is_named(
    tmp_path: Path, check: Callable[[str, Path], str], pages: dict[str, str], reason: str
) -> None:
    with answering(tmp_path, pages) as (base, ca_file), pytest.raises(CheckFailedError, match=reason):
        check(base, ca_file)


def test_a_certificate_that_lasts_and_one_that_is_about_to_expire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(tmp_path, {}) as (base, ca_file):
        port = int(base.rpartition(":")[2])
        monkeypatch.setattr(probes, "CERTIFICATE_LEFT", timedelta(0))
        assert probes._certificate_lasts("127.0.0.1", port, ca_file).startswith("the certificate lasts")
        monkeypatch.setattr(probes, "CERTIFICATE_LEFT", timedelta(days=100_000))
        with pytest.raises(CheckFailedError, match=r"the certificate of 127\.0\.0\.1 expires in"):
            probes._certificate_lasts("127.0.0.1", port, ca_file)
