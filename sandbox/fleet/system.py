"""Running this machine's own commands, and writing files whole or not at all."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox.fleet.spec import SandboxError


def run(command: Sequence[str | Path], *, stdin: str | None = None, timeout: float = 600) -> str:
    """Run a command and return its standard output.

    Raises `SandboxError` with the command's own last words when it fails or takes more than `timeout`
    seconds.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError:
        raise SandboxError(
            f"{words[0]}: command not found; `bic sandbox check` says what to install"
        ) from None
    except subprocess.TimeoutExpired:
        raise SandboxError(f"{' '.join(words)}: no end after {timeout:.0f} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or "it said nothing"
        raise SandboxError(f"{' '.join(words)}: exit code {done.returncode}: {said}")
    return done.stdout


def succeeds(command: Sequence[str | Path]) -> bool:
    """Tell whether a command that only asks a question answers with exit code 0."""
    return (
        subprocess.run(
            [str(word) for word in command], capture_output=True, timeout=60, check=False
        ).returncode
        == 0
    )


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace `path` by a file with this text and mode: readers see the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
    temporary.replace(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel frees it when the process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
