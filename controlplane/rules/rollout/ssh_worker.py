"""Commands on many hosts at once, through pyinfra: run as a program, which talks in lines of JSON.

The first line on standard input is `{"hosts": {NAME: DATA}, "connect_timeout": SECONDS}` with pyinfra's own
data of each host. Every further line is a request, `{"id": …, "host": NAME, "command": [WORD, …], "stdin":
TEXT, "timeout": SECONDS}`, which is answered, in any order, by `{"id": …, "ok": …, "stdout": …, "stderr": …,
"error": …}`; `error` is why the host could not be asked at all. Requests are worked on at the same time, and
connections are kept.

It is a process of its own because pyinfra needs gevent, which changes sockets and threads of a whole process.
"""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import json
import os
import shlex
import sys
from typing import Any

import gevent
from gevent.fileobject import FileObject
from gevent.lock import RLock
from pyinfra.api.command import StringCommand
from pyinfra.api.config import Config
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State


class Hosts:
    """The hosts, each connected when it is first needed."""

    def __init__(self, hosts: dict[str, dict[str, Any]], connect_timeout: int) -> None:
        """Connect to nothing yet."""
        # Not ours: these say how to become root, which is said with each command.
        self.become = {name: data.pop("become", {}) for name, data in hosts.items()}
        inventory = Inventory((list(hosts.items()), {}))  # type: ignore[no-untyped-call]
        config = Config(CONNECT_TIMEOUT=connect_timeout)  # type: ignore[no-untyped-call]
        self.state = State(inventory, config)
        self.locks = {name: RLock() for name in hosts}

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request; one command at a time on each host."""
        name = request["host"]
        with self.locks[name]:
            host = self.state.inventory.get_host(name)
            try:
                return {"id": request["id"], "error": "", **self._run(host, request)}
            except ConnectError as error:
                return {"id": request["id"], "error": f"no connection over SSH: {error.args[0]}"}
            except Exception as error:
                # The connection may be gone, in whatever way its library tells; the next makes another.
                host.connected = False
                reason = " ".join(str(error).split()) or type(error).__name__
                return {"id": request["id"], "error": f"no answer over SSH: {reason}"}

    def _run(self, host: Host, request: dict[str, Any]) -> dict[str, Any]:
        host.connect(show_errors=False, raise_exceptions=True)
        ok, output = host.run_shell_command(
            StringCommand(shlex.join(request["command"])),
            _stdin=request["stdin"] or None,
            _timeout=request["timeout"],
            **self.become[host.name],
        )
        return {"ok": ok, "stdout": output.stdout, "stderr": output.stderr}


def main() -> None:
    """Answer requests until there are no more."""
    # What libraries print or ask for must not come between the answers and requests.
    answers, requests = os.dup(1), os.dup(0)
    os.dup2(2, 1)
    sys.stdin = open(os.devnull)  # noqa: SIM115 - for as long as this process lives
    out, source = FileObject(answers, "w", buffering=1), FileObject(requests, "r")
    first = json.loads(source.readline())
    hosts = Hosts(first["hosts"], first["connect_timeout"])

    def work(request: dict[str, Any]) -> None:
        out.write(json.dumps(hosts.run(request)) + "\n")
        out.flush()

    gevent.joinall([gevent.spawn(work, json.loads(line)) for line in source])


if __name__ == "__main__":
    main()
