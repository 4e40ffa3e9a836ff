"""Run the server: `python -m irods_webdav CONFIG`."""

import argparse
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from cheroot.wsgi import Server
from wsgidav.dav_error import DAVError

from irods_webdav.application import Application
from irods_webdav.config import Config, ConfigError, load
from irods_webdav.sessions import Sessions

BAD_INPUT = 2

SHUTDOWN_SECONDS = 30
"""How long transfers in flight may go on when the service is stopped."""


class _WithoutTraceback(logging.Filter):
    """An upload that the zone refuses, or that its client breaks off, is worth a line and not forty."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say the reason in place of where it came up."""
        if record.exc_info and isinstance(record.exc_info[1], DAVError):
            record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]}", ()
            record.exc_info = None
        return True


def serve(config: Config) -> None:
    """Serve until the process is told to stop. Raises OSError when it cannot listen or read the CA file."""
    sessions = Sessions(config)
    server = Server(
        (config.listen_address, config.listen_port),
        Application(config, sessions),
        numthreads=config.threads,
        max=config.threads,
        server_name="irods-webdav",
        request_queue_size=config.threads * 4,
        timeout=config.timeout_seconds,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    # Else cheroot reads the rest of a refused body into memory at once, to use the connection again.
    server.keep_alive_conn_limit = 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.prepare()
        _tell_systemd("READY=1")
        server.serve()
    except KeyboardInterrupt:
        _tell_systemd("STOPPING=1")
    finally:
        server.stop()
        sessions.close()


def _tell_systemd(state: str) -> None:
    """Say how the service is, where systemd asked for it (sd_notify(3))."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.connect("\0" + address[1:] if address.startswith("@") else address)
            notify.sendall(state.encode())


def main() -> int:
    """Read the configuration and serve; exit code 2 for a configuration that cannot be used."""
    parser = argparse.ArgumentParser(prog="irods_webdav", description="WebDAV server for an iRODS zone")
    parser.add_argument("--check", action="store_true", help="only read the configuration")
    parser.add_argument("config", type=Path, help="JSON file")
    arguments = parser.parse_args()
    # The client library logs a network error before it raises it; here it becomes an answer.
    logging.getLogger("irods").setLevel(logging.CRITICAL + 1)
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("wsgidav.request_server").addFilter(_WithoutTraceback())
    try:
        config = load(arguments.config)
        if not arguments.check:
            serve(config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        print(f"{error.filename or config.listen_address}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
