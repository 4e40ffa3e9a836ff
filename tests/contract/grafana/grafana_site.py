"""A Grafana with the role's own configuration, before a small server that answers as a Prometheus does."""

import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rendering import run_tasks

from sandbox.standins.grafana.launcher import running

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles/grafana"
ADMINISTRATOR = "admin"
PASSWORD = "the-administrators-password"
METRICS = ("prometheus", "the-password-for-metrics")


@dataclass(frozen=True)
class Site:
    """A server, and how to enter it."""

    url: str
    login: tuple[str, str]
    verify: ssl.SSLContext
    metrics: tuple[str, str] | None
    """Who may read the metrics; None where nobody told the tests."""
    folder: Path | None = None
    """The folder of the stand-in's files; None for a real server."""

    def client(self, *, signed_in: bool = True) -> httpx.Client:
        """A client, as the administrator or as nobody."""
        return httpx.Client(
            base_url=self.url, auth=self.login if signed_in else None, verify=self.verify, timeout=60
        )


def named(url: str) -> Site:
    """A real server: https://USER:PASSWORD@HOST[:PORT][?ca=FILE&metrics=USER:PASSWORD]."""
    parts = urlsplit(url)
    query = {key: value[-1] for key, value in parse_qs(parts.query).items()}
    name, _, password = query.get("metrics", "").partition(":")
    return Site(
        url=f"https://{parts.hostname}:{parts.port or 443}",
        login=(unquote(parts.username or ""), unquote(parts.password or "")),
        verify=ssl.create_default_context(cafile=query.get("ca")),
        metrics=(name, password) if name else None,
    )


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, and its key beside it as .key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "tls.crt"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    path.with_suffix(".key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


class _Prometheus(BaseHTTPRequestHandler):
    """Answers the one query that a data source's health is."""

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        known = self.path == "/api/v1/query" and form.get("query") == ["1+1"]
        body = b'{"status": "success", "data": {"resultType": "scalar", "result": [1767225600, "2"]}}'
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(body if known else b"")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def prometheus(tls: Path) -> Iterator[str]:
    """A server that answers as Prometheus does; give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Prometheus) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls, tls.with_suffix(".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def configure(folder: Path, prometheus_url: str, tls: Path) -> Path:
    """Write configuration and provisioning files by the role's templates; return the former."""
    secrets = folder / "secrets"
    provisioning = folder / "provisioning"
    for path in (secrets, provisioning / "datasources", provisioning / "dashboards", folder / "data"):
        path.mkdir(parents=True)
    values = {
        "admin_password": PASSWORD,
        "secret_key": "k" * 32,
        "metrics_password": METRICS[1],
        "client_secret": "c" * 32,
    }
    for name, value in values.items():
        (secrets / name).write_text(value)
    # Nothing listens there: the first data source is well and the second is not.
    given: dict[str, Any] = {
        "grafana_name": "grafana.bic.example",
        "grafana_address": "127.0.0.1",
        "grafana_metrics_password": METRICS[1],
        "grafana_login_url": "https://login.bic.example",
        "grafana_administrator_groups": ["nation.administrators"],
        "grafana_dashboards_dir": str(ROOT / "monitoring/dashboards"),
        "grafana_dashboards_path": str(ROOT / "monitoring/dashboards"),
        "grafana_provisioning_dir": str(provisioning),
        "grafana_secrets_dir": str(secrets),
        "grafana_data_dir": str(folder / "data"),
        "grafana_certificate": str(tls.with_suffix("")),
        "grafana_ca_file": str(tls),
        "grafana_prometheus_servers": [
            {"name": "dc1-monitor", "url": prometheus_url},
            {"name": "dc2-monitor", "url": "https://127.0.0.1:9"},
        ],
    }
    files = {
        "grafana.ini": folder / "grafana.ini",
        "datasources.yaml": provisioning / "datasources/bic.yaml",
        "dashboards.yaml": provisioning / "dashboards/bic.yaml",
    }
    tasks = [
        {
            "name": f"Write {name}",
            "ansible.builtin.template": {
                "src": str(ROLE / f"templates/{name}.j2"),
                "dest": str(path),
                "mode": "0600",
            },
        }
        for name, path in files.items()
    ]
    run_tasks(folder, ROLE, tasks, yaml.safe_dump(given))
    return files["grafana.ini"]


def overrides(folder: Path) -> list[str]:
    """What the unit says on the command line."""
    return [
        f"cfg:default.paths.data={folder / 'data'}",
        f"cfg:default.paths.provisioning={folder / 'provisioning'}",
    ]


@contextlib.contextmanager
def by_the_role(folder: Path) -> Iterator[Site]:
    """Run the stand-in with the role's own files."""
    tls = certificate(folder)
    with prometheus(tls) as url:
        config = configure(folder, url, tls)
        with running(config, overrides(folder)) as address:
            yield Site(
                address,
                (ADMINISTRATOR, PASSWORD),
                ssl.create_default_context(cafile=str(tls)),
                METRICS,
                folder,
            )
