"""The connection to a buffer server: one `ssh` of OpenSSH per server, kept open, lines of JSON both ways.

Whatever it is asked for, the server's `authorized_keys` gives our key the program `buffer-accounts` and
nothing else. It answers each line with a line. All requests may be repeated, so one whose answer was lost is
made again on a new connection, for as long as the caller has patience.
"""

import json
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from controlplane.model import BufferAccess, Host
from controlplane.systems.attempts import ServerError, patiently
from controlplane.systems.buffer.contents import Contents, parse

PROGRAM = "buffer-accounts"
VERSION = 1
"""The version of the program's answers that we understand."""

TIMEOUT = 30.0
"""Seconds to wait for an answer, the connection included. Ending a person's processes takes some."""

CONNECT_TIMEOUT = 10
"""Seconds until `ssh` gives up a host that does not answer."""

ALIVE_INTERVAL = 10
"""Seconds after which `ssh` asks a silent server whether it is there; after three times without an answer it
is not."""

GOODBYE = 5.0
"""Seconds that the program has to end when nothing more is asked."""

SSH_FAILED = 255
"""The exit code of `ssh` for what went wrong with the connection; all others are of the program."""

AGAIN = "run site.yml for this host"


class BufferServerError(ServerError):
    """A buffer server that could not be talked to, in one line for people."""


class RefusedError(BufferServerError):
    """What the server's program answered instead of doing what it was asked to."""


@dataclass(frozen=True)
class Endpoint:
    """One buffer server and the way in."""

    name: str
    """What the server is called in the inventory, and in the file of known hosts."""
    address: str
    user: str
    key: Path
    known_hosts: Path
    timeout: float = TIMEOUT

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"


def endpoint(access: BufferAccess, host: Host, timeout: float = TIMEOUT) -> Endpoint:
    """The buffer server on `host`."""
    return Endpoint(host.name, str(host.address), access.user, access.key, access.known_hosts, timeout)


def ssh_command(server: Endpoint) -> list[str]:
    """How `ssh` is started: with our key and our known hosts alone, and no settings of whoever starts it."""
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "UserKnownHostsFile": f'"{_literal(server.known_hosts)}"',
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": server.name,
        "ConnectTimeout": str(CONNECT_TIMEOUT),
        "ServerAliveInterval": str(ALIVE_INTERVAL),
    }
    return [
        *("ssh", "-F", "/dev/null", "-T", "-l", server.user, "-i", _literal(server.key)),
        *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
        # Where the key opens a shell after all, this is what the shell is given, and no line of ours.
        *("--", server.address, PROGRAM),
    ]


def _literal(path: Path) -> str:
    """A path in which `ssh` finds nothing to replace."""
    return str(path).replace("%", "%%")


def explain(server: Endpoint, code: int, said: str, *, answered: bool) -> BufferServerError:
    """Why `ssh` ended with an exit code, from its last words; pure.

    `answered` says whether the program had answered before.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else "it gave no reason"
    if code != SSH_FAILED:
        return BufferServerError(
            f"{server}: its program {PROGRAM} ended: {last}; {AGAIN}",
            # It had worked: the host may be going down, or the program is being replaced.
            transient=answered,
        )
    if "HOST IDENTIFICATION HAS CHANGED" in said:
        return BufferServerError(
            f"{server}: its host key is not the one in {server.known_hosts}: another host answers there, or "
            f"it was installed anew; if so, {AGAIN}"
        )
    if "host key is known for" in said or "Host key verification failed" in said:
        return BufferServerError(f"{server}: its host key is not in {server.known_hosts}; {AGAIN}")
    if bad := next((line for line in lines if line.startswith("Load key ")), ""):
        return BufferServerError(f"{server}: the control plane's key cannot be used: {bad}")
    if "Permission denied (" in said:
        return BufferServerError(f"{server}: it refuses the control plane's key {server.key}; {AGAIN}")
    return BufferServerError(f"{server}: no connection over SSH: {last}", transient=True)


class Client:
    """Asks one buffer server; used by one thread at a time."""

    def __init__(self, server: Endpoint) -> None:
        """Connect when something is asked."""
        self.server = server
        self._connection: _Connection | None = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, *, patience: float = 0.0) -> Contents:
        """All that the server holds. Raises BufferServerError."""
        answer = self.ask({"do": "read"}, patience=patience)
        version = answer.get("version")
        if version != VERSION:
            raise BufferServerError(
                f"{self.server}: its program {PROGRAM} has version {version} and not {VERSION}; {AGAIN}"
            )
        try:
            return parse(answer)
        except ValueError as error:
            raise BufferServerError(f"{self.server}: what it holds cannot be understood: {error}") from error

    def ask(self, request: Mapping[str, object], *, patience: float = 0.0) -> dict[str, Any]:
        """The answer to a request; asked again for `patience` seconds while that may help.

        Raises RefusedError when the program says no, and BufferServerError.
        """
        return patiently(lambda: self._asked(request), patience)

    def _asked(self, request: Mapping[str, object]) -> dict[str, Any]:
        if self._connection is None:
            self._connection = _Connection(self.server)
        try:
            answer = self._connection.exchange(request)
        except BufferServerError:
            self._connection.abandon()
            self._connection = None
            raise
        if answer.get("ok") is not True:
            raise RefusedError(f"{self.server}: {answer.get('error') or 'it refuses and gives no reason'}")
        return answer

    def close(self) -> None:
        """Leave no connection open."""
        if self._connection:
            self._connection.close()
            self._connection = None


class _Connection:
    """One `ssh` and the program at its other end."""

    def __init__(self, server: Endpoint) -> None:
        for what, file in (("key", server.key), ("file of known hosts", server.known_hosts)):
            if not os.access(file, os.R_OK):
                raise BufferServerError(f"{server}: the {what} {file} cannot be read; {AGAIN}")
        self._server = server
        self._answered = False
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the process lives
        try:
            # In a session of its own: an interruption of ours lets it finish what has begun.
            self._process = subprocess.Popen(
                ssh_command(server),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            self._said.close()
            raise BufferServerError(
                f"{server}: the program ssh cannot be started: {error.strerror}; install openssh-client"
            ) from error
        if not self._process.stdin or not self._process.stdout:
            raise BufferServerError(f"{server}: ssh has no pipes")
        self._in, self._out = self._process.stdin, self._process.stdout
        os.set_blocking(self._in.fileno(), False)

    def exchange(self, request: Mapping[str, object]) -> dict[str, Any]:
        """The answer to one request. After an error the connection is of no use any more."""
        line = self._line_for(json.dumps(request).encode() + b"\n")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            shown = line[:60].decode("utf-8", "replace").strip()
            raise BufferServerError(
                f"{self._server}: it answers {shown!r}, which its program {PROGRAM} would not; {AGAIN}"
            )
        self._answered = True
        return answer

    def _line_for(self, request: bytes) -> bytes:
        """Write a line and read one, within the server's time."""
        left, answer = memoryview(request), bytearray()
        deadline = time.monotonic() + self._server.timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._in, selectors.EVENT_WRITE)
            selector.register(self._out, selectors.EVENT_READ)
            while not answer.endswith(b"\n"):
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise BufferServerError(
                        f"{self._server}: no answer within {self._server.timeout:g} s", transient=True
                    )
                for key, _ in ready:
                    if key.fileobj is self._in:
                        with suppress(BrokenPipeError):
                            left = left[os.write(key.fd, left) :]
                            if left:
                                continue
                        # Where the pipe broke, what is read next tells why.
                        selector.unregister(self._in)
                    elif chunk := os.read(key.fd, 2**16):
                        answer += chunk
                    else:
                        raise self._ended()
        return bytes(answer)

    def _ended(self) -> BufferServerError:
        """Why there is nothing more to read."""
        try:
            code = self._process.wait(GOODBYE)
        except subprocess.TimeoutExpired:
            return BufferServerError(f"{self._server}: it ended the connection", transient=True)
        self._said.seek(0)
        said = self._said.read().decode("utf-8", "replace")
        return explain(self._server, code, said, answered=self._answered)

    def close(self) -> None:
        """Let the program end, which it does when no more requests can come."""
        self._in.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GOODBYE)
        self.abandon()

    def abandon(self) -> None:
        """Leave nothing behind, whatever the program does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._in, self._out, self._said):
            stream.close()
