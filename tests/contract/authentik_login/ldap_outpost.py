"""The LDAP outpost as a process of its own, against a running stand-in."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

READY_SECONDS = 120.0


@dataclass(frozen=True)
class Outpost:
    """Where it listens."""

    ldap_port: int
    ldaps_port: int
    metrics_url: str


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_outpost(url: str, token: str, directory: Path) -> Iterator[Outpost]:
    """Run it until it has read its providers, and end it afterwards."""
    ports = [_free_port() for _ in range(3)]
    outpost = Outpost(ports[0], ports[1], f"http://127.0.0.1:{ports[2]}")
    token_file = directory / "token"
    token_file.write_text(token)
    environment = {
        **os.environ,
        "AUTHENTIK_HOST": url,
        "AUTHENTIK_TOKEN": f"file://{token_file}",
        "AUTHENTIK_INSECURE": "false",
        "AUTHENTIK_LISTEN__LDAP": f"127.0.0.1:{ports[0]}",
        "AUTHENTIK_LISTEN__LDAPS": f"127.0.0.1:{ports[1]}",
        "AUTHENTIK_LISTEN__METRICS": f"127.0.0.1:{ports[2]}",
    }
    log = directory / "outpost.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.standins.authentik.ldap"],
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        _wait(process, outpost, log)
        yield outpost
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait(process: subprocess.Popen[bytes], outpost: Outpost, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{outpost.metrics_url}/outpost.goauthentik.io/ping").status_code == 204:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text())
