"""Signed apt repositories made from folders of packages."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from sandbox.fleet.image import SUITE
from sandbox.fleet.spec import sandbox_root
from sandbox.fleet.system import locked, run

COMPONENT = "main"
_SIGNER = "BioImage Cloud sandbox mirror"


def publish(packages: Sequence[Path], destination: Path) -> str:
    """Make `destination` an apt repository of these packages, with its public key in `key.asc`.

    Returns the fingerprint of the key.

    A repository of the same packages stays as it is. Clients see the old one or the new one, whole:
    `destination` is a symbolic link that is replaced at the end.
    """
    digest = hashlib.sha256()
    for package in sorted(packages):
        digest.update(package.name.encode() + package.read_bytes())
    versions = destination.with_name(f"{destination.name}-versions")
    version = versions / digest.hexdigest()[:16]
    if not version.exists():
        building = versions / "building"
        shutil.rmtree(building, ignore_errors=True)
        _build(packages, building)
        building.rename(version)
    link = destination.with_name(f".{destination.name}-new")
    link.unlink(missing_ok=True)
    link.symlink_to(version)
    link.replace(destination)
    return (version / "key.fingerprint").read_text()


def _build(packages: Sequence[Path], root: Path) -> None:
    pool = root / "pool"
    pool.mkdir(parents=True)
    for package in packages:
        shutil.copy(package, pool / package.name)
    index = root / "dists" / SUITE / COMPONENT / "binary-amd64"
    index.mkdir(parents=True)
    # apt reads file names relative to the repository's root.
    (index / "Packages").write_text(run(["sh", "-c", 'cd "$1" && apt-ftparchive packages pool', "sh", root]))
    release = root / "dists" / SUITE / "Release"
    options = {
        "Origin": _SIGNER,
        "Suite": SUITE,
        "Codename": SUITE,
        "Components": COMPONENT,
        "Architectures": "amd64",
    }
    words = [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in options.items()]
    release.write_text(run(["apt-ftparchive", *words, "release", release.parent]))
    with locked(_home().with_name("gnupg.lock")):
        _make_key()
        _gpg("--clearsign", "--yes", "--output", str(release.with_name("InRelease")), str(release))
        (root / "key.asc").write_text(_gpg("--armor", "--export", _SIGNER))
        listing = _gpg("--list-keys", "--with-colons", _SIGNER).splitlines()
        fingerprint = next(line.split(":")[9] for line in listing if line.startswith("fpr:"))
        (root / "key.fingerprint").write_text(fingerprint)
        # No agent outlives the signing.
        run(["gpgconf", "--homedir", _home(), "--kill", "all"])


def _home() -> Path:
    return sandbox_root() / "gnupg"


def _gpg(*words: str) -> str:
    return run(["gpg", "--homedir", _home(), "--batch", "--quiet", "--pinentry-mode=loopback", *words])


def _make_key() -> None:
    home = _home()
    if not home.exists():
        home.mkdir(parents=True, mode=0o700)
    if f":{_SIGNER}:" not in _gpg("--list-keys", "--with-colons"):
        _gpg("--passphrase", "", "--quick-generate-key", _SIGNER, "ed25519", "sign", "never")
