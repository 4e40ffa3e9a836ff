"""Runs the server of an OMERO.server folder until it is told to stop: `--omerodir DIR`.

The settings are those of `omero config set`, in `etc/grid/config.xml`; the log is `var/log/Blitz-0.log`.
"""

import argparse
import logging
import logging.handlers
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from omero.config import ConfigXml

from .database import root_hash
from .release import VERSION
from .server import Server
from .settings import SettingsError, database, read

_LOG = logging.getLogger("ome.services.blitz.Entry")
_LOG_BYTES = 10_000_000
_OLD_LOGS = 3


def main() -> int:
    """Serve; return the exit code."""
    parser = argparse.ArgumentParser(prog="omero_standin", description=f"OMERO.server {VERSION} (STAND-IN)")
    parser.add_argument("--omerodir", type=Path, required=True)
    parser.add_argument("--tcp-host", default="127.0.0.1", help="where to serve without TLS as well")
    arguments = parser.parse_args()
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    _log_to(arguments.omerodir / "var/log/Blitz-0.log")
    try:
        settings = read(_configured(arguments.omerodir / "etc/grid/config.xml"), tcp_host=arguments.tcp_host)
        server = Server(settings, root_hash(database(settings)))
    except (SettingsError, OSError) as error:
        _LOG.error("%s", error)
        print(f"Error: {error}", file=sys.stderr)
        return 1
    _LOG.info("OMERO.blitz (STAND-IN) now accepting connections on port %d", server.port)
    stopped.wait()
    server.stop()
    _LOG.info("OMERO.blitz stopped")
    return 0


def _configured(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise SettingsError(f"{path} is not there: the server has not been configured with `omero config`")
    config = ConfigXml(str(path), exclusive=False, read_only=True)
    try:
        return {str(name): str(value) for name, value in config.as_map().items()}
    finally:
        config.close()


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=_OLD_LOGS)
    logging.basicConfig(
        handlers=[handler], level=logging.INFO, format="%(asctime)s %(levelname)-5s [%(name)s] %(message)s"
    )


if __name__ == "__main__":
    sys.exit(main())
