"""The two ways into the buffer server of the scenario: the control plane's, and people's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import paramiko

MARK = "mol/nantes"
TEAM, OTHER_TEAM = "nantes-cells", "nantes-mice"


@dataclass
class ControlPlane:
    """Asks the program of the buffer server, on one connection."""

    command: list[str]
    process: subprocess.Popen[str] | None = None

    def ssh(self, *options: str) -> list[str]:
        """How it calls SSH; options stand before the place."""
        return [*self.command[:-1], *options, self.command[-1]]

    def ask(self, **request: object) -> dict[str, Any]:
        """The answer to a request."""
        if self.process is None:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def done(self, **request: object) -> dict[str, Any]:
        """The answer to a request that must succeed."""
        answer = self.ask(**request)
        assert answer["ok"], answer
        return answer

    def user(self, name: str, opened: bool = True) -> int:
        """Open or close an account, and tell how many processes that ended."""
        return int(self.done(do="set_user", name=name, open=opened, mark=MARK)["ended"])

    def group(self, name: str, members: Sequence[str], writers: Sequence[str] = ()) -> int:
        """Say who is in a group, and tell how many processes that ended."""
        request = {"do": "set_group", "name": name, "mark": MARK}
        return int(self.done(**request, members=list(members), writers=list(writers))["ended"])

    def close(self) -> None:
        """End the connection."""
        if self.process and self.process.stdin and self.process.stdout:
            self.process.stdin.close()
            self.process.wait(timeout=10)
            self.process.stdout.close()
        self.process = None


@dataclass
class Entrance:
    """Lets people in, at a server that has the key which the role wrote down."""

    address: str
    key: paramiko.PKey
    passwords: dict[str, str]
    opened: list[paramiko.Transport] = field(default_factory=list)

    def connect(self, name: str, password: str | None = None) -> paramiko.Transport:
        """Somebody's connection. Raises paramiko.AuthenticationException."""
        transport = paramiko.Transport((self.address, 22))
        self.opened.append(transport)
        transport.connect(self.key, name, self.passwords[name] if password is None else password)
        return transport

    def sftp(self, name: str, password: str | None = None) -> paramiko.SFTPClient:
        """Somebody's files."""
        client = paramiko.SFTPClient.from_transport(self.connect(name, password))
        assert client
        return client

    def refuses(self, name: str, password: str | None = None) -> bool:
        """Whether somebody does not get in."""
        try:
            self.connect(name, password)
        except paramiko.AuthenticationException:
            return True
        return False

    def close(self) -> None:
        """End all connections."""
        for transport in self.opened:
            transport.close()
