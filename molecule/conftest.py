"""What the scenarios' tests have in common: how to reach the host under test from where the tests run."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

CONNECT_TIMEOUT = 3.0
#: The fleet's gateway is this machine.
GATEWAY = "10.79.0.1"
#: Where the webhooks of scenarios lead, which may run at the same time.
WEBHOOK_PORTS = {"prometheus": 18093, "alertmanager": 18094}


@pytest.fixture
def state_dir() -> Path:
    """The scenario's folder of files on the control host, among them the certificate authority."""
    return (
        Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
        / ".state/molecule"
        / os.environ["MOLECULE_SCENARIO_NAME"]
    )


@pytest.fixture
def authority(state_dir: Path) -> Path:
    """The certificate of the scenario's authority."""
    return state_dir / "pki/ca.crt"


@pytest.fixture
def tls(authority: Path) -> ssl.SSLContext:
    """A client's TLS settings that trust this authority and no other, and check the server's name."""
    return ssl.create_default_context(cafile=str(authority))


@pytest.fixture
def prometheus(state_dir: Path, tls: ssl.SSLContext) -> urllib.request.OpenerDirector:
    """Opens pages as Prometheus scrapes them, with the scenario's password."""
    login = f"prometheus:{(state_dir / 'secrets/scrape_password').read_text().strip()}"
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls))
    opener.addheaders = [("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")]
    return opener


@pytest.fixture
def address(host: Host) -> str:
    """The address of the host under test."""
    return str(host.ansible.get_variables()["ansible_host"])


def reachable(address: str, port: int) -> bool:
    """Whether a TCP connection from here to the port is let in, be it accepted or answered with a reset."""
    try:
        with socket.create_connection((address, port), CONNECT_TIMEOUT):
            return True
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition holds within some time. A service that does not answer yet is asked again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if condition():
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.5)
    return False


def assert_modern_tls(address: str, port: int, authority: Path) -> None:
    """A server shows a certificate of the authority, and speaks only current versions of TLS."""
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"https://{address}:{port}/-/ready", timeout=10)
    old = ssl.create_default_context(cafile=str(authority))
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    # The server's own word: a client that cannot speak the old protocol fails with another one.
    with pytest.raises(urllib.error.URLError, match="TLSV1_ALERT_PROTOCOL_VERSION"):
        urllib.request.urlopen(f"https://{address}:{port}/-/ready", context=old, timeout=10)


def assert_plaintext_is_refused(address: str, port: int) -> None:
    """A server that speaks TLS answers a request in plain text with 400."""
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(f"http://{address}:{port}/-/ready", timeout=10)


def converge(**variables: object) -> subprocess.CompletedProcess[str]:
    """Apply the scenario's playbook again, with other values of some variables."""
    project = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
    playbook = project / "molecule" / os.environ["MOLECULE_SCENARIO_NAME"] / "converge.yml"
    return subprocess.run(
        [
            *("ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"]),
            *("-e", json.dumps(variables), str(playbook)),
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def said(result: subprocess.CompletedProcess[str]) -> str:
    """What a play printed, as one line."""
    return " ".join((result.stdout + result.stderr).split())


class Webhook(HTTPServer):
    """Takes notifications as the operations team's tool would."""

    def __init__(self) -> None:
        super().__init__((GATEWAY, WEBHOOK_PORTS[os.environ["MOLECULE_SCENARIO_NAME"]]), Notification)
        self.received: list[tuple[str, dict[str, Any]]] = []


class Notification(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.headers.get("Authorization", ""), json.loads(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A listener on this machine where the scenario's webhook points."""
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
