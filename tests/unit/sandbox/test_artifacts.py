"""Which iRODS the sandbox takes: upstream, else a named mirror, else the stand-in."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from sandbox.fleet.spec import FleetSpec, SandboxError
from sandbox.mirror import artifacts

MIRROR = "http://mirror.example/irods"


@pytest.fixture
def fleet(tmp_path: Path) -> FleetSpec:
    return FleetSpec("unit", IPv4Network("192.0.2.0/24"), (), tmp_path / "state")


def _answering(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    monkeypatch.setattr(artifacts, "_answers", lambda url: url in urls)


def test_upstream_comes_first(fleet: FleetSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch, artifacts.UPSTREAM_IRODS, MIRROR)
    monkeypatch.setenv("BIC_IRODS_APT_MIRROR", MIRROR)
    said: list[str] = []
    assert artifacts._choose_irods(fleet, said.append).source == "upstream"
    assert "UPSTREAM" in said[0]


def test_a_named_mirror_comes_second(fleet: FleetSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch, MIRROR)
    monkeypatch.setenv("BIC_IRODS_APT_MIRROR", MIRROR)
    said: list[str] = []
    choice = artifacts._choose_irods(fleet, said.append)
    assert (choice.source, choice.url) == ("mirror", MIRROR)
    assert "MIRROR" in said[0]


def test_a_named_mirror_that_is_away_is_an_error_and_no_stand_in(
    fleet: FleetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answering(monkeypatch)
    monkeypatch.setenv("BIC_IRODS_APT_MIRROR", MIRROR)
    with pytest.raises(SandboxError, match=r"mirror\.example"):
        artifacts._choose_irods(fleet, print)


def test_upstream_is_the_same_here_and_in_the_role() -> None:
    role = artifacts.REPOSITORY / "roles" / "irods_server"
    defaults = YAML(typ="safe").load(role / "defaults" / "main.yml")
    assert defaults["irods_server_apt_key_fingerprint"] == artifacts.UPSTREAM_IRODS_KEY
    assert f"'{artifacts.UPSTREAM_IRODS}'" in (role / "vars" / "main.yml").read_text()
