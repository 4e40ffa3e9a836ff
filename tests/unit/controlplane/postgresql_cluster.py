"""A PostgreSQL server for a session of tests: its own cluster, its own account, reached by a socket alone."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

START_SECONDS = 60.0


def binaries() -> Path | None:
    """The folder of the newest server's programs, as Debian installs them, or None."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = [folder for folder in folders if (folder / "initdb").exists()]
    return found[-1] if found else None


@contextmanager
def cluster(programs: Path) -> Iterator[Path]:
    """A running server; gives the folder of its socket. Its administrator is `tester`."""
    # The server refuses to run as root.
    account = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    # A socket's path is at most 107 bytes long, which pytest's folders exceed.
    folder = Path(tempfile.mkdtemp(prefix="bic-postgresql-"))
    if account is not None:
        os.chown(folder, account, -1)
    data = folder / "data"
    try:
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"],
            user=account,
            cwd=folder,
            check=True,
            capture_output=True,
        )
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                # With the tests it ends too, however they end.
                [
                    *("setpriv", "--pdeathsig", "QUIT"),
                    *(programs / "postgres", "-D", data, "-k", folder),
                    *("-c", "listen_addresses=", "-c", "fsync=off"),
                ],
                user=account,
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        try:
            _wait(server, folder)
            yield folder
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(30)
    finally:
        shutil.rmtree(folder)


def _wait(server: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(host=str(folder), user="tester", dbname="postgres").close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()}") from None
            time.sleep(0.1)
        else:
            return
