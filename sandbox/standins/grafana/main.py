"""The command `grafana`: the server, and what an operator calls by hand."""

import argparse
import logging
import os
import ssl
import sys
from pathlib import Path

import uvicorn

from . import server
from .accounts import Accounts
from .release import VERSION
from .settings import Settings, SettingsError, load
from .sources import ProvisioningError

_LOG = logging.getLogger("grafana")


def main() -> int:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="grafana", description=f"Grafana {VERSION} (STAND-IN)")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("server", help="serve pages, API and metrics")
    serving.add_argument("--pidfile", type=Path)
    serving.add_argument("--packaging", default="deb")
    serving.add_argument("overrides", nargs="*", metavar="cfg:default.SECTION.KEY=VALUE")
    cli = commands.add_parser("cli", help="administer a server that is there")
    cli.add_argument("--configOverrides", dest="overrides", type=str.split, default=[])
    admin = cli.add_subparsers(dest="group", required=True).add_parser("admin")
    reset = admin.add_subparsers(dest="action", required=True).add_parser("reset-admin-password")
    reset.add_argument("--password-from-stdin", action="store_true", required=True)
    for each in (serving, cli):
        each.add_argument("--homepath", type=Path, default=Path("/usr/share/grafana"))
        each.add_argument("--config", type=Path, default=Path("/etc/grafana/grafana.ini"))
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, format="level=%(levelname)s logger=%(name)s msg=%(message)s", stream=sys.stderr
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = load(arguments.config, arguments.overrides)
        if arguments.command == "cli":
            return reset_password(settings)
        return serve(settings, arguments.pidfile)
    except (SettingsError, ProvisioningError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def serve(settings: Settings, pidfile: Path | None) -> int:
    """Serve until stopped."""
    config = configured(settings)
    if pidfile:
        pidfile.write_text(f"{os.getpid()}\n")
    _LOG.info("STAND-IN for Grafana %s on port %d", VERSION, config.port)
    uvicorn.Server(config).run()
    return 0


def configured(settings: Settings) -> uvicorn.Config:
    """Return how uvicorn serves these settings."""
    tls = settings.tls
    config = uvicorn.Config(
        server.create(server.open_all(settings)),
        host=settings.text("server", "http_addr") or "0.0.0.0",  # noqa: S104 - as upstream: all interfaces
        port=settings.number("server", "http_port"),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        **({"ssl_certfile": str(tls[0]), "ssl_keyfile": str(tls[1])} if tls else {}),  # type: ignore[arg-type]
    )
    config.load()
    if config.ssl:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return config


def reset_password(settings: Settings) -> int:
    """Give the administrator the password on standard input."""
    password = sys.stdin.readline().rstrip("\n")
    if not password:
        print("Error: the new password is expected on standard input", file=sys.stderr)
        return 1
    Accounts(settings.database).reset(settings.text("security", "admin_user"), password)
    print("Admin password changed successfully")
    return 0


if __name__ == "__main__":
    sys.exit(main())
