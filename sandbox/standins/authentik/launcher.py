"""Runs the stand-in on a loopback port, in this process or as a command: for tests and development.

The packaged server is `ak server` with `ak worker`; this one does the work of both.
"""

import argparse
import contextlib
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from . import defaults, site
from .settings import Settings
from .store import Store
from .worker import Worker

_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs: where, and the administrator's token."""

    url: str
    token: str
    settings: Settings
    store: Store
    worker: Worker


def settings_for(directory: Path, token: str, **more: object) -> Settings:
    """Return the settings of a throw-away server; its directory may be used again."""
    values: dict[str, object] = {
        "data": directory,
        "secret_key": "not-secret-" * 5,
        "blueprints": directory / "blueprints",
        "bootstrap_token": token,
        "bootstrap_password": token,
        "bootstrap_email": "admin@example.test",
        "avatars": "initials",
    }
    return Settings(**(values | more))  # type: ignore[arg-type]


@contextlib.contextmanager
def running(
    directory: Path, *, token: str = "", address: str = "127.0.0.1", port: int = 0, **more: object
) -> Iterator[Running]:
    """Run a server and a worker in threads of this process; further settings may be given by name."""
    token = token or secrets.token_hex(20)
    settings = settings_for(directory, token, **more)
    store = Store(settings.database)
    defaults.prepare(store, settings)
    listener = socket.create_server((address, port))
    config = uvicorn.Config(
        site.create(settings, store), log_level="warning", access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    worker = Worker(settings, store)
    threads = [
        threading.Thread(target=server.run, args=([listener],), daemon=True, name="ak-server"),
        threading.Thread(target=worker.run, daemon=True, name="ak-worker"),
    ]
    for thread in threads:
        thread.start()
    try:
        yield Running(f"http://{address}:{listener.getsockname()[1]}", token, settings, store, worker)
    finally:
        worker.stop()
        server.should_exit = True
        for thread in threads:
            thread.join(timeout=_START_SECONDS)
        store.close_thread()


def main() -> None:
    """Run a server until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="database and blueprints; kept")
    parser.add_argument("--port", type=int, default=9000)
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    token_file = arguments.directory / "token"
    if not token_file.exists():
        token_file.touch(mode=0o600)
        token_file.write_text(secrets.token_hex(20))
    with running(arguments.directory, token=token_file.read_text(), port=arguments.port) as server:
        print(f"akadmin at {server.url}; token in {token_file}", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
