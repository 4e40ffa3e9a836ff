"""What a fleet consists of, and the names of all that it makes on the machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from controlplane.errors import BicError
from controlplane.model import Platform

#: TCP port of the artifact mirror on the bridge's address.
MIRROR_PORT = 3142


class SandboxError(BicError):
    """Something in the sandbox failed: the message names what, and what to do about it."""

    exit_code = 1


class PrerequisiteError(SandboxError):
    """This machine lacks what the sandbox needs, or the inventory describes no sandbox."""

    exit_code = 2


def sandbox_root() -> Path:
    """Folder that holds images, caches, keys and fleets; `BIC_SANDBOX_ROOT` overrides the default."""
    return Path(os.environ.get("BIC_SANDBOX_ROOT", "/var/lib/bic-sandbox"))


@dataclass(frozen=True)
class HostSpec:
    """One host of a fleet.

    `machine` is its systemd-nspawn machine name; `link` the outer end of its virtual cable.
    """

    name: str
    fqdn: str
    address: IPv4Address
    machine: str

    @property
    def link(self) -> str:
        """Name of the outer network interface, as systemd-nspawn derives it from the machine's name."""
        return f"vb-{self.machine}"


@dataclass(frozen=True)
class FleetSpec:
    """A fleet: its name and address range mark every bridge, table, mount and process that is its own."""

    name: str
    network: IPv4Network
    hosts: tuple[HostSpec, ...]
    state_dir: Path
    """The platform's own files on this machine, where Ansible reads what the mirror serves."""
    federated: bool = False
    """Whether people of other institutions log in, so that there is a world outside to come from."""
    buffer_key: Path | None = None
    """The SSH key by which the control plane enters buffer servers, if it does."""

    @property
    def bridge(self) -> str:
        """Name of the bridge that connects the hosts."""
        return f"bic-{self.name}"

    @property
    def table(self) -> str:
        """Name of the fleet's own nftables table."""
        return f"bic_{self.name.replace('-', '_')}"

    @property
    def gateway(self) -> IPv4Address:
        """Address of the bridge: the hosts' default route, and where the artifact mirror listens."""
        return self.network.network_address + 1

    @property
    def mirror_url(self) -> str:
        """Base URL of the artifact mirror, without a trailing slash."""
        return f"http://{self.gateway}:{MIRROR_PORT}"

    @property
    def folder(self) -> Path:
        """Folder of this fleet's hosts and marks."""
        return sandbox_root() / "fleets" / self.name

    def host(self, name: str) -> HostSpec:
        """Return the host called `name`; raises `PrerequisiteError` when the fleet has none."""
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts)
        raise PrerequisiteError(f"fleet {self.name} has no host '{name}': it has {known}")

    def select(self, names: list[str]) -> tuple[HostSpec, ...]:
        """Return the named hosts, or all of them for an empty list."""
        return tuple(self.host(name) for name in names) if names else self.hosts


def fleet_of(platform: Platform) -> FleetSpec:
    """Derive the fleet from a platform.

    Raises `PrerequisiteError` when the platform has no `sandbox:` section.
    """
    sandbox = platform.sandbox
    if sandbox is None:
        raise PrerequisiteError(
            f"platform '{platform.name}' has no 'sandbox:' section, so no fleet can be made of it: "
            "use an inventory that has one (inventories/sandbox), or add "
            "`sandbox: {fleet: NAME, network: CIDR}`"
        )
    hosts = []
    for host in platform.hosts.values():
        number = int(host.address) - int(sandbox.network.network_address)
        hosts.append(
            HostSpec(
                name=host.name,
                fqdn=host.fqdn,
                address=host.address,
                machine=f"{sandbox.fleet}-{number}",
            )
        )
    return FleetSpec(
        name=sandbox.fleet,
        network=sandbox.network,
        hosts=tuple(hosts),
        state_dir=platform.state_dir,
        federated=any(platform.hosts_with("federation_proxy")),
        buffer_key=platform.buffers.key if platform.buffers else None,
    )
