"""Runs the stand-in in a thread of this process, for tests."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn

from .main import configured
from .settings import load

_START_SECONDS = 60.0


@contextlib.contextmanager
def running(config: Path, overrides: Sequence[str] = ()) -> Iterator[str]:
    """Run a server with a configuration file on a free port of the loopback address; give its address.

    Raises SettingsError and ProvisioningError, with which a server does not start.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    with contextlib.closing(listener):
        made = configured(load(config, overrides))
        server = uvicorn.Server(made)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True, name="grafana")
        thread.start()
        try:
            until = time.monotonic() + _START_SECONDS
            while not server.started and time.monotonic() < until:
                time.sleep(0.02)
            yield f"{'https' if made.ssl else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=_START_SECONDS)
