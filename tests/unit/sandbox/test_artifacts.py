"""Which iRODS, Authentik, Grafana and OMERO the sandbox takes: upstream, a named mirror, or the stand-in."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
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


OMERO = "https://mirror.example/omero"
OMERO_FILES = (artifacts.UPSTREAM_OMERO_SERVER, artifacts.UPSTREAM_ICE_ARCHIVE)


@pytest.fixture
def served(fleet: FleetSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder from which the fleet's mirror serves OMERO."""
    monkeypatch.setenv("BIC_SANDBOX_ROOT", str(tmp_path / "root"))
    return fleet.folder / "mirror" / "omero"


def _publishing(monkeypatch: pytest.MonkeyPatch, *urls: str) -> list[str]:
    """Servers that have files at these addresses, each with its address as its text; what was fetched."""
    fetched: list[str] = []

    def head(url: str, **_: object) -> httpx.Response:
        return httpx.Response(200 if url in urls else 404)

    @contextmanager
    def stream(method: str, url: str, **_: object) -> Iterator[httpx.Response]:
        fetched.append(url)
        yield httpx.Response(200, content=url.encode(), request=httpx.Request(method, url))

    monkeypatch.setattr(artifacts.httpx, "head", head)
    monkeypatch.setattr(artifacts.httpx, "stream", stream)
    return fetched


@pytest.mark.parametrize(
    ("folders", "source"),
    [((artifacts.UPSTREAM_OMERO, artifacts.UPSTREAM_ICE), "upstream"), ((OMERO, OMERO), "mirror")],
    ids=["upstream", "mirror"],
)
def test_omero_is_fetched_once_and_served_here(
    fleet: FleetSpec, served: Path, monkeypatch: pytest.MonkeyPatch, folders: tuple[str, str], source: str
) -> None:
    urls = [f"{folder}/{name}" for folder, name in zip(folders, OMERO_FILES, strict=True)]
    fetched = _publishing(monkeypatch, *urls)
    monkeypatch.setenv("BIC_OMERO_MIRROR", f"{OMERO}/")
    said: list[str] = []
    choices = [artifacts._choose_omero(fleet, said.append) for _ in range(2)]
    assert choices[0] == choices[1]
    assert fetched == urls
    choice = choices[0]
    assert choice.source == source
    assert source.upper() in said[0]
    assert choice.server_url == f"{fleet.mirror_url}/omero/{OMERO_FILES[0]}"
    assert choice.server_checksum == f"sha256:{hashlib.sha256(urls[0].encode()).hexdigest()}"
    assert choice.ice_checksum == f"sha256:{hashlib.sha256(urls[1].encode()).hexdigest()}"
    assert "openjdk-17-jre-headless" in choice.packages
    assert {path.name: path.read_text() for path in served.iterdir()} == dict(
        zip(OMERO_FILES, urls, strict=True)
    )


def test_a_named_mirror_of_omero_that_lacks_a_file_is_an_error(
    fleet: FleetSpec, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _publishing(monkeypatch, f"{OMERO}/{artifacts.UPSTREAM_OMERO_SERVER}")
    monkeypatch.setenv("BIC_OMERO_MIRROR", OMERO)
    with pytest.raises(SandboxError, match=rf"which has no {artifacts.UPSTREAM_ICE_ARCHIVE}"):
        artifacts._choose_omero(fleet, print)


def test_omero_that_breaks_off_leaves_nothing(
    fleet: FleetSpec, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _publishing(monkeypatch, *(f"{OMERO}/{name}" for name in OMERO_FILES))
    monkeypatch.setenv("BIC_OMERO_MIRROR", OMERO)

    def stream(*_: object, **__: object) -> None:
        raise httpx.ReadError("it broke off")

    monkeypatch.setattr(artifacts.httpx, "stream", stream)
    with pytest.raises(SandboxError, match=r"OMERO\.server.+ cannot be fetched \(it broke off\): try again"):
        artifacts._choose_omero(fleet, print)
    assert not served.exists()


def test_the_stand_in_of_omero_needs_no_java(
    fleet: FleetSpec, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _publishing(monkeypatch)
    monkeypatch.delenv("BIC_OMERO_MIRROR", raising=False)
    said: list[str] = []
    choice = artifacts._choose_omero(fleet, said.append)
    assert choice.source == "stand-in"
    assert "STAND-IN" in said[0]
    assert not [name for name in choice.packages if "jre" in name]
    for url, checksum in ((choice.server_url, choice.server_checksum), (choice.ice_url, choice.ice_checksum)):
        content = (served / url.rpartition("/")[2]).read_bytes()
        assert checksum == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_upstream_of_omero_is_the_same_here_and_in_the_role() -> None:
    defaults = YAML(typ="safe").load(
        artifacts.REPOSITORY / "roles" / "omero_server" / "defaults" / "main.yml"
    )
    server = defaults["omero_server_url"].replace("{{ omero_server_version }}", artifacts.OMERO_VERSION)
    assert server == f"{artifacts.UPSTREAM_OMERO}/{artifacts.UPSTREAM_OMERO_SERVER}"
    assert defaults["omero_server_ice_url"] == f"{artifacts.UPSTREAM_ICE}/{artifacts.UPSTREAM_ICE_ARCHIVE}"
    assert tuple(defaults["omero_server_packages"]) == artifacts.UPSTREAM_OMERO_PACKAGES
