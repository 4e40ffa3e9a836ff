"""What the mirror serves beside Debian's packages: iRODS, Authentik, Grafana, OMERO, and Python's wheels.

iRODS and Grafana come from upstream when its repository answers, else from the mirror that
`BIC_IRODS_APT_MIRROR` or `BIC_GRAFANA_APT_MIRROR` names, else from the stand-in. Authentik is published as
container images only, which hosts that are containers themselves can seldom run: it is the stand-in unless
`BIC_AUTHENTIK_REGISTRY` names upstream's registry or a mirror's. OMERO.server and Ice are single files, in
the same order of choice (`BIC_OMERO_MIRROR`); they are fetched once and served here, with the checksums that
they then have. The choices are written to the platform's state folder, where Ansible's group variables and
the demo's summary read them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from sandbox.fleet.image import SUITE
from sandbox.fleet.spec import FleetSpec, SandboxError, sandbox_root
from sandbox.fleet.system import locked, run, write_atomically
from sandbox.mirror import apt_repository, control
from sandbox.standins.authentik import package as authentik_standin
from sandbox.standins.authentik.release import VERSION as AUTHENTIK_VERSION
from sandbox.standins.grafana import package as grafana_standin
from sandbox.standins.irods import package as irods_standin
from sandbox.standins.omero import package as omero_standin
from sandbox.standins.omero.release import VERSION as OMERO_VERSION

REPOSITORY = Path(__file__).resolve().parents[2]
#: Where the iRODS Consortium publishes its packages.
UPSTREAM_IRODS = "https://packages.irods.org/apt"
#: Fingerprint of the key they are signed with, the same as in the role irods_server.
UPSTREAM_IRODS_KEY = "9014FF9F75C66C771F1CB574BD925DBDACF9B42B"
#: Where Grafana Labs publishes Grafana, in which suite, and the key's fingerprint; as in the role grafana.
UPSTREAM_GRAFANA = "https://apt.grafana.com"
UPSTREAM_GRAFANA_SUITE = "stable"
UPSTREAM_GRAFANA_KEY = "B53AE77BADB630A683046005963FA27710458545"
#: Where Authentik's images are published.
UPSTREAM_AUTHENTIK = "ghcr.io/goauthentik"
AUTHENTIK_IMAGES = ("server", "ldap")
#: Where OME publishes OMERO.server, and Glencoe Software its Ice; as in the role omero_server.
UPSTREAM_OMERO = f"https://github.com/ome/openmicroscopy/releases/download/v{OMERO_VERSION}"
UPSTREAM_OMERO_SERVER = f"OMERO.server-{OMERO_VERSION}-ice36.zip"
UPSTREAM_ICE = "https://github.com/glencoesoftware/zeroc-ice-ubuntu2204-x86_64/releases/download/20221004"
UPSTREAM_ICE_ARCHIVE = "Ice-3.6.5-ubuntu2204-x86_64.tar.gz"
#: Debian's packages that upstream's OMERO.server and Ice need.
UPSTREAM_OMERO_PACKAGES = (
    "libbz2-1.0",
    "libdb5.3++",
    "libexpat1",
    "libmcpp0",
    "libssl3",
    "openjdk-17-jre-headless",
)
#: Seconds that an upstream or a mirror may take to answer.
PROBE_TIMEOUT = 5
#: File in the platform's state folder that says what was taken from where.
CHOICE_FILE = "artifacts.json"


@dataclass(frozen=True)
class Choice:
    """Where a system's packages come from.

    `source` is `upstream`, `mirror` or `stand-in`; `url` the apt repository, empty for upstream's own, and
    `key_fingerprint` that of the key it is signed with.
    """

    system: str
    source: str
    url: str
    key_fingerprint: str


@dataclass(frozen=True)
class SuiteChoice(Choice):
    """Where a system comes from whose repository has a suite and a key of its own.

    `suite` is the suite in the apt repository at `url`, and `key_url` the address of its key.
    """

    suite: str
    key_url: str


@dataclass(frozen=True)
class ImageChoice(Choice):
    """Where a system comes from that upstream publishes as container images.

    `registry` is the registry with its folder, and `digests` those of the images by their names; both are
    empty for the stand-in, which is an apt repository.
    """

    registry: str
    digests: dict[str, str]


@dataclass(frozen=True)
class ArchivesChoice(Choice):
    """Where OMERO.server comes from, which is two archives and no repository; `url` is the folder of both.

    Each archive has its address and its checksum, as Ansible writes checksums; `packages` are Debian's that
    they need.
    """

    server_url: str
    server_checksum: str
    ice_url: str
    ice_checksum: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Artifacts:
    """All that the hosts install which is not Debian's."""

    irods: Choice
    authentik: ImageChoice
    grafana: SuiteChoice
    omero: ArchivesChoice
    wheels_url: str


def publish(fleet: FleetSpec, report: Callable[[str], None]) -> None:
    """Fill the fleet's mirror and write down what it took.

    Raises `SandboxError` when the wheels cannot be had, or when a mirror was named that does not answer.
    """
    with locked(sandbox_root() / "artifacts.lock"):
        irods = _choose_irods(fleet, report)
        authentik = _choose_authentik(fleet, report)
        grafana = _choose_grafana(fleet, report)
        omero = _choose_omero(fleet, report)
        _publish_wheels(fleet)
    artifacts = Artifacts(irods, authentik, grafana, omero, wheels_url=f"{fleet.mirror_url}/wheels/")
    fleet.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(fleet.state_dir / CHOICE_FILE, json.dumps(asdict(artifacts), indent=1) + "\n")


def _answers(repository: str, suite: str = SUITE) -> bool:
    try:
        url = f"{repository.rstrip('/')}/dists/{suite}/InRelease"
        return httpx.get(url, timeout=PROBE_TIMEOUT, follow_redirects=True).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _choose_irods(fleet: FleetSpec, report: Callable[[str], None]) -> Choice:
    mirror = os.environ.get("BIC_IRODS_APT_MIRROR", "")
    if _answers(UPSTREAM_IRODS):
        report(f"iRODS: UPSTREAM packages from {UPSTREAM_IRODS}")
        return Choice("iRODS", "upstream", "", UPSTREAM_IRODS_KEY)
    if mirror:
        if not _answers(mirror):
            raise SandboxError(
                f"BIC_IRODS_APT_MIRROR names {mirror}, which has no dists/{SUITE}/InRelease: "
                "correct it, or unset it to use the stand-in"
            )
        report(f"iRODS: packages from the MIRROR {mirror}; upstream does not answer")
        return Choice("iRODS", "mirror", mirror, UPSTREAM_IRODS_KEY)
    report("iRODS: the STAND-IN of sandbox/standins/irods; upstream does not answer and no mirror is named")
    packages = irods_standin.build(sandbox_root() / "cache" / "standins" / "irods")
    fingerprint = apt_repository.publish(packages, control.folder(fleet, "irods"))
    return Choice("iRODS", "stand-in", f"{fleet.mirror_url}/irods", fingerprint)


def _choose_authentik(fleet: FleetSpec, report: Callable[[str], None]) -> ImageChoice:
    registry = os.environ.get("BIC_AUTHENTIK_REGISTRY", "").rstrip("/")
    if registry:
        digests = {name: _digest(registry, name, AUTHENTIK_VERSION) for name in AUTHENTIK_IMAGES}
        source = "upstream" if registry == UPSTREAM_AUTHENTIK else "mirror"
        report(f"Authentik: {source.upper()} images from {registry}; the hosts must be able to run podman")
        return ImageChoice("Authentik", source, registry, "", registry, digests)
    report(
        "Authentik: the STAND-IN of sandbox/standins/authentik; upstream has container images only, and "
        "BIC_AUTHENTIK_REGISTRY names no registry"
    )
    packages = authentik_standin.build(sandbox_root() / "cache" / "standins" / "authentik")
    fingerprint = apt_repository.publish(packages, control.folder(fleet, "authentik"))
    digests = dict.fromkeys(AUTHENTIK_IMAGES, "")
    return ImageChoice("Authentik", "stand-in", f"{fleet.mirror_url}/authentik", fingerprint, "", digests)


def _choose_grafana(fleet: FleetSpec, report: Callable[[str], None]) -> SuiteChoice:
    mirror = os.environ.get("BIC_GRAFANA_APT_MIRROR", "").rstrip("/")
    if _answers(UPSTREAM_GRAFANA, UPSTREAM_GRAFANA_SUITE):
        report(f"Grafana: UPSTREAM packages from {UPSTREAM_GRAFANA}")
        return _upstreams_grafana("upstream", UPSTREAM_GRAFANA)
    if mirror:
        if not _answers(mirror, UPSTREAM_GRAFANA_SUITE):
            raise SandboxError(
                f"BIC_GRAFANA_APT_MIRROR names {mirror}, which has no "
                f"dists/{UPSTREAM_GRAFANA_SUITE}/InRelease: correct it, or unset it to use the stand-in"
            )
        report(f"Grafana: packages from the MIRROR {mirror}; upstream does not answer")
        return _upstreams_grafana("mirror", mirror)
    report(
        "Grafana: the STAND-IN of sandbox/standins/grafana; upstream does not answer and no mirror is named"
    )
    packages = grafana_standin.build(sandbox_root() / "cache" / "standins" / "grafana")
    fingerprint = apt_repository.publish(packages, control.folder(fleet, "grafana"))
    url = f"{fleet.mirror_url}/grafana"
    return SuiteChoice("Grafana", "stand-in", url, fingerprint, SUITE, f"{url}/key.asc")


def _upstreams_grafana(source: str, url: str) -> SuiteChoice:
    """Upstream's packages, by upstream's key, from where they are."""
    return SuiteChoice("Grafana", source, url, UPSTREAM_GRAFANA_KEY, UPSTREAM_GRAFANA_SUITE, f"{url}/gpg.key")


def _choose_omero(fleet: FleetSpec, report: Callable[[str], None]) -> ArchivesChoice:
    mirror = os.environ.get("BIC_OMERO_MIRROR", "").rstrip("/")
    upstream = f"{UPSTREAM_OMERO}/{UPSTREAM_OMERO_SERVER}", f"{UPSTREAM_ICE}/{UPSTREAM_ICE_ARCHIVE}"
    if all(_is_there(url) for url in upstream):
        report(f"OMERO: UPSTREAM archives from {UPSTREAM_OMERO} and {UPSTREAM_ICE}")
        return _fetched_omero(fleet, "upstream", upstream)
    if mirror:
        mirrored = f"{mirror}/{UPSTREAM_OMERO_SERVER}", f"{mirror}/{UPSTREAM_ICE_ARCHIVE}"
        for url in mirrored:
            if not _is_there(url):
                raise SandboxError(
                    f"BIC_OMERO_MIRROR names {mirror}, which has no {url.rpartition('/')[2]}: "
                    "correct it, or unset it to use the stand-in"
                )
        report(f"OMERO: archives from the MIRROR {mirror}; upstream does not answer")
        return _fetched_omero(fleet, "mirror", mirrored)
    report("OMERO: the STAND-IN of sandbox/standins/omero; upstream does not answer and no mirror is named")
    built = omero_standin.build(sandbox_root() / "cache" / "standins" / "omero")
    archives = built.server.path, built.ice.path
    return _served_omero(fleet, "stand-in", archives, omero_standin.DEBIAN_PACKAGES)


def _is_there(url: str) -> bool:
    try:
        return httpx.head(url, timeout=PROBE_TIMEOUT, follow_redirects=True).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _fetched_omero(fleet: FleetSpec, source: str, urls: tuple[str, str]) -> ArchivesChoice:
    """Upstream's archives from where they are, kept for the next time. Raises SandboxError."""
    cache = sandbox_root() / "cache" / "omero" / source
    cache.mkdir(parents=True, exist_ok=True)
    server, ice = (_fetched(url, cache / url.rpartition("/")[2]) for url in urls)
    return _served_omero(fleet, source, (server, ice), UPSTREAM_OMERO_PACKAGES)


def _fetched(url: str, target: Path) -> Path:
    """The file of a URL, which is fetched unless it is there. Raises SandboxError."""
    if not target.exists():
        temporary = target.with_suffix(".new")
        try:
            with (
                httpx.stream("GET", url, timeout=PROBE_TIMEOUT, follow_redirects=True) as answer,
                temporary.open("wb") as file,
            ):
                answer.raise_for_status()
                for part in answer.iter_bytes():
                    file.write(part)
        except httpx.HTTPError as error:
            raise SandboxError(f"{url} cannot be fetched ({error}): try again") from error
        temporary.replace(target)
    return target


def _served_omero(
    fleet: FleetSpec, source: str, archives: tuple[Path, Path], packages: tuple[str, ...]
) -> ArchivesChoice:
    """Archives by way of the fleet's mirror."""
    folder = control.folder(fleet, "omero")
    folder.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        temporary = folder / f".{archive.name}"
        shutil.copyfile(archive, temporary)
        temporary.replace(folder / archive.name)
    url = f"{fleet.mirror_url}/omero"
    (server, server_sum), (ice, ice_sum) = (
        (f"{url}/{archive.name}", f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}")
        for archive in archives
    )
    return ArchivesChoice("OMERO", source, url, "", server, server_sum, ice, ice_sum, packages)


def _digest(registry: str, image: str, version: str) -> str:
    """The digest of an image's version, as its registry says. Raises SandboxError."""
    host, _, folder = registry.partition("/")
    path = f"{folder}/{image}" if folder else image
    url = f"https://{host}/v2/{path}/manifests/{version}"
    kinds = (
        "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
    )
    headers = {"Accept": kinds}
    try:
        answer = httpx.head(url, headers=headers, timeout=PROBE_TIMEOUT, follow_redirects=True)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            asked = dict(re.findall(r'(\w+)="([^"]*)"', answer.headers.get("WWW-Authenticate", "")))
            query = {name: asked[name] for name in ("service", "scope") if name in asked}
            token = httpx.get(asked["realm"], params=query, timeout=PROBE_TIMEOUT).json()["token"]
            headers["Authorization"] = f"Bearer {token}"
            answer = httpx.head(url, headers=headers, timeout=PROBE_TIMEOUT, follow_redirects=True)
        digest = str(answer.headers.get("Docker-Content-Digest", ""))
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError):
        digest = ""
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise SandboxError(
            f"BIC_AUTHENTIK_REGISTRY names {registry}, which has no image {image}:{version} that anybody "
            "may fetch: correct it, or unset it to use the stand-in"
        )
    return digest


def _publish_wheels(fleet: FleetSpec) -> None:
    """Serve the wheels of what hosts run in environments of their own."""
    for name in ("controlplane", "webdav", "federation", "omero"):
        _publish_wheels_of(REPOSITORY / "requirements" / f"{name}.lock", control.folder(fleet, "wheels"))


def _publish_wheels_of(lock: Path, served: Path) -> None:
    cache = sandbox_root() / "cache" / "wheels"
    wheels = cache / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not wheels.exists():
        building = cache / "building"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        # The hosts run Debian 12's Python, whatever runs here.
        target = ["--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=abi3", "--abi=none"]
        target += [
            f"--platform={name}_x86_64" for name in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
        ]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        options = ["--require-hashes", "--only-binary=:all:", f"--dest={building}", f"--requirement={lock}"]
        run([*pip, *target, *options])
        building.rename(wheels)
    for wheel in wheels.iterdir():
        target_path = served / wheel.name
        if not target_path.exists():
            temporary = served / f".{wheel.name}"
            shutil.copy(wheel, temporary)
            temporary.replace(target_path)
