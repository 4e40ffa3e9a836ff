"""The packaged server as systemd sees it: what it says when it starts, reloads, cannot reload, and stops."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from irods_configuration import configuration

from sandbox.standins.irods.install import Layout

_COMMAND = """
import sys
from pathlib import Path
from sandbox.standins.irods.daemon import main
from sandbox.standins.irods.install import Layout
sys.exit(main(Layout(Path(sys.argv.pop(1)))))
"""


@dataclass
class Daemon:
    """A running server and its conversation with systemd."""

    process: "subprocess.Popen[str]"
    systemd: socket.socket
    port: int
    layout: Layout

    def says(self, seconds: float = 60) -> str:
        """The next message to systemd."""
        self.systemd.settimeout(seconds)
        return self.systemd.recv(4096).decode()

    def silent(self, seconds: float) -> bool:
        """Whether nothing is said for a while."""
        try:
            self.says(seconds)
        except TimeoutError:
            return True
        return False

    def serves(self) -> None:
        """Wait until a connection is served, and so all that were opened before it are."""
        with socket.create_connection(("127.0.0.1", self.port), 60) as connection:
            connection.sendall(b"\x00\x00\x00\x33<MsgHeader_PI><type>HEARTBEAT</type></MsgHeader_PI>")
            assert connection.recv(256) == b"HEARTBEAT"

    def listens(self) -> bool:
        """Whether somebody answers on the port."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


@pytest.fixture
def daemon(layout: Layout, tmp_path: Path) -> Iterator[Daemon]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    layout.server_config.write_text(json.dumps(configuration(zone_port=port)))
    (layout.etc / "core.re").write_text('acPreConnect(*OUT) { *OUT = "CS_NEG_REFUSE"; }\n')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, str(layout.root), "--stdout"],
            env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "PYTHONPATH": os.getcwd()},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Daemon(process, systemd, port, layout)
        finally:
            process.kill()
            process.communicate()


def test_start_reload_and_stop_as_systemd_sees_them(daemon: Daemon) -> None:
    assert daemon.says().startswith("READY=1\n")
    idle = socket.create_connection(("127.0.0.1", daemon.port))
    daemon.serves()
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.says().startswith("RELOADING=1\nMONOTONIC_USEC=")
    # As long as anybody is connected, the reload goes on and nobody else gets in.
    assert daemon.silent(2)
    assert not daemon.listens()
    idle.close()
    assert daemon.says() == "READY=1\nSTATUS=Configuration reloaded"
    assert daemon.listens()

    good = daemon.layout.server_config.read_text()
    daemon.layout.server_config.write_text(good.replace('"zone_port"', '"no_such_key"'))
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.says().startswith("RELOADING=1\n")
    assert daemon.says() == "READY=1\nSTATUS=Reload failed due to invalid configuration"
    assert daemon.listens()

    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.says() == "STOPPING=1"
    assert daemon.process.wait(timeout=60) == 0
    assert not daemon.layout.pid_file.exists()
    assert not daemon.listens()


def test_a_stop_during_a_reload_is_obeyed(daemon: Daemon) -> None:
    assert daemon.says().startswith("READY=1\n")
    with socket.create_connection(("127.0.0.1", daemon.port)):
        daemon.serves()
        daemon.process.send_signal(signal.SIGHUP)
        assert daemon.says().startswith("RELOADING=1\n")
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.says() == "STOPPING=1"
        assert daemon.process.wait(timeout=60) == 0
