"""Builds the stand-in's Debian packages, all that they need bundled: installing asks no network.

The same source and the same lock file give the same bytes, and are packed once. The libraries, which are
most of it and change with the lock file alone, are a package of their own. Everything about the packages says
that they are a stand-in.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
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
_PYTHON = "python3 (>= 3.11), python3 (<< 3.12), libc6"
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

sys.path[:0] = ["/{library}", "/{vendor}"]
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


def fetch_wheels(destination: Path) -> None:
    """Download the locked wheels.

    Raises:
        subprocess.CalledProcessError: pip could not get one of them.
    """
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    options = ["--require-hashes", "--only-binary=:all:", f"--dest={destination}", f"--requirement={LOCK}"]
    subprocess.run([*pip, *_TARGET, *options], check=True)


def _vendored(wheels: Path, library: str) -> dict[str, bytes]:
    """Return the files of the wheels, without what only builds and tests need."""
    found = {}
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                parts = Path(name).parts
                left_out = any(part in ("test", "tests") or part.endswith(".data") for part in parts)
                if not name.endswith("/") and not left_out:
                    found[f"{library}/{name}"] = archive.read(name)
    return found


def _sources() -> list[Path]:
    """Return the stand-in's own files, in their order."""
    return [
        path
        for path in sorted(_SOURCE.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.name not in _LEFT_OUT
    ]


def _modules(library: str, version: str) -> dict[str, bytes]:
    """Return what is installed of the stand-in's own files."""
    found = {f"{library}/{_MODULE}/{path.relative_to(_SOURCE)}": path.read_bytes() for path in _sources()}
    found[f"{library}/{_MODULE}/release.py"] = f'VERSION = "{version}"\n'.encode()
    return found


def _digest(files: Iterable[Path]) -> str:
    """Return what tells these files, and how they are packed, from others."""
    digest = hashlib.sha256()
    for path in (Path(__file__), Path(debian.__file__), *files):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def _libraries_name() -> str:
    """Return the name of the package of libraries; other libraries have another, and fit beside it."""
    return f"authentik-standin-libraries-{_digest([LOCK])}"


def libraries(wheels: Path) -> Package:
    """Return the package of what the stand-in depends on."""
    name = _libraries_name()
    return _package(
        name, "libraries", _PYTHON, "1-0~bookworm", f"usr/lib/{name}", _vendored(wheels, f"usr/lib/{name}")
    )


def packages(version: str) -> list[Package]:
    """Return the packages of a release with their contents."""
    contents = {
        ("authentik", "ak", "ak"): "identity provider",
        ("authentik-outpost-ldap", "authentik-ldap", "ldap.__main__"): "LDAP outpost",
    }
    made = []
    for (name, command, module), summary in contents.items():
        library, path = f"usr/lib/{name}-standin", f"usr/bin/{command}"
        script = _COMMAND.format(
            library=library, vendor=f"usr/lib/{_libraries_name()}", module=_MODULE, name=module
        )
        files = {**_modules(library, version), path: script.encode()}
        depends = f"{_libraries_name()}, {_PYTHON}"
        made.append(_package(name, summary, depends, f"{version}-0~bookworm", library, files, path))
    return made


def _package(  # noqa: PLR0917 - a table reads well by position
    name: str,
    summary: str,
    depends: str,
    version: str,
    library: str,
    files: dict[str, bytes],
    *executables: str,
) -> Package:
    return Package(
        name=name,
        product="authentik",
        homepage=HOMEPAGE,
        summary=summary,
        about=_ABOUT,
        depends=depends,
        version=version,
        notice=_NOTICE,
        files=files,
        executables=frozenset(executables),
        scripts={
            "postinst": _POSTINST.format(library=library, package=name),
            "prerm": _PRERM.format(library=library),
        },
        architecture="amd64",
    )


def _once(folder: Path, fill: Callable[[Path], object]) -> Path:
    """Return a folder that is filled unless it is there already: it is there whole, or not at all."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            filling = Path(scratch) / "filling"
            filling.mkdir()
            fill(filling)
            filling.rename(folder)
    return folder


def build(destination: Path, fetch: Callable[[Path], object] = fetch_wheels) -> list[Path]:
    """Return the packages of all releases, in folders below `destination`, building those that are not there.

    What a folder's name has a digest of is not built twice. Needs `dpkg-deb`.

    Raises:
        subprocess.CalledProcessError: pip could not get one of the wheels, or a package could not be built.
    """

    def fill_libraries(folder: Path) -> None:
        wheels = _once(destination / f"wheels-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}", fetch)
        debian.build(libraries(wheels), folder)

    def fill_programs(folder: Path) -> None:
        for version in RELEASES:
            for package in packages(version):
                debian.build(package, folder)

    folders = (
        _once(destination / _libraries_name(), fill_libraries),
        _once(destination / f"programs-{_digest([LOCK, *_sources()])}", fill_programs),
    )
    return [path for folder in folders for path in sorted(folder.glob("*.deb"))]


def main() -> None:
    """Build the packages into the directory that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", type=Path)
    for path in build(parser.parse_args().destination):
        print(path)


if __name__ == "__main__":
    main()
