"""The servers of zones over SSH, reached as Ansible reaches them, many at the same time."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from controlplane.model import Platform
from controlplane.rules.rollout.ssh_data import ServerError, host_data

COMMAND = "/usr/local/sbin/irods-rule-bases"
"""The command on the servers, which role `irods_server` installs."""

CONNECT_TIMEOUT = 15
"""Seconds to wait for a connection over SSH."""

ANSWER_TIMEOUT = 60
"""Seconds to wait for an answer of a command that closes no port."""

RELOAD_TIMEOUT = 240
"""Seconds to wait for one that reloads a server, which waits its grace period for clients; and back again."""


_ENDED = "the helper process for SSH ended by itself"


@dataclass(frozen=True)
class Answer:
    """What a server said, or why it did not."""

    value: Mapping[str, Any]
    error: str = ""

    def get(self) -> Mapping[str, Any]:
        """What it said. Raises ServerError."""
        if self.error:
            raise ServerError(self.error)
        return self.value


class Servers:
    """Some servers of a platform. Use it as a context: connections are kept until its end."""

    def __init__(self, platform: Platform, names: Iterable[str]) -> None:
        """Look up how to reach them. Raises ServerError where the inventory does not say."""
        self.names = tuple(names)
        variables = _variables(platform, self.names)
        self._hosts = {name: host_data(name, variables[name]) for name in self.names}
        self._ids = count()
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._ended = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        # Further options of OpenSSH, for this process alone to read.
        self._folder = TemporaryDirectory(prefix="bic-ssh-")
        for name, data in self._hosts.items():
            if text := data.pop("ssh_config", ""):
                file = Path(self._folder.name) / name
                file.write_text(text, encoding="utf-8")
                data["ssh_config_file"] = str(file)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "controlplane.rules.rollout.ssh_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # Ctrl-C is for us: what has begun on a server is waited for.
            start_new_session=True,
        )
        if not self._process.stdin or not self._process.stdout:
            raise ServerError("the helper process for SSH has no pipes")
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._send({"hosts": self._hosts, "connect_timeout": CONNECT_TIMEOUT})
        self._reader = threading.Thread(target=self._read, name="servers", daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._answers.close()
        with suppress(BrokenPipeError):
            self._requests.close()
        self._folder.cleanup()

    def ask(
        self,
        names: Iterable[str],
        *words: str,
        stdin: Mapping[str, Any] | None = None,
        timeout: int = ANSWER_TIMEOUT,
    ) -> dict[str, Answer]:
        """What the command on each of some servers answers, all asked at the same time."""
        asked = {name: self._ask(name, words, json.dumps(stdin) if stdin else "", timeout) for name in names}
        return {name: self._answer(future, timeout) for name, future in asked.items()}

    def _ask(self, name: str, words: Sequence[str], stdin: str, timeout: int) -> "Future[dict[str, Any]]":
        future: Future[dict[str, Any]] = Future()
        number = next(self._ids)
        with self._lock:
            # A pipe whose reader is just dying still takes what is written into it.
            if self._ended:
                raise ServerError(_ENDED)
            self._waiting[number] = future
        self._send(
            {"id": number, "host": name, "command": [COMMAND, *words], "stdin": stdin, "timeout": timeout}
        )
        return future

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            with self._lock:
                self._requests.write(json.dumps(message) + "\n")
                self._requests.flush()
        except BrokenPipeError as error:
            raise ServerError(_ENDED) from error

    def _read(self) -> None:
        """Hand answers to those who wait for them, until the process ends."""
        for line in self._answers:
            answer = json.loads(line)
            with self._lock:
                waiting = self._waiting.pop(answer["id"])
            waiting.set_result(answer)
        with self._lock:
            self._ended = True
            left, self._waiting = self._waiting, {}
        for future in left.values():
            future.set_result({"error": _ENDED})

    @staticmethod
    def _answer(future: "Future[dict[str, Any]]", timeout: int) -> Answer:
        try:
            answer = future.result(timeout + CONNECT_TIMEOUT)
        except FutureTimeoutError:
            return Answer({}, f"no answer within {timeout} s")
        if answer["error"]:
            return Answer({}, answer["error"])
        if not answer["ok"]:
            return Answer({}, _reason(answer["stderr"] or answer["stdout"]))
        try:
            return Answer(json.loads(answer["stdout"]))
        except ValueError:
            return Answer({}, f"{COMMAND} gave no JSON")


def _variables(platform: Platform, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """How Ansible reaches some hosts. Raises ServerError."""
    command = [sys.executable, "-m", "controlplane.rules.rollout.ssh_variables"]
    done = subprocess.run(
        [*command, str(platform.root / "platform.yml"), *names],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise ServerError(
            "Ansible's inventory cannot be read, which says how to reach the servers: " + _reason(done.stderr)
        )
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def _reason(text: str) -> str:
    """The end of what a command wrote, as lines for people."""
    lines = [line.strip().removeprefix("irods-rule-bases: ") for line in text.splitlines() if line.strip()]
    if any("irods-rule-bases: No such file" in line or "command not found" in line for line in lines):
        return f"{COMMAND} is not there: run site.yml for this server"
    return "\n".join(lines[-6:]) or "it failed and did not say why"
