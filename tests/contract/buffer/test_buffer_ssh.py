"""OpenSSH itself as the control plane starts it, against a server of these tests."""

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
import pytest
from buffer_site import Site
from fake_ssh import PROGRAM

from controlplane.systems.buffer.client import BufferServerError, Client, Endpoint

SSH = shutil.which("ssh")
pytestmark = pytest.mark.skipif(SSH is None, reason="OpenSSH's client is not on this machine")


@dataclass
class SshServer(paramiko.ServerInterface):
    """Lets one key in as `bic`, and gives it the program of the role whatever it asks for."""

    root: Path
    accepted: str
    """The public key, in base64."""
    asked: list[str] = field(default_factory=list)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == "bic" and key.get_base64() == self.accepted
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.asked.append(command.decode())
        threading.Thread(target=self._run, args=(channel,)).start()
        return True

    def _run(self, channel: paramiko.Channel) -> None:
        words = [sys.executable, "-I", str(PROGRAM), "--root", str(self.root)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            assert program.stdin
            assert program.stdout
            for line in channel.makefile("rb"):
                program.stdin.write(line)
                program.stdin.flush()
                channel.sendall(program.stdout.readline())
            program.stdin.close()
            channel.send_exit_status(program.wait())
        channel.close()


@dataclass
class Running:
    """A server that listens."""

    server: SshServer
    host_key: str
    """Its public key as a file of known hosts has it."""
    key: Path


def make_key(file: Path) -> str:
    """A key pair; returns the public key as OpenSSH writes it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(file)], check=True)
    return file.with_suffix(".pub").read_text().strip()


@pytest.fixture
def running(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Running]:
    """An SSH server with a key of its own; `ssh` finds it whatever host it is given."""
    keys = tmp_path / "keys"
    keys.mkdir()
    host_key = make_key(keys / "host")
    state = site.folder / "the state"
    key = state / "secrets/buffer key"
    key.unlink()
    accepted = make_key(key)
    (state / "pki/ssh_known_hosts").write_text(f"nantes-buffer {host_key}\n")
    server = SshServer(site.root, accepted.split()[1])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        words = f"-o 'HostName=127.0.0.1' -p {port}"
        (site.folder / "bin/ssh").write_text(f'#!/bin/sh\nexec {SSH} {words} "$@"\n')
        secret = paramiko.Ed25519Key.from_private_key_file(str(keys / "host"))
        transports: list[paramiko.Transport] = []

        def serve() -> None:
            with suppress(OSError):
                while True:
                    transport = paramiko.Transport(listener.accept()[0])
                    transports.append(transport)
                    transport.add_server_key(secret)
                    with suppress(paramiko.SSHException, EOFError):
                        transport.start_server(server=server, event=threading.Event())

        thread = threading.Thread(target=serve)
        thread.start()
        yield Running(server, host_key, key)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for transport in transports:
            transport.close()


def refusal(server: Endpoint) -> BufferServerError:
    with Client(server) as client, pytest.raises(BufferServerError) as raised:
        client.read()
    assert str(raised.value).startswith("nantes-buffer (10.77.0.21): ")
    assert "\n" not in str(raised.value)
    return raised.value


def test_the_control_plane_works_over_ssh(site: Site, running: Running) -> None:
    site.settle()
    assert set(site.contents.groups) == {"nantes", "nantes-cells", "nantes-roots"}
    # A shell would be given this, and no line of ours.
    assert set(running.server.asked) == {"buffer-accounts"}


def test_a_key_that_the_server_refuses_is_named(site: Site, running: Running) -> None:
    running.server.accepted = "another"
    error = refusal(site.endpoint)
    assert f"it refuses the control plane's key {running.key}; run site.yml for this host" in str(error)
    assert not error.transient


def test_a_host_key_that_is_not_known_is_not_trusted(site: Site, running: Running) -> None:
    known = site.endpoint.known_hosts
    known.write_text(f"brest-buffer {running.host_key}\n")
    error = refusal(site.endpoint)
    assert f"its host key is not in {known}; run site.yml for this host" in str(error)
    assert not error.transient
    # Nothing is learnt on the way.
    assert known.read_text() == f"brest-buffer {running.host_key}\n"


def test_a_host_key_that_changed_is_not_trusted(site: Site, running: Running, tmp_path: Path) -> None:
    site.endpoint.known_hosts.write_text(f"nantes-buffer {make_key(tmp_path / 'other')}\n")
    error = refusal(site.endpoint)
    assert "its host key is not the one in" in str(error)
    assert not error.transient
    assert running.server.asked == []


def test_a_key_that_cannot_be_used_is_named(site: Site, running: Running) -> None:
    running.key.write_text("no key\n")
    error = refusal(site.endpoint)
    assert "the control plane's key cannot be used: Load key " in str(error)
    assert not error.transient


def test_a_port_that_is_closed_may_open_again(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (site.folder / "bin/ssh").write_text(f'#!/bin/sh\nexec {SSH} -o HostName=127.0.0.1 -p {port} "$@"\n')
    error = refusal(site.endpoint)
    assert "no connection over SSH: " in str(error)
    assert "Connection refused" in str(error)
    assert error.transient
