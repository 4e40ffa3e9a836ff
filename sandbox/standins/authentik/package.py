"""Builds the stand-in's Debian packages, all that they need bundled: installing asks no network.

The same source and the same lock file give the same bytes. Everything about the packages says that they
are a stand-in.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from sandbox.standins import debian
from sandbox.standins.debian import Package

from .release import VERSION

#: Releases that are packaged: the one before is there to try an upgrade and its rollback.
RELEASES = ("2026.5.4", VERSION)
HOMEPAGE = "https://goauthentik.io"
LOCK = Path(__file__).parents[3] / "requirements" / "authentik-standin.lock"

_SOURCE = Path(__file__).parent
_MODULE = "authentik_standin"
# What only a clone needs.
_LEFT_OUT = {"launcher.py", "package.py"}
# Debian 12's Python.
_TARGET = (
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--abi=abi3",
    "--abi=none",
    "--platform=manylinux_2_34_x86_64",
    "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux_2_17_x86_64",
    "--platform=manylinux2014_x86_64",
)
_ABOUT = """\
This package is NOT authentik. It is a small server that answers authentik's REST API, OpenID Connect
and LDAP clients, for the sandbox of BioImage Cloud on machines that cannot download authentik."""
_NOTICE = f"""\
This is a STAND-IN, not authentik.

It answers authentik's REST API and its clients as far as the BioImage Cloud sandbox needs, keeps
everything in one SQLite file, and has none of authentik's code. It exists so that the platform can be
tried and tested on machines that cannot download authentik. Never put data into it that you want to keep.
The real images come from {HOMEPAGE}.
"""
_COMMAND = """\
#!/usr/bin/python3
# STAND-IN for authentik.
import sys

sys.path[:0] = ["/{library}", "/{library}/vendor"]
from {module}.{name} import main

sys.exit(main())
"""
_POSTINST = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    python3 -m compileall -q /{library} || true
    echo "{package}: this is the STAND-IN of the BioImage Cloud sandbox, not authentik" >&2
fi
"""
_PRERM = """\
#!/bin/sh
set -e
find /{library} -name __pycache__ -type d -exec rm -rf {{}} +
"""


def fetch_wheels(cache: Path) -> Path:
    """Return a folder with the locked wheels, downloading them unless they are in the cache.

    Raises:
        subprocess.CalledProcessError: pip could not get one of them.
    """
    wheels = cache / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    if not wheels.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            building = Path(scratch) / "wheels"
            pip = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
            ]
            options = [
                "--require-hashes",
                "--only-binary=:all:",
                f"--dest={building}",
                f"--requirement={LOCK}",
            ]
            subprocess.run([*pip, *_TARGET, *options], check=True)
            building.rename(wheels)
    return wheels


def _vendored(wheels: Path, library: str) -> dict[str, bytes]:
    """Return the files of the wheels, without what only builds and tests need."""
    found = {}
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                parts = Path(name).parts
                left_out = any(part in ("test", "tests") or part.endswith(".data") for part in parts)
                if not name.endswith("/") and not left_out:
                    found[f"{library}/vendor/{name}"] = archive.read(name)
    return found


def _modules(library: str, version: str) -> dict[str, bytes]:
    """Return the stand-in's own files."""
    found = {}
    for path in sorted(_SOURCE.rglob("*")):
        name = path.relative_to(_SOURCE)
        if path.is_file() and "__pycache__" not in name.parts and str(name) not in _LEFT_OUT:
            found[f"{library}/{_MODULE}/{name}"] = path.read_bytes()
    found[f"{library}/{_MODULE}/release.py"] = f'VERSION = "{version}"\n'.encode()
    return found


def packages(version: str, wheels: Path) -> list[Package]:
    """Return the packages of a release with their contents."""
    contents = {
        ("authentik", "ak", "ak"): "identity provider",
        ("authentik-outpost-ldap", "authentik-ldap", "ldap.__main__"): "LDAP outpost",
    }
    return [
        _package(*names, summary=summary, version=version, wheels=wheels)
        for names, summary in contents.items()
    ]


def _package(name: str, command: str, module: str, *, summary: str, version: str, wheels: Path) -> Package:
    library = f"usr/lib/{name}-standin"
    path = f"usr/bin/{command}"
    script = _COMMAND.format(library=library, module=_MODULE, name=module)
    return Package(
        name=name,
        product="authentik",
        homepage=HOMEPAGE,
        summary=summary,
        about=_ABOUT,
        depends="python3 (>= 3.11), python3 (<< 3.12), libc6",
        version=f"{version}-0~bookworm",
        notice=_NOTICE,
        files={**_vendored(wheels, library), **_modules(library, version), path: script},
        executables=frozenset({path}),
        scripts={
            "postinst": _POSTINST.format(library=library, package=name),
            "prerm": _PRERM.format(library=library),
        },
        architecture="amd64",
    )


def build(destination: Path, cache: Path | None = None) -> list[Path]:
    """Build the packages of all releases into a directory and return their paths. Needs `dpkg-deb`."""
    wheels = fetch_wheels(cache or destination / ".wheels")
    return [
        debian.build(package, destination) for version in RELEASES for package in packages(version, wheels)
    ]


def main() -> None:
    """Build the packages into the directory that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", type=Path)
    for path in build(parser.parse_args().destination):
        print(path)


if __name__ == "__main__":
    main()
