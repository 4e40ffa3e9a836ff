"""A local zone in a process of its own, so that a client which is measured does not share its interpreter."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from local_zone import Pki, TlsServer, serving


@contextlib.contextmanager
def server_process(directory: Path, pki: Pki, call_log: Path) -> Iterator[int]:
    """Run a server until the block ends; its port."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = (directory, pki.ca_file, *_files(pki.server), call_log)
    command = [sys.executable, __file__, *map(str, paths)]
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        # It ends when its input does, and so would it if this process were killed.
        process.stdin.close()
        process.stdout.close()
        process.wait(timeout=60)


def _files(server: TlsServer) -> tuple[Path, Path, Path]:
    return server.certificate_chain_file, server.certificate_key_file, server.dh_params_file


def main() -> None:
    """Serve until standard input ends."""
    directory, ca_file, chain, key, parameters, call_log = map(Path, sys.argv[1:])
    pki = Pki(ca_file, TlsServer(chain, key, parameters))
    # Standard output is for the port alone: nobody reads what the server logs there.
    with os.fdopen(os.dup(1), "w") as parent:
        os.dup2(2, 1)
        with serving(directory, pki, call_log=call_log) as server:
            print(server.port, file=parent, flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main()
