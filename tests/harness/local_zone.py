"""Zones of stand-ins on the loopback interface, and synthetic inventories that describe them."""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "contract" / "irods"))

from throwaway_pki import create_authority, issue

from controlplane.generate.nation import Nation, files
from controlplane.generate.write import write_inventory
from sandbox.standins.irods.config import TlsClient, TlsServer
from sandbox.standins.irods.faults import Faults
from sandbox.standins.irods.launcher import Options, running
from sandbox.standins.irods.log import CALL_LOG_VARIABLE
from sandbox.standins.irods.server import Server

PASSWORD_VARIABLE = "BIC_LOCAL_ZONE_PASSWORD"
PASSWORD = "of a throw-away zone"
DOMAIN = "bic.example"

# The hosts that a synthetic nation's storage is on, and where the only server of each zone listens.
ADDRESSES = {"dc1-icat": "127.0.0.1", "dc2-irods": "127.0.0.2"}


@dataclass(frozen=True)
class Pki:
    """What servers and clients need for TLS."""

    ca_file: Path
    server: TlsServer


def make_pki(directory: Path) -> Pki:
    """A certificate that holds for all addresses of local zones."""
    authority = create_authority(directory)
    return Pki(authority.ca_file, issue(authority, directory))


def write_nation(folder: Path, nation: Nation, ca_file: Path, ports: Mapping[str, int]) -> None:
    """Write a synthetic nation whose zones are local: one server each, on the given port."""
    write_inventory(folder, ((name, _local(name, file, ca_file, ports)) for name, file in files(nation)))


def _local(name: str, file: dict[str, Any], ca_file: Path, ports: Mapping[str, int]) -> dict[str, Any]:
    if name == "platform.yml":
        hosts, zones = file["hosts"], file["zones"]
        if len(zones) == 1:
            hosts["dc2-irods"]["services"] = []
        for host, address in ADDRESSES.items():
            hosts[host]["address"] = address
        for zone_name, zone in zones.items():
            zone.pop("catalog_consumers", None)
            zone["port"] = ports[zone_name]
            zone["ca_file"] = str(ca_file)
            zone["administrator"] = {"password": {"env": PASSWORD_VARIABLE}}
            if len(zones) == 1:
                _on_one_host(zone["storage_resources"])
    elif file.get("zone") == "bicZone":
        _on_one_host(file["storage_resources"])
    return file


def _on_one_host(storage_resources: dict[str, Any]) -> None:
    """The second data centre has no server of its own: its folders are on the first one's."""
    for entry in storage_resources.values():
        if entry.get("host") == "dc2-irods":
            entry["host"] = "dc1-icat"
            entry["vault"] += "-dc2"


@contextlib.contextmanager
def serving(
    directory: Path,
    pki: Pki,
    zone: str = "bicZone",
    *,
    host: str = "dc1-icat",
    port: int = 0,
    faults: Faults | None = None,
    call_log: Path | None = None,
) -> Iterator[Server]:
    """Run a zone's server in a thread of this process; what the directory holds is kept."""
    options = Options(
        directory,
        zone=zone,
        password=PASSWORD,
        host=f"{host}.{DOMAIN}",
        address=ADDRESSES[host],
        port=port,
        policy="CS_NEG_REQUIRE",
        tls_server=pki.server,
        tls_client=TlsClient("hostname", str(pki.ca_file)),
    )
    with contextlib.ExitStack() as stack:
        with _environment(CALL_LOG_VARIABLE, call_log):
            server = stack.enter_context(running(options, faults))
        yield server


@contextlib.contextmanager
def _environment(name: str, value: Path | None) -> Iterator[None]:
    before = os.environ.pop(name, None)
    if value:
        os.environ[name] = str(value)
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server((address, 0)) as sock:
        return int(sock.getsockname()[1])
