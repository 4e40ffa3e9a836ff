"""Runs of `bic` as processes of their own, without the price of starting Python for each.

A process that has imported the control plane forks a child for each run.
"""

import importlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# What the commands import when they run.
IMPORTS = (
    "alembic.command",
    "controlplane.cli.main",
    "controlplane.cli.plan_text",
    "controlplane.model",
    "controlplane.reconcile.reconcile",
    "controlplane.store",
    "controlplane.systems.irods.system",
    "rich.console",
    "rich.progress",
    "rich.table",
)


class Forker:
    """Starts one run at a time."""

    def __init__(self, patience: Mapping[str, float] | None = None) -> None:
        """Let constants of modules, by their full names, have other values in all runs."""
        self._process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(dict(patience or {}))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, arguments: list[str], environment: Mapping[str, str], output: Path) -> int:
        """Start `bic` with these arguments and no input; its output goes to a file. Its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([arguments, dict(environment), str(output)]) + "\n")
        self._process.stdin.flush()
        return self._number()

    def wait(self, seconds: float) -> int:
        """The exit code of what was started, negative for a signal. Raises TimeoutError."""
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise TimeoutError(f"bic did not end within {seconds:g} s")
        return self._number()

    def _number(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process; a run that is under way goes on."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.wait()


def main() -> None:
    """Fork runs as standard input says, and print their process ids and exit codes."""
    for name in IMPORTS:
        importlib.import_module(name)
    for name, value in json.loads(sys.argv[1]).items():
        module, _, constant = name.rpartition(".")
        if not hasattr(importlib.import_module(module), constant):
            raise AttributeError(name)
        setattr(sys.modules[module], constant, value)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(*json.loads(line))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(arguments: list[str], environment: dict[str, str], output: str) -> None:
    from controlplane.cli.main import main as bic

    code = 70
    try:
        os.environ.update(environment)
        sys.argv = ["bic", *arguments]
        null = os.open(os.devnull, os.O_RDONLY)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for descriptor, number in ((null, 0), (file, 1), (file, 2)):
            os.dup2(descriptor, number)
        try:
            bic()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    # The working directory is in Python's path for `-m` alone.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
