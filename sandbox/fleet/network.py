"""The fleet's network: a bridge, a way out for package downloads, and cables that can be pulled."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path

from sandbox.fleet.spec import FleetSpec, HostSpec, PrerequisiteError, SandboxError, sandbox_root
from sandbox.fleet.system import run, succeeds, write_atomically

#: Kernel settings that a fleet needs, with the least value. Each systemd takes several inotify instances:
#: at the kernel's default of 128, hosts past the nineteenth fail to boot.
SYSCTLS = {"fs/inotify/max_user_instances": 8192, "net/ipv4/ip_forward": 1}


def _alias(fleet: FleetSpec) -> str:
    return f"bic-sandbox fleet {fleet.name}"


def _claim(fleet: FleetSpec) -> Path:
    return fleet.folder / "bridge-is-ours"


def _links() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run(["ip", "-json", "-details", "address", "show"]))
    return found


def _hardware_address(fleet: FleetSpec) -> str:
    """A locally administered MAC address, another one for each network."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x62, *fleet.gateway.packed))


def bridge_is_ours(fleet: FleetSpec) -> bool:
    """Tell whether the fleet's bridge exists and carries our mark.

    Raises `PrerequisiteError` when an interface of that name exists that we did not make.
    """
    for link in _links():
        if link["ifname"] == fleet.bridge:
            # A killed run may have got no further than the claim and the bare bridge.
            if link.get("ifalias") != _alias(fleet) and ("ifalias" in link or not _claim(fleet).exists()):
                raise PrerequisiteError(
                    f"an interface {fleet.bridge} exists that the sandbox did not make: "
                    "choose another `sandbox: fleet:` name in platform.yml"
                )
            return True
    return False


def _refuse_overlap(fleet: FleetSpec) -> None:
    for route in json.loads(run(["ip", "-json", "route", "show", "table", "all"])):
        target = str(route.get("dst", "default"))
        if target == "default" or ":" in target or route.get("dev") in (fleet.bridge, "lo"):
            continue
        if fleet.network.overlaps(IPv4Network(target, strict=False)):
            raise PrerequisiteError(
                f"this machine already reaches {target} through {route.get('dev')}, which overlaps the "
                f"fleet's {fleet.network}: choose another `sandbox: network:` in platform.yml"
            )


def raise_sysctls() -> None:
    """Raise the kernel settings that fleets need, and remember the values they had."""
    memory = sandbox_root() / "sysctls-before.json"
    before = json.loads(memory.read_text()) if memory.exists() else {}
    for name, least in SYSCTLS.items():
        path = Path("/proc/sys") / name
        value = int(path.read_text())
        if value < least:
            before.setdefault(name, value)
            write_atomically(memory, json.dumps(before))
            path.write_text(str(least))


def restore_sysctls() -> None:
    """Give the kernel settings back the values from before the first fleet."""
    memory = sandbox_root() / "sysctls-before.json"
    if memory.exists():
        for name, value in json.loads(memory.read_text()).items():
            (Path("/proc/sys") / name).write_text(str(value))
        memory.unlink()


def up(fleet: FleetSpec) -> None:
    """Make the bridge, its address and the masquerade rule; what exists already stays."""
    _refuse_overlap(fleet)
    raise_sysctls()
    if not bridge_is_ours(fleet):
        _claim(fleet).parent.mkdir(parents=True, exist_ok=True)
        _claim(fleet).touch()
        run(["ip", "link", "add", fleet.bridge, "type", "bridge", "forward_delay", "0"])
    run(["ip", "link", "set", fleet.bridge, "alias", _alias(fleet)])
    # Without an address of its own a bridge takes the lowest one of its cables. When hosts come or go it
    # could be another, and hosts would send to the old one until they ask again, up to a minute later.
    run(["ip", "link", "set", fleet.bridge, "address", _hardware_address(fleet)])
    addresses = run(["ip", "-brief", "address", "show", "dev", fleet.bridge])
    if f"{fleet.gateway}/" not in addresses:
        prefix = fleet.network.prefixlen
        run(["ip", "address", "replace", f"{fleet.gateway}/{prefix}", "dev", fleet.bridge])
    run(["ip", "link", "set", fleet.bridge, "up"])
    run(
        ["nft", "-f", "-"],
        stdin=f"""
table ip {fleet.table} {{
}}
flush table ip {fleet.table}
table ip {fleet.table} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {fleet.network} ip daddr != {fleet.network} masquerade
  }}
}}
""",
    )


def down(fleet: FleetSpec) -> None:
    """Remove the bridge and the table; absent ones are fine."""
    if bridge_is_ours(fleet):
        run(["ip", "link", "delete", fleet.bridge, "type", "bridge"])
    if table_exists(fleet):
        run(["nft", "delete", "table", "ip", fleet.table])


def table_exists(fleet: FleetSpec) -> bool:
    """Tell whether the fleet's nftables table is loaded."""
    return succeeds(["nft", "list", "table", "ip", fleet.table])


def unplug(host: HostSpec) -> None:
    """Remove the cable of a host that was powered off.

    The kernel takes a network namespace apart some time after its last process, up to minutes later when a
    connection was open; a host that boots before that would find the name of its cable taken.
    """
    if _exists(host.link):
        try:
            run(["ip", "link", "delete", host.link])
        except SandboxError:
            # The kernel may have been faster.
            if _exists(host.link):
                raise


def _exists(link: str) -> bool:
    return (Path("/sys/class/net") / link).exists()


def is_cut(host: HostSpec) -> bool:
    """Tell whether the host's cable is pulled (its link belongs to no bridge)."""
    for link in _links():
        if link["ifname"] == host.link:
            return "master" not in link
    raise SandboxError(f"{host.name} is not running, so it has no cable: `bic sandbox start {host.name}`")


def cut(host: HostSpec) -> None:
    """Take a running host off the network: nothing it sends arrives, and it gets no answer."""
    is_cut(host)
    run(["ip", "link", "set", host.link, "nomaster"])


def mend(fleet: FleetSpec, host: HostSpec) -> None:
    """Put a host back on the network."""
    is_cut(host)
    run(["ip", "link", "set", host.link, "master", fleet.bridge])
