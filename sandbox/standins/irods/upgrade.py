"""`upgrade_irods.py`: brings an installed server that was set up by older packages to its packages' version.

It does what upstream's does, as the service account and with the server stopped: it refuses to go down,
writes the new version down, and on a provider brings the catalogue's tables up. The stand-in's configuration
files have one form.
"""

import argparse
import json
import os
import sqlite3
import sys
import time
from contextlib import closing

from . import database, schema
from .config import ConfigError
from .install import Layout, load_configuration
from .mirror import Mirror
from .release import CATALOGUE_SCHEMA
from .setup import commit


class UpgradeError(Exception):
    """Why the server cannot be upgraded."""


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def upgrade(layout: Layout) -> None:
    """Upgrade the server; one that has the version already stays as it is.

    Raises `UpgradeError`, `DatabaseError`, and `ConfigError` for the installed configuration.
    """
    config = load_configuration(layout)
    shipped = json.loads(layout.shipped_version.read_text())
    present = json.loads(layout.version.read_text())
    if _parts(shipped["irods_version"]) < _parts(present["irods_version"]):
        raise UpgradeError(
            "Downgrade detected. Downgrading is unsupported, please reinstall iRODS version "
            f"{present['irods_version']} or newer."
        )
    if shipped["irods_version"] != present["irods_version"]:
        document = shipped | {
            "installation_time": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "previous_version": {key: value for key, value in present.items() if key != "previous_version"},
        }
        commit(layout.version, json.dumps(document, indent=4) + "\n", 0o644)
    if not config.provider:
        return
    settings = config.database or {}
    with closing(Mirror(layout.catalogue, lambda: database.connect(settings, autocommit=False))) as mirror:
        mirror.settle()
        with closing(sqlite3.connect(layout.catalogue, isolation_level=None)) as catalogue:
            catalogue.execute("begin immediate")
            schema.migrate(catalogue, CATALOGUE_SCHEMA)
            catalogue.execute("commit")
        mirror.copy()


def main(layout: Layout | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="upgrade_irods.py", description="Upgrades the STAND-IN for iRODS.")
    parser.add_argument("-v", "--verbose", action="count", help="accepted; everything is said anyway")
    parser.parse_args()
    if os.geteuid() == 0:
        print("upgrade_irods.py should NOT be run by the root user.\nExiting...", file=sys.stderr)
        return 1
    try:
        upgrade(layout or Layout())
    except (UpgradeError, ConfigError, database.DatabaseError, OSError, sqlite3.Error) as error:
        print(f"Error encountered running upgrade_irods:\n{error}", file=sys.stderr)
        return 1
    return 0
