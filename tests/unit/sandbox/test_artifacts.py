"""Which iRODS, Authentik and Grafana the sandbox takes: upstream, a named mirror, or the stand-in."""

from ipaddress import IPv4Network
from pathlib import Path

import httpx
import pytest
from ruamel.yaml import YAML

from sandbox.fleet.spec import FleetSpec, SandboxError
from sandbox.mirror import artifacts

MIRROR = "http://mirror.example/irods"


@pytest.fixture
def fleet(tmp_path: Path) -> FleetSpec:
    return FleetSpec("unit", IPv4Network("192.0.2.0/24"), (), tmp_path / "state")


def _answering(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    monkeypatch.setattr(artifacts, "_answers", lambda url, suite="": url in urls)


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


GRAFANA = "https://mirror.example/grafana"


@pytest.mark.parametrize(
    ("answering", "source", "url"),
    [
        ((artifacts.UPSTREAM_GRAFANA, GRAFANA), "upstream", artifacts.UPSTREAM_GRAFANA),
        ((GRAFANA,), "mirror", GRAFANA),
    ],
)
def test_grafana_comes_from_upstream_or_else_from_a_named_mirror(
    fleet: FleetSpec, monkeypatch: pytest.MonkeyPatch, answering: tuple[str, ...], source: str, url: str
) -> None:
    _answering(monkeypatch, *answering)
    monkeypatch.setenv("BIC_GRAFANA_APT_MIRROR", f"{GRAFANA}/")
    said: list[str] = []
    choice = artifacts._choose_grafana(fleet, said.append)
    assert (choice.source, choice.url, choice.suite) == (source, url, "stable")
    assert choice.key_url == f"{url}/gpg.key"
    assert source.upper() in said[0]


def test_a_named_mirror_of_grafana_that_is_away_is_an_error(
    fleet: FleetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answering(monkeypatch)
    monkeypatch.setenv("BIC_GRAFANA_APT_MIRROR", GRAFANA)
    with pytest.raises(SandboxError, match=r"https://mirror\.example/grafana, which has no dists/stable"):
        artifacts._choose_grafana(fleet, print)


def test_upstream_of_grafana_is_the_same_here_and_in_the_role() -> None:
    defaults = YAML(typ="safe").load(artifacts.REPOSITORY / "roles" / "grafana" / "defaults" / "main.yml")
    assert defaults["grafana_apt_url"] == artifacts.UPSTREAM_GRAFANA
    assert defaults["grafana_apt_suite"] == artifacts.UPSTREAM_GRAFANA_SUITE
    assert defaults["grafana_apt_key_fingerprint"] == artifacts.UPSTREAM_GRAFANA_KEY


REGISTRY = "registry.mirror.example/authentik"


def _registry(monkeypatch: pytest.MonkeyPatch, digest: str) -> list[str]:
    """A registry that wants a token, as public ones do; the tokens that it was shown."""
    shown: list[str] = []

    def head(url: str, *, headers: dict[str, str], **_: object) -> httpx.Response:
        assert url.startswith("https://registry.mirror.example/v2/authentik/")
        assert url.endswith(f"/manifests/{artifacts.AUTHENTIK_VERSION}")
        shown.append(headers.get("Authorization", ""))
        if "Authorization" not in headers:
            wants = 'Bearer realm="https://auth.example/token",service="registry",scope="repository:x:pull"'
            return httpx.Response(401, headers={"WWW-Authenticate": wants})
        return httpx.Response(200, headers={"Docker-Content-Digest": digest} if digest else {})

    def get(url: str, *, params: dict[str, str], **_: object) -> httpx.Response:
        assert (url, params) == (
            "https://auth.example/token",
            {"service": "registry", "scope": "repository:x:pull"},
        )
        return httpx.Response(200, json={"token": "anybody"})

    monkeypatch.setattr(artifacts.httpx, "head", head)
    monkeypatch.setattr(artifacts.httpx, "get", get)
    return shown


def test_images_of_a_named_registry_are_pinned_by_what_it_says(
    fleet: FleetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIC_AUTHENTIK_REGISTRY", REGISTRY)
    digest = f"sha256:{'a' * 64}"
    shown = _registry(monkeypatch, digest)
    choice = artifacts._choose_authentik(fleet, print)
    assert (choice.source, choice.registry) == ("mirror", REGISTRY)
    assert choice.digests == {"server": digest, "ldap": digest}
    assert shown[:2] == ["", "Bearer anybody"]


def test_a_registry_without_the_image_is_an_error_and_no_stand_in(
    fleet: FleetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIC_AUTHENTIK_REGISTRY", REGISTRY)
    _registry(monkeypatch, "")
    with pytest.raises(SandboxError, match=r"has no image server:"):
        artifacts._choose_authentik(fleet, print)


def test_the_role_deploys_the_version_that_the_stand_in_is() -> None:
    defaults = YAML(typ="safe").load(artifacts.REPOSITORY / "roles" / "authentik" / "defaults" / "main.yml")
    assert defaults["authentik_version"] == artifacts.AUTHENTIK_VERSION
    assert defaults["authentik_registry"] == artifacts.UPSTREAM_AUTHENTIK
