"""Builds the stand-in's Debian packages, which have upstream's names, version and paths.

The same source gives the same bytes. Everything about the packages says that they are a stand-in.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from .release import CATALOGUE_SCHEMA, VERSION

#: Versions of iRODS that are packaged, with the version of the catalogue's tables that each has.
RELEASES = {(5, 0, 1): CATALOGUE_SCHEMA - 1, VERSION: CATALOGUE_SCHEMA}
MAINTAINER = "BioImage Cloud sandbox <root@localhost>"
HOMEPAGE = "https://irods.org"

_SOURCE = Path(__file__).parent
_LIBRARY = "usr/lib/irods-standin"
_MODULE = "irods_standin"
# What only a clone needs.
_LEFT_OUT = {"launcher.py", "package.py"}
# The time that all files have: 2026-01-01.
_EPOCH = "1767225600"

_NOTICE = """\
This is a STAND-IN, not iRODS.

It speaks the iRODS 5.0.2 protocol to clients as far as the BioImage Cloud sandbox needs, keeps its
catalogue in one SQLite file, and has none of iRODS's code. It exists so that the platform can be tried and
tested on machines that cannot download iRODS. Never put data into it that you want to keep. The real packages
come from HOMEPAGE.
"""

_COMMAND = """\
#!/usr/bin/python3
# STAND-IN for iRODS.
import sys

sys.path.insert(0, "/{library}")
from {module}.{name} import main

sys.exit(main())
"""

_POSTINST = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    mkdir -p /run/irods /etc/irods
    echo "irods-server: this is the STAND-IN of the BioImage Cloud sandbox, not iRODS" >&2
fi
"""

_PRERM = """\
#!/bin/sh
set -e
find /usr/lib/irods-standin -name __pycache__ -type d -exec rm -rf {} +
"""


@dataclass(frozen=True, slots=True)
class Package:
    """One Debian package."""

    name: str
    summary: str
    depends: str
    version: str
    files: dict[str, str] = field(default_factory=dict)
    executables: frozenset[str] = frozenset()
    scripts: dict[str, str] = field(default_factory=dict)

    @property
    def control(self) -> str:
        """The package's control file."""
        return (
            f"Package: {self.name}\nVersion: {self.version}\nArchitecture: all\n"
            "Section: misc\nPriority: optional\n"
            f"Maintainer: {MAINTAINER}\nHomepage: {HOMEPAGE}\nDepends: {self.depends}\n"
            f"Description: STAND-IN, not iRODS: {self.summary}\n"
            " This package is NOT iRODS. It is a small server that speaks the iRODS protocol to clients,\n"
            " for the sandbox of BioImage Cloud on machines that cannot download iRODS.\n"
            " .\n"
            " Never put data into it that you want to keep.\n"
        )


def packages(release: tuple[int, ...], catalogue_schema: int) -> list[Package]:
    """Return the packages of a release with their contents."""
    number = ".".join(map(str, release))
    version = f"{number}-0~bookworm"
    modules = {
        f"{_LIBRARY}/{_MODULE}/{path.name}": path.read_text()
        for path in sorted(_SOURCE.glob("*.py"))
        if path.name not in _LEFT_OUT
    }
    modules[f"{_LIBRARY}/{_MODULE}/release.py"] = (
        f"VERSION = {release}\nCATALOGUE_SCHEMA = {catalogue_schema}\n"
    )
    templates = {
        f"var/lib/irods/packaging/{path.name}": path.read_text()
        for path in sorted((_SOURCE / "files").glob("*.template"))
    }
    daemon, setup = "usr/sbin/irodsServer", "var/lib/irods/scripts/setup_irods.py"
    upgrade = "var/lib/irods/scripts/upgrade_irods.py"
    # Upstream's is set-uid root, which a script cannot be.
    pam = "usr/sbin/irodsPamAuthCheck"
    commands = {
        path: _COMMAND.format(library=_LIBRARY, module=_MODULE, name=name)
        for path, name in ((daemon, "daemon"), (setup, "setup"), (upgrade, "upgrade"), (pam, "pam_check"))
    }
    shipped = {
        "schema_name": "version",
        "schema_version": "v5",
        "irods_version": number,
        "catalog_schema_version": catalogue_schema,
        "commit_id": "0" * 40,
    }
    schema = (_SOURCE / "files" / "server_config.schema.json").read_text()
    iadmin = {"usr/bin/iadmin": _COMMAND.format(library=_LIBRARY, module=_MODULE, name="iadmin")}
    return [
        Package("irods-runtime", "shared files of the server", "python3 (>= 3.11)", version),
        Package(
            "irods-server",
            "server",
            f"irods-runtime (= {version}), python3 (>= 3.11), python3-jsonschema, passwd",
            version,
            modules
            | templates
            | commands
            | {
                "var/lib/irods/configuration_schemas/v5/server_config.json": schema,
                "var/lib/irods/version.json.dist": json.dumps(shipped, indent=4) + "\n",
            },
            frozenset(commands),
            {"postinst": _POSTINST, "prerm": _PRERM},
        ),
        Package(
            "irods-database-plugin-postgres",
            "watch of the catalog database",
            f"irods-server (= {version}), python3-pyodbc, odbc-postgresql, unixodbc",
            version,
        ),
        Package(
            "irods-icommands",
            "one command line client",
            # It has its code from the server's package.
            f"irods-server (= {version}), python3 (>= 3.11)",
            version,
            iadmin,
            frozenset(iadmin),
        ),
    ]


def _write(path: Path, content: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)


def _build(package: Package, destination: Path) -> Path:
    """Build one package in the destination, replacing one of the same name at once."""
    target = destination / f"{package.name}_{package.version}_all.deb"
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        for name, content in package.files.items():
            _write(tree / name, content, 0o755 if name in package.executables else 0o644)
        _write(tree / "usr/share/doc" / package.name / "README", _NOTICE.replace("HOMEPAGE", HOMEPAGE), 0o644)
        _write(tree / "DEBIAN/control", package.control, 0o644)
        for name, content in package.scripts.items():
            _write(tree / "DEBIAN" / name, content, 0o755)
        for directory in [tree, *(path for path in tree.rglob("*") if path.is_dir())]:
            directory.chmod(0o755)
        built = Path(scratch) / "package.deb"
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", str(tree), str(built)],
            check=True,
            capture_output=True,
            env=os.environ | {"SOURCE_DATE_EPOCH": _EPOCH},
        )
        temporary = target.with_suffix(".new")
        shutil.copyfile(built, temporary)
        temporary.replace(target)
    return target


def build(destination: Path) -> list[Path]:
    """Build the packages of all releases into a directory and return their paths. Needs `dpkg-deb`."""
    destination.mkdir(parents=True, exist_ok=True)
    return [
        _build(package, destination)
        for release, catalogue_schema in RELEASES.items()
        for package in packages(release, catalogue_schema)
    ]


def main() -> None:
    """Build the packages into the directory that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", type=Path)
    for path in build(parser.parse_args().destination):
        print(path)


if __name__ == "__main__":
    main()
