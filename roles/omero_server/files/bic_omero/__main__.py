"""The commands. Secrets come on standard input or from files, and never in arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import database, login, stores
from .errors import ToolError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. What went wrong is one line on standard error."""
    parser = argparse.ArgumentParser(prog="bic_omero", description=__doc__)
    commands = parser.add_subparsers(required=True)

    filled = commands.add_parser("database", help="fill the empty database, or see whether it is filled")
    filled.add_argument("--check", action="store_true", help="only say whether it is filled")
    filled.set_defaults(run=lambda options: database.run(sys.stdin.read(), check=options.check))

    key_stores = commands.add_parser("stores", help="write the stores that the server reads")
    key_stores.add_argument("--certificate", type=Path, required=True)
    key_stores.add_argument("--key", type=Path, required=True)
    key_stores.add_argument("--authorities", type=Path, help="whom the server trusts at the LDAP server")
    key_stores.add_argument("folder", type=Path)
    key_stores.set_defaults(
        run=lambda options: stores.run(options.certificate, options.key, options.authorities, options.folder)
    )

    session = commands.add_parser("login", help="log in over TLS, with the password on standard input")
    session.add_argument("--host", required=True)
    session.add_argument("--port", type=int, required=True)
    session.add_argument("--user", required=True)
    session.add_argument("--authorities", type=Path, required=True)
    session.set_defaults(
        run=lambda options: login.run(
            login.Server(options.host, options.port, options.authorities),
            options.user,
            sys.stdin.readline().rstrip("\n"),
        )
    )

    options = parser.parse_args(argv)
    try:
        print(options.run(options))
    except ToolError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
