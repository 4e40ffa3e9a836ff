"""The command `ak`: server, worker, and what an operator calls by hand."""

import argparse
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path

import httpx
import uvicorn
from yaml import YAMLError

from . import defaults, metrics, site, tasks
from .blueprints import importer
from .release import VERSION
from .settings import Settings, SettingsError, from_environment
from .store import Store
from .worker import Worker

_LOG = logging.getLogger("authentik")
_HEALTH_SECONDS = 10.0


def main() -> int:
    """Run the command that the arguments name, with the settings of the environment."""
    parser = argparse.ArgumentParser(prog="ak", description=f"authentik {VERSION} (STAND-IN)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("server", help="serve the API and the login")
    commands.add_parser("worker", help="apply blueprints, send notifications, clean up")
    health = commands.add_parser("healthcheck", help="exit with 0 if the server, or a worker, is well")
    health.add_argument("what", nargs="?", choices=("server", "worker"), default="server")
    blueprint = commands.add_parser("apply_blueprint", help="apply blueprint files now")
    blueprint.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = from_environment(os.environ)
    except SettingsError as error:
        print(f"ak: {error}", file=sys.stderr)
        return 2
    if arguments.command == "server":
        return serve(settings)
    if arguments.command == "worker":
        return work(settings)
    if arguments.command == "healthcheck":
        return check_health(settings, arguments.what)
    return apply_blueprints(settings, arguments.files)


def prepare(settings: Settings) -> Store:
    """Wait for the database that the server is given, and open its own."""
    wait_for_postgresql(settings)
    store = Store(settings.database)
    defaults.prepare(store, settings)
    return store


def wait_for_postgresql(settings: Settings) -> None:
    """Wait, as upstream does, until the PostgreSQL that the environment names takes connections.

    The stand-in keeps nothing there, but a server whose database is away must not be up.
    """
    named = dict(settings.postgresql)
    host = named.get("host", "")
    if not host:
        return
    port = int(named.get("port") or 5432)
    told = False
    while not _connects(host, port):
        if not told:
            _LOG.warning("waiting for PostgreSQL at %s port %d", host, port)
            told = True
        time.sleep(1)


def _connects(host: str, port: int) -> bool:
    try:
        if host.startswith("/"):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(f"{host}/.s.PGSQL.{port}")
        else:
            socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def serve(settings: Settings) -> int:
    """Serve until stopped."""
    store = prepare(settings)
    metrics.serve(settings, store)
    _LOG.info("authentik %s (STAND-IN) listens on %s port %d", VERSION, *settings.http)
    host, port = settings.http
    uvicorn.run(
        site.create(settings, store),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=10,
    )
    return 0


def work(settings: Settings) -> int:
    """Do tasks until stopped."""
    worker = Worker(settings, prepare(settings))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: worker.stop())
    _LOG.info("authentik %s (STAND-IN) worker, blueprints in %s", VERSION, settings.blueprints)
    worker.run()
    return 0


def check_health(settings: Settings, what: str) -> int:
    """Return 0 if the server answers, or a worker has lately been seen."""
    if what == "worker":
        with Store(settings.database).read() as tx:
            living = tasks.living_workers(tx)
        if not living:
            print("ak: no worker was seen within the last half minute", file=sys.stderr)
        return 0 if living else 1
    host, port = settings.http
    address = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    try:
        answer = httpx.get(f"http://{address}:{port}/-/health/ready/", timeout=_HEALTH_SECONDS)
    except httpx.HTTPError as error:
        print(f"ak: the server does not answer: {error}", file=sys.stderr)
        return 1
    if not answer.is_success:
        print(f"ak: the server is not ready: {answer.status_code}", file=sys.stderr)
    return 0 if answer.is_success else 1


def apply_blueprints(settings: Settings, files: list[str]) -> int:
    """Apply files, relative to the blueprints' folder, one after the other; stop at the first that fails."""
    store = prepare(settings)
    for name in files:
        path = Path(name) if Path(name).is_absolute() else settings.blueprints / name
        try:
            content = path.read_text()
        except OSError as error:
            print(f"ak: {path}: {error.strerror}", file=sys.stderr)
            return 2
        try:
            with store.write() as tx:
                problems = importer.problems(tx, content, {}) or importer.apply(tx, content, {})
        except YAMLError as error:
            problems = [str(error)]
        if problems:
            print(f"ak: {path}: {'; '.join(problems)}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
