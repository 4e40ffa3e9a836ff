"""Builds the stand-in's archives, as upstream publishes them: OMERO.server's zip, and Ice's tar file.

The same source gives the same bytes. All of it says that it is a stand-in; upstream's own are at
https://www.openmicroscopy.org/omero/downloads/ and, for Ice, at https://github.com/glencoesoftware.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .release import ICE_VERSION, VERSION

SERVER_FOLDER = f"OMERO.server-{VERSION}-ice36"
ICE_FOLDER = f"Ice-{ICE_VERSION}"
SERVER_ARCHIVE = f"{SERVER_FOLDER}.zip"
ICE_ARCHIVE = f"{ICE_FOLDER}.tar.gz"
#: What the server needs of Debian beside its virtual environment; no Java, which nothing here runs.
DEBIAN_PACKAGES = ("python3-ldap3", "python3-psycopg2")

_SOURCE = Path(__file__).parent
_MODULE = "omero_standin"
# What only a clone needs.
_LEFT_OUT = {"package.py"}
# The time that all files have: 2026-01-01.
_TIME = (2026, 1, 1, 0, 0, 0)
_EPOCH = 1767225600
_NOTICE = """\
This is a STAND-IN, not {product}.

It speaks as much of OMERO's protocol as the BioImage Cloud sandbox needs, with omero-py and Ice for Python,
and has none of the code of OMERO.server or of Ice's programs. It keeps no images. It exists so that the
platform can be tried and tested on machines that cannot download {product}. Never put data into it that you
want to keep.
"""


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive: its file, and the SHA-256 of that in hexadecimal digits."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Archives:
    """What a host installs: OMERO.server, and Ice for it."""

    server: Archive
    ice: Archive


def build(destination: Path) -> Archives:
    """Build both archives in a folder, replacing those of the same names at once."""
    destination.mkdir(parents=True, exist_ok=True)
    return Archives(
        server=_put(destination / SERVER_ARCHIVE, _zip(server_files(), SERVER_FOLDER)),
        ice=_put(destination / ICE_ARCHIVE, _tar(ice_files(), ICE_FOLDER)),
    )


def server_files() -> dict[str, bytes]:
    """Return what is in OMERO.server's folder, by path."""
    modules = {
        f"lib/python/{_MODULE}/{path.name}": path.read_bytes()
        for path in _SOURCE.glob("*.py")
        if path.name not in _LEFT_OUT
    }
    return {"NOTICE": _notice("OMERO.server"), **dict(_tree(_SOURCE / "files/server")), **modules}


def ice_files() -> dict[str, bytes]:
    """Return what is in Ice's folder, by path; with a `java`, which such a host has from nowhere else."""
    libraries = {"lib64/README": b"STAND-IN for Ice: no library is needed.\n"}
    return {"NOTICE": _notice("Ice"), **dict(_tree(_SOURCE / "files/ice")), **libraries}


def _notice(product: str) -> bytes:
    return _NOTICE.format(product=product).encode()


def _tree(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _mode(path: str) -> int:
    return 0o755 if path.startswith("bin/") else 0o644


def _zip(files: Mapping[str, bytes], folder: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(f"{folder}/{path}", _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (0o100000 | _mode(path)) << 16
            archive.writestr(entry, files[path])
    return buffer.getvalue()


def _tar(files: Mapping[str, bytes], folder: str) -> bytes:
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=_EPOCH) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path in sorted(files):
            entry = tarfile.TarInfo(f"{folder}/{path}")
            entry.size, entry.mode, entry.mtime = len(files[path]), _mode(path), _EPOCH
            archive.addfile(entry, io.BytesIO(files[path]))
    return buffer.getvalue()


def _put(path: Path, content: bytes) -> Archive:
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.replace(path)
    return Archive(path, hashlib.sha256(content).hexdigest())


def main() -> None:
    """Build the archives into the directory that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", type=Path)
    archives = build(parser.parse_args().destination)
    for archive in (archives.server, archives.ice):
        print(archive.sha256, archive.path)


if __name__ == "__main__":
    main()
