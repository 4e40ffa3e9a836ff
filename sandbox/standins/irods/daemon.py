"""`/usr/sbin/irodsServer`: the packaged server, with upstream's options, signals and systemd messages."""

import argparse
import contextlib
import fcntl
import os
import signal
import socket
import sqlite3
import sys
import time
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO

from . import database, schema
from .catalogue import Catalogue
from .config import ConfigError, ServerConfig
from .install import Layout, load_configuration
from .log import Log
from .mirror import Mirror
from .release import CATALOGUE_SCHEMA, VERSION
from .server import Server


def notify(*lines: str) -> None:
    """Tell systemd about a change of state, if it started us."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto("\n".join(lines).encode(), "\0" + address[1:] if address.startswith("@") else address)


def _take_pid_file(path: Path) -> IO[str]:
    """Lock and write the PID file; the lock lasts as long as the file object. Raises `ConfigError`."""
    try:
        file = path.open("a+")
    except OSError as error:
        raise ConfigError(f"Could not open PID file {path}: {error.strerror}.") from error
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        text = f"Could not acquire write lock for PID file {path}. Another instance of the server may run."
        raise ConfigError(text) from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def _daemonize() -> None:
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    notify(f"MAINPID={os.getpid()}")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def _all_available(watch: database.Watch, mirror: Mirror) -> None:
    """Raise -806000 while the catalogue cannot be used."""
    watch.available()
    mirror.available()


class Daemon:
    """The main process: waits for its catalogue, serves, and obeys signals."""

    def __init__(self, layout: Layout, config: ServerConfig, log: Log) -> None:
        self._layout = layout
        self._config = config
        self._log = log
        self._signals: list[int] = []
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self._remember)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _asked_to_stop(self) -> bool:
        return any(number != signal.SIGHUP for number in self._signals)

    def _database_changed(self, fault: str | None) -> None:
        if fault is None:
            self._log.write("info", "database", "the catalog database answers")
        else:
            self._log.write("error", "database", f"the catalog database does not answer: {fault}")

    def run(self) -> int:
        """Serve until a signal ends it; return the exit code."""
        config = self._config
        catalogue = None
        watch = None
        mirror = None
        if config.provider:
            settings = config.database or {}
            watch = database.Watch(lambda: database.connect(settings), self._database_changed)
            self._log.write("info", "server", "waiting for the catalog database")
            if not watch.wait(self._asked_to_stop):
                return 0
            watch.start()
            mirror = Mirror(
                config.catalogue,
                lambda: database.connect(settings, autocommit=False),
                lambda text: self._log.write("error", "database", text),
            )
            try:
                self._open_catalogue(mirror)
            except database.DatabaseError as error:
                self._log.write("critical", "server", str(error))
                return 1
            mirror.start()
            catalogue = Catalogue(config.catalogue, partial(_all_available, watch, mirror))
        try:
            server = Server(config, catalogue, self._log, ("0.0.0.0", config.port))  # noqa: S104 - as upstream's
        except OSError as error:
            self._log.write("critical", "server", f"cannot listen on port {config.port}: {error.strerror}")
            return 1
        server.start()
        self._log.write(
            "info", "server", f"STAND-IN for iRODS {'.'.join(map(str, VERSION))} listens on {config.port}"
        )
        notify("READY=1", "STATUS=Stand-in for iRODS, ready")
        self._obey(server)
        notify("STOPPING=1")
        graceful = signal.SIGQUIT in self._signals
        server.stop(server.state.config.grace_seconds if graceful else 0.0)
        if mirror is not None:
            mirror.stop()
        if watch is not None:
            watch.stop()
        self._log.write("info", "server", "Server shutdown complete.")
        return 0

    def _open_catalogue(self, mirror: Mirror) -> None:
        """Make file and database agree. Raises `DatabaseError`, also for an old catalogue."""
        if mirror.settle():
            self._log.write("info", "database", "the catalogue was read from the database, which has another")
        with contextlib.closing(sqlite3.connect(self._config.catalogue)) as connection:
            version = schema.version(connection)
        if version != CATALOGUE_SCHEMA:
            raise database.DatabaseError(
                f"the catalogue has schema {version}, this server needs {CATALOGUE_SCHEMA}: "
                "run upgrade_irods.py"
            )

    def _obey(self, server: Server) -> None:
        while not self._asked_to_stop():
            if signal.SIGHUP in self._signals:
                self._signals.remove(signal.SIGHUP)
                self._reload(server)
            else:
                # A signal ends the sleep early or arrives during the next.
                time.sleep(0.2)

    def _reload(self, server: Server) -> None:
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self._log.write("info", "server", "reload: the configuration is read")
        try:
            config = load_configuration(self._layout)
        except ConfigError as error:
            self._log.write("error", "server", f"Reload failed, the old configuration stays: {error}")
            notify("READY=1", "STATUS=Reload failed due to invalid configuration")
            return
        self._log.write("info", "server", "reload: the port is closed until all clients have left")
        try:
            if not server.reload(config, self._asked_to_stop):
                return
        except OSError as error:
            self._log.write("critical", "server", f"cannot listen again: {error.strerror}")
            self._signals.append(signal.SIGTERM)
            return
        self._log.write("info", "server", "reload: configuration and rule bases were read again")
        notify("READY=1", "STATUS=Configuration reloaded")


def main(layout: Layout | None = None) -> int:
    """Run the command; return its exit code."""
    paths = layout or Layout()
    parser = argparse.ArgumentParser(prog="irodsServer", description="STAND-IN for the iRODS server.")
    parser.add_argument("-d", "--daemonize", action="store_true", help="run in the background")
    parser.add_argument("-p", "--pid-file", type=Path, default=paths.pid_file, help="instead of %(default)s")
    parser.add_argument("--stdout", action="store_true", help="log to standard output instead of syslog")
    parser.add_argument(
        "-t", "--test-mode", action="store_true", help="accepted; also log to standard output"
    )
    parser.add_argument(
        "-c", "--validate-config", action="store_true", help="check the installed configuration"
    )
    parser.add_argument(
        "--version", action="version", version=f"irodsServer v{'.'.join(map(str, VERSION))}-standin"
    )
    options = parser.parse_args()
    try:
        config = load_configuration(paths)
        if options.validate_config:
            return 0
        if options.daemonize:
            _daemonize()
        pid_file = _take_pid_file(options.pid_file)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    with pid_file:
        log = Log(config.zone, syslog=not (options.stdout or options.test_mode))
        exit_code = Daemon(paths, config, log).run()
        options.pid_file.unlink(missing_ok=True)
    return exit_code
