"""Alertmanager: whom it tells, what it shows, and which files it refuses."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import (
    Webhook,
    assert_modern_tls,
    assert_plaintext_is_refused,
    converge,
    eventually,
    reachable,
    said,
)
from testinfra.host import Host

UNIT, PORT = "prometheus-alertmanager", 9093

Api = Callable[..., Any]


@pytest.fixture
def api(address: str, tls: ssl.SSLContext) -> Api:
    """Asks the service over TLS, with a body as JSON where there is one."""

    def ask(path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"https://{address}:{PORT}{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, context=tls, timeout=10) as answer:  # noqa: S310 - https
            content = answer.read()
            return json.loads(content) if content else None

    return ask


def test_only_modern_tls_is_spoken(address: str, authority: Path) -> None:
    assert_plaintext_is_refused(address, PORT)
    assert_modern_tls(address, PORT, authority)


def test_gossip_between_alertmanagers_is_off(host: Host, address: str) -> None:
    assert not host.socket("tcp://9094").is_listening
    assert not reachable(address, 9094)


def test_alertmanager_shows_no_secret(host: Host, api: Api, state_dir: Path) -> None:
    secrets = [file.read_text().strip() for file in (state_dir / "secrets").iterdir()]
    assert len(secrets) == 2
    configuration = host.file("/etc/prometheus/alertmanager.yml")
    assert all(secret in configuration.content_string for secret in secrets)
    assert (configuration.mode, configuration.user, configuration.group) == (0o640, "root", "prometheus")
    shown = json.dumps(api("/api/v2/status"))
    assert "operations@mol.example" in shown
    assert not any(secret in shown for secret in secrets)


def test_unit_is_confined(host: Host) -> None:
    # In tenths: systemd calls up to 3.0 well protected.
    host.run_expect([0], f"systemd-analyze security --threshold=30 {UNIT}.service")


def test_unit_comes_back_after_a_kill(host: Host, address: str, tls: ssl.SSLContext) -> None:
    before = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
    host.check_output("systemctl kill --signal=KILL %s", UNIT)

    def ready() -> bool:
        if host.check_output("systemctl show --property=MainPID --value %s", UNIT) in {"0", before}:
            return False
        url = f"https://{address}:{PORT}/-/ready"
        with urllib.request.urlopen(url, context=tls, timeout=5) as answer:
            return bool(answer.status == 200)

    assert eventually(ready, 30)


def test_a_broken_configuration_is_refused_and_the_old_one_stays(host: Host) -> None:
    before = host.file("/etc/prometheus/alertmanager.yml").content_string
    result = converge(alertmanager_webhooks=[{"url": "no address"}])
    assert result.returncode != 0
    assert "must begin with https:// or http:// and name a host; one of them is no address" in said(result)
    assert host.file("/etc/prometheus/alertmanager.yml").content_string == before


def test_an_alert_is_delivered_with_the_token(api: Api, webhook: Webhook, state_dir: Path) -> None:
    alert = {"labels": {"alertname": "ScenarioFiring", "severity": "critical", "host": "nowhere"}}
    api("/api/v2/alerts", [alert])

    def delivered() -> list[tuple[str, dict[str, Any]]]:
        return [entry for entry in webhook.received if "ScenarioFiring" in json.dumps(entry[1])]

    # Alertmanager waits 30 s for more.
    assert eventually(lambda: bool(delivered()), 120)
    authorization, notification = delivered()[0]
    assert authorization == "Bearer " + (state_dir / "secrets/webhook_token").read_text().strip()
    assert notification["externalURL"] == "https://mol-alertmanager.mol.example:9093"
