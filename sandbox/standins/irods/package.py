"""Builds the stand-in's Debian packages, which have upstream's names, version and paths.

The same source gives the same bytes. Everything about the packages says that they are a stand-in.
"""

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from sandbox.standins import debian
from sandbox.standins.debian import Package

from .release import CATALOGUE_SCHEMA, VERSION

#: Versions of iRODS that are packaged, with the version of the catalogue's tables that each has.
RELEASES = {(5, 0, 1): CATALOGUE_SCHEMA - 1, VERSION: CATALOGUE_SCHEMA}
HOMEPAGE = "https://irods.org"

_SOURCE = Path(__file__).parent
_LIBRARY = "usr/lib/irods-standin"
_MODULE = "irods_standin"
# What only a clone needs.
_LEFT_OUT = {"launcher.py", "package.py"}

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


_ABOUT = """\
This package is NOT iRODS. It is a small server that speaks the iRODS protocol to clients,
for the sandbox of BioImage Cloud on machines that cannot download iRODS."""


def _package(  # noqa: PLR0917 - a table reads well by position
    name: str,
    summary: str,
    depends: str,
    version: str,
    files: Mapping[str, str] | None = None,
    executables: Iterable[str] = (),
    scripts: Mapping[str, str] | None = None,
) -> Package:
    return Package(
        name=name,
        product="iRODS",
        homepage=HOMEPAGE,
        summary=summary,
        about=_ABOUT,
        depends=depends,
        version=version,
        notice=_NOTICE.replace("HOMEPAGE", HOMEPAGE),
        files=files or {},
        executables=frozenset(executables),
        scripts=scripts or {},
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
        _package("irods-runtime", "shared files of the server", "python3 (>= 3.11)", version),
        _package(
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
            commands,
            {"postinst": _POSTINST, "prerm": _PRERM},
        ),
        _package(
            "irods-database-plugin-postgres",
            "watch of the catalog database",
            f"irods-server (= {version}), python3-pyodbc, odbc-postgresql, unixodbc",
            version,
        ),
        _package(
            "irods-icommands",
            "one command line client",
            # It has its code from the server's package.
            f"irods-server (= {version}), python3 (>= 3.11)",
            version,
            iadmin,
            iadmin,
        ),
        _package(
            "irods-rule-engine-plugin-python",
            "rule engine for Python, whose code is in the server's package",
            f"irods-runtime (= {version}), irods-server (= {version}), python3 (>= 3.11)",
            # A plugin has a version of its own, and that of the servers after the plus.
            f"5.0.1-0+{number}~bookworm",
            {"usr/lib/irods/plugins/rule_engines/libirods_rule_engine_plugin-python.so": _NOTICE},
        ),
    ]


def build(destination: Path) -> list[Path]:
    """Build the packages of all releases into a directory and return their paths. Needs `dpkg-deb`."""
    return [
        debian.build(package, destination)
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
