"""Grafana on a host: who is let in, what it shows, and what the role refuses."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import converge, eventually, reachable, said
from testinfra.host import Host

PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
DASHBOARDS = {path.stem for path in (PROJECT / "monitoring/dashboards").glob("*.json")}
UNIT = "grafana-server"
SOURCE = "prometheus-mol-grafana"

Ask = Callable[..., tuple[int, str]]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Gives redirects as they are."""

    def redirect_request(self, *_: object) -> None:
        return None


@pytest.fixture
def secret(state_dir: Path) -> Callable[[str], str]:
    """Reads one of the scenario's secrets."""
    return lambda name: (state_dir / "secrets" / name).read_text().strip()


@pytest.fixture
def ask(address: str, tls: ssl.SSLContext) -> Ask:
    """Reads a path, as nobody or as somebody; gives status and text."""
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls), _NoRedirect())

    def read(path: str, user: str = "", password: str = "") -> tuple[int, str]:
        request = urllib.request.Request(f"https://{address}{path}")
        if user:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return read


@pytest.fixture
def get(ask: Ask, secret: Callable[[str], str]) -> Callable[[str], Any]:
    """Reads a path of the API as the administrator."""

    def read(path: str) -> Any:
        status, text = ask(path, "admin", secret("admin"))
        assert status in {200, 400}, (status, text)
        return json.loads(text)

    return read


def found(get: Callable[[str], Any]) -> set[str]:
    return {hit["uid"] for hit in get("/api/search?type=dash-db")}


def test_it_answers_over_tls_of_the_authority_alone(ask: Ask, address: str) -> None:
    assert ask("/api/health")[0] == 200
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"https://{address}/api/health", timeout=60)
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(f"http://{address}:443/api/health", timeout=60)
    assert not reachable(address, 3000)


def test_its_certificate_has_its_public_name(address: str, tls: ssl.SSLContext) -> None:
    with (
        socket.create_connection((address, 443), timeout=60) as plain,
        tls.wrap_socket(plain, server_hostname="grafana.mol.example") as connection,
    ):
        names = (connection.getpeercert() or {})["subjectAltName"]
    assert ("DNS", "grafana.mol.example") in names
    assert ("IP Address", address) in names


@pytest.mark.parametrize("path", ["/api/datasources", "/api/search", "/api/dashboards/uid/bic-overview"])
def test_nobody_is_let_in_without_an_account(ask: Ask, path: str) -> None:
    assert ask(path)[0] == 401
    assert ask(path, "nobody", "not a password")[0] == 401


def test_the_page_leads_to_the_login(ask: Ask) -> None:
    assert ask("/")[0] == 302
    assert ask("/login")[0] == 200


def test_it_has_every_dashboard(get: Callable[[str], Any]) -> None:
    assert found(get) == DASHBOARDS
    for uid in DASHBOARDS:
        shown = get(f"/api/dashboards/uid/{uid}")
        assert shown["meta"]["provisioned"] is True
        assert shown["meta"]["folderTitle"] == "A nation of molecules"


def test_it_asks_prometheus_and_says_when_that_is_away(host: Host, get: Callable[[str], Any]) -> None:
    health = f"/api/datasources/uid/{SOURCE}/health"
    assert get(health)["status"] == "OK"
    try:
        host.check_output("systemctl stop prometheus")
        assert get(health)["status"] == "ERROR"
    finally:
        host.check_output("systemctl start prometheus")
    assert eventually(lambda: get(health)["status"] == "OK", 120)


def test_prometheus_reads_its_metrics_and_others_do_not(
    ask: Ask, address: str, tls: ssl.SSLContext, prometheus: urllib.request.OpenerDirector
) -> None:
    assert ask("/metrics")[0] == 401
    with prometheus.open(f"https://{address}/metrics", timeout=60) as answer:
        assert "grafana_build_info{" in answer.read().decode()

    def up() -> bool:
        query = f"https://{address}:9090/api/v1/query?query=up{{job='grafana'}}"
        with urllib.request.urlopen(query, context=tls, timeout=60) as answer:
            result = json.load(answer)["data"]["result"]
        return [sample["value"][1] for sample in result] == ["1"]

    assert eventually(up, 120)


def test_no_secret_is_readable_or_in_a_command_line(host: Host, secret: Callable[[str], str]) -> None:
    secrets = {name: secret(name) for name in ("admin", "key", "scrape_password", "client")}
    processes = host.check_output("ps -eo args")
    configuration = host.file("/etc/grafana/grafana.ini").content_string
    for value in secrets.values():
        assert value not in processes
        assert value not in configuration
    for name in ("admin_password", "secret_key", "metrics_password", "client_secret"):
        file = host.file(f"/etc/bic/grafana/{name}")
        assert (file.user, file.group, file.mode) == ("root", "grafana", 0o640)
    password = host.file("/etc/prometheus/scrape_password")
    assert (password.content_string, password.group, password.mode) == (
        secrets["scrape_password"],
        "prometheus",
        0o640,
    )
    assert host.run("runuser -u nobody -- cat /etc/bic/grafana/secret_key").rc != 0


def test_unit_is_confined(host: Host) -> None:
    # In tenths: systemd calls up to 3.0 well protected.
    host.run_expect([0], f"systemd-analyze security --threshold=30 {UNIT}.service")
    process = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
    status = host.check_output("cat /proc/%s/status", process)
    # The port below 1024 (bit 10), and nothing else.
    assert f"CapEff:\t{1 << 10:016x}" in status
    assert host.check_output("stat -c %%U /proc/%s", process) == "grafana"


def test_unit_comes_back_after_a_kill(host: Host, ask: Ask) -> None:
    before = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
    host.check_output("systemctl kill --signal=KILL %s", UNIT)

    def again() -> bool:
        now = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
        return now not in {"0", before} and ask("/api/health")[0] == 200

    assert eventually(again, 120)


def test_its_version_is_pinned(host: Host) -> None:
    installed = host.package("grafana").version
    policy = host.check_output("apt-cache policy grafana")
    assert f"Candidate: {installed}\n" in policy
    assert f"Package: grafana\nPin: version {installed}\nPin-Priority: 990" in (
        host.file("/etc/apt/preferences.d/grafana").content_string
    )


def test_a_key_with_another_fingerprint_is_refused(host: Host) -> None:
    before = host.file("/etc/apt/keyrings/grafana.asc").content_string
    result = converge(grafana_apt_key_fingerprint="0" * 40)
    assert result.returncode != 0
    assert "does not have the fingerprint 0000" in said(result)
    assert host.file("/etc/apt/keyrings/grafana.asc").content_string == before


def test_dashboards_with_one_uid_are_refused_and_the_old_ones_stay(
    get: Callable[[str], Any], tmp_path: Path
) -> None:
    for name in ("one", "other"):
        (tmp_path / f"{name}.json").write_text('{"uid": "bic-overview", "title": "Twins", "panels": []}')
    result = converge(grafana_dashboards_dir=str(tmp_path))
    assert result.returncode != 0
    assert "needs a uid that no other has" in said(result)
    assert found(get) == DASHBOARDS


def test_dashboards_follow_their_files(host: Host, get: Callable[[str], Any], tmp_path: Path) -> None:
    (tmp_path / "bic-new.json").write_text(
        json.dumps({"uid": "bic-new", "title": "New", "panels": [], "schemaVersion": 39})
    )
    try:
        result = converge(grafana_dashboards_dir=str(tmp_path), grafana_home_dashboard="bic-new")
        assert result.returncode == 0, result.stdout + result.stderr
        assert eventually(lambda: found(get) == {"bic-new"}, 120)
        assert host.file("/etc/grafana/dashboards").listdir() == ["bic-new.json"]
    finally:
        again = converge()
    assert again.returncode == 0, again.stdout + again.stderr
    assert eventually(lambda: found(get) == DASHBOARDS, 120)
