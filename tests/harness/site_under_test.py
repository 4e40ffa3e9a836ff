"""A synthetic nation on local zones, and a control host that runs `bic` on it."""

import json
import os
import signal
import sqlite3
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from call_log import Call, CallLog
from forker import Forker
from local_zone import ADDRESSES, PASSWORD, PASSWORD_VARIABLE, Pki, free_port, serving, write_nation

from controlplane.generate.nation import Nation
from sandbox.standins.irods.faults import Faults
from sandbox.standins.irods.server import Server

SECONDS = 120.0
"""How long a run may take on a busy machine."""


@dataclass(frozen=True)
class Run:
    """How one run of `bic` ended."""

    code: int
    output: str
    calls: list[Call] = field(repr=False)
    """The calls that the servers had meanwhile, of all zones."""

    @property
    def document(self) -> dict[str, Any]:
        """The output as JSON."""
        return dict(json.loads(self.output))


class LocalZone:
    """One zone's server, which can be stopped and started again."""

    def __init__(self, name: str, host: str, folder: Path, pki: Pki) -> None:
        self.name = name
        self.port = free_port(ADDRESSES[host])
        self.faults = Faults()
        self.log = CallLog(folder / f"{name}.jsonl")
        self._host = host
        self._folder = folder / name
        self._pki = pki
        self._running: tuple[AbstractContextManager[Server], Server] | None = None

    def start(self) -> None:
        """Serve what the zone holds."""
        context = serving(
            self._folder,
            self._pki,
            self.name,
            host=self._host,
            port=self.port,
            faults=self.faults,
            call_log=self.log.path,
        )
        self._running = context, context.__enter__()

    def stop(self) -> None:
        """Close the port and all connections; what the zone holds is kept."""
        if self._running:
            self._running[0].__exit__(None, None, None)
            self._running = None

    def settle(self) -> None:
        """Wait until the server has noticed that its clients are gone."""
        deadline = time.monotonic() + 10
        while self._running and self._running[1].connections and time.monotonic() < deadline:
            time.sleep(0.005)

    def claims(self) -> int:
        """How many claims the zone holds."""
        catalogue = sqlite3.connect(self._folder / "catalogue.db")
        query = (
            "select count(*) from r_objt_metamap join r_meta_main using (meta_id) "
            "where meta_attr_name = 'bic:claim'"
        )
        (count,) = catalogue.execute(query).fetchone()
        catalogue.close()
        return int(count)


class Site:
    """The inventory, its zones, and the control host's state folder, all new."""

    def __init__(self, folder: Path, nation: Nation, pki: Pki, forker: Forker) -> None:
        """Start the servers of empty zones."""
        self.folder = folder
        self.forker = forker
        self.inventory = folder / "inventory"
        hosts = (
            {"bicZone": "dc1-icat"}
            if nation.zones == 1
            else dict(zip(("dc1Zone", "dc2Zone"), ADDRESSES, strict=True))
        )
        self.zones = {name: LocalZone(name, host, folder, pki) for name, host in hosts.items()}
        write_nation(
            self.inventory, nation, pki.ca_file, {name: zone.port for name, zone in self.zones.items()}
        )
        self.pid = 0
        for zone in self.zones.values():
            zone.start()

    @property
    def zone(self) -> LocalZone:
        """The only zone."""
        (zone,) = self.zones.values()
        return zone

    def close(self) -> None:
        """Stop the servers."""
        for zone in self.zones.values():
            zone.stop()

    def kill(self) -> None:
        """Kill the run that is under way."""
        os.kill(self.pid, signal.SIGKILL)

    def run(self, *arguments: str, seconds: float = SECONDS) -> Run:
        """Run `bic` to its end, and wait until the servers have noticed that it is gone."""
        for zone in self.zones.values():
            zone.log.new()
        output = self.folder / "output"
        self.pid = self.forker.start(
            ["--inventory", str(self.inventory), *arguments], self.environment, output
        )
        code = self.forker.wait(seconds)
        for zone in self.zones.values():
            zone.settle()
        calls = [call for zone in self.zones.values() for call in zone.log.new()]
        return Run(code, output.read_text("utf-8"), calls)

    @property
    def environment(self) -> dict[str, str]:
        """What `bic` finds in its environment, beside what is there."""
        state = str(self.folder / "state")
        return {PASSWORD_VARIABLE: PASSWORD, "BIC_STATE_DIR": state, "COLUMNS": "200"}
