"""Runs of `bic` as processes of their own, without the price of starting Python for each."""

import contextlib
import importlib
import os
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

# What the commands import when they run.
IMPORTS = (
    "controlplane.model",
    "controlplane.reconcile.run",
    "controlplane.store",
    "controlplane.systems.irods.system",
    "rich.console",
    "rich.progress",
    "rich.table",
)


class Forker:
    """A process that has imported the control plane and forks a child for each run.

    Make it while this process has only one thread: a fork copies no other.
    """

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        self._pid = os.fork()
        if self._pid == 0:
            self._pipe.close()
            _serve(theirs)
        theirs.close()

    def start(self, arguments: list[str], environment: Mapping[str, str], output: Path) -> int:
        """Start `bic` with these arguments and no input; its output goes to a file. Return its process id."""
        self._pipe.send((arguments, dict(environment), str(output)))
        return int(self._pipe.recv())

    def wait(self, seconds: float) -> int:
        """The exit code of what was started, negative for a signal. Raises TimeoutError."""
        if not self._pipe.poll(seconds):
            raise TimeoutError(f"bic did not end within {seconds:g} s")
        return int(self._pipe.recv())

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        os.waitpid(self._pid, 0)


def _serve(pipe: Connection) -> None:
    for name in IMPORTS:
        importlib.import_module(name)
    with contextlib.suppress(EOFError):
        while True:
            arguments, environment, output = pipe.recv()
            child = os.fork()
            if child == 0:
                pipe.close()
                _run(arguments, environment, output)
            pipe.send(child)
            _, status = os.waitpid(child, 0)
            pipe.send(os.waitstatus_to_exitcode(status))
    os._exit(0)


def _run(arguments: list[str], environment: dict[str, str], output: str) -> None:
    from controlplane.cli.main import main

    code = 70
    try:
        os.environ.update(environment)
        sys.argv = ["bic", *arguments]
        null = os.open(os.devnull, os.O_RDONLY)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for descriptor, number in ((null, 0), (file, 1), (file, 2)):
            os.dup2(descriptor, number)
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
