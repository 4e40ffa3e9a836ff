"""The stand-in of Ice's `icegridnode`: runs the server of an OMERO.server folder.

`omero admin start` calls it with the descriptors that it wrote. It answers at the registry's address for
`omero admin status`, `stop` and `diagnostics`, and starts its server again when that has died, as upstream's
node does with `activation="always"`.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

#: The node of a server on one host, and its one server.
NODE = "master"
SERVER = "Blitz-0"
APPLICATION = "OMERO"
#: Seconds from a server's death to its next start, and for its orderly end.
RESTART_SECONDS = 2
STOP_SECONDS = 30
#: Seconds that the node waits for its server before it says that it runs itself; `omero admin start`, which
#: looks every ten seconds, then finds all of it.
READY_SECONDS = 8.0
#: Debian's own Python modules, which the virtual environment of OMERO.server does not look for.
DEBIAN_MODULES = "/usr/lib/python3/dist-packages"
_RUN_SERVER = (
    "import runpy, sys; "
    f"sys.path[1:1] = [sys.argv.pop(1)]; sys.path.append({DEBIAN_MODULES!r}); "
    "runpy.run_module('omero_standin', run_name='__main__')"
)


def settings_of(files: Sequence[Path]) -> dict[str, str]:
    """Return what Ice's configuration files say; of a key that stands twice, the last counts."""
    settings: dict[str, str] = {}
    for file in files:
        for line in file.read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals and not key.lstrip().startswith("#"):
                settings[key.strip()] = value.strip()
    return settings


class Supervisor:
    """Keeps one server running until it is told to stop."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        """Take the command of the server and the folder in which it runs."""
        self._command = list(command)
        self._folder = folder
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """The process of the server, 0 while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def run(self) -> None:
        """Run the server, again and again; returns after `stop`, when it has ended."""
        while True:
            with self._lock:
                if self._stopping.is_set():
                    return
                self._process = subprocess.Popen(self._command, cwd=self._folder)
            status = self._process.wait()
            if self._stopping.wait(RESTART_SECONDS):
                return
            print(f"{SERVER} ended with {status}: it is started again", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """End the server, for good. May be called again."""
        with self._lock:
            self._stopping.set()
            process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def main(server: Path, argv: Sequence[str]) -> int:
    """Run the node of the OMERO.server in the folder `server`; returns an exit code."""
    parser = argparse.ArgumentParser(prog="icegridnode (STAND-IN)", allow_abbrev=False)
    parser.add_argument("--daemon", action="store_true")
    parser.add_argument("--nochdir", action="store_true")
    parser.add_argument("--pidfile", type=Path)
    parser.add_argument("--Ice.Config", dest="config", required=True)
    parser.add_argument("--deploy", type=Path, required=True)
    parser.add_argument("targets", nargs="*")
    options = parser.parse_args(argv)
    settings = settings_of([Path(name) for name in options.config.split(",")])
    os.chdir(server)
    if not options.daemon:
        return _run(server, settings, lambda: None)
    return _daemon(server, settings, options.pidfile)


def _daemon(server: Path, settings: dict[str, str], pid_file: Path | None) -> int:
    """Run the node in the background; returns when it answers, and 1 when it does not."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        answers = os.read(reading, 1)
        if not answers:
            print(f"icegridnode (STAND-IN): failed; see {server / settings['Ice.StdErr']}", file=sys.stderr)
            return 1
        return 0
    os.close(reading)
    os.setsid()
    _redirect(settings)

    def ready() -> None:
        if pid_file is not None:
            pid_file.write_text(f"{os.getpid()}\n")
        os.write(writing, b".")
        os.close(writing)

    status = 1
    try:
        status = _run(server, settings, ready)
    finally:
        if pid_file is not None:
            pid_file.unlink(missing_ok=True)
        # Not by way of the starting program's own exits.
        os._exit(status)


def _redirect(settings: dict[str, str]) -> None:
    for stream, name in ((0, ""), (1, "Ice.StdOut"), (2, "Ice.StdErr")):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND if name else os.O_RDONLY
        target = os.open(settings[name] if name else os.devnull, flags, 0o640)
        os.dup2(target, stream)
        os.close(target)


def _run(server: Path, settings: dict[str, str], ready: Callable[[], None]) -> int:
    from .icegridnode_registry import Registry

    command = [sys.executable, "-c", _RUN_SERVER, str(server / "lib/python"), "--omerodir", str(server)]
    supervisor = Supervisor(command, server)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Registry(settings, lambda: supervisor.pid, server, stop.set) as registry:
        runner = threading.Thread(target=supervisor.run)
        runner.start()
        until = time.monotonic() + READY_SECONDS
        while not registry.accepts() and time.monotonic() < until and not stop.wait(0.2):
            pass
        ready()
        stop.wait()
        supervisor.stop()
        runner.join()
    return 0
