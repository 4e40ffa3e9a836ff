"""What the tests have in common; the conftest.py that they import is that of all scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from entrances import OTHER_TEAM, TEAM, ControlPlane, Entrance
from testinfra.host import Host


@pytest.fixture
def control(state_dir: Path, address: str) -> Iterator[ControlPlane]:
    """The control plane, as it comes."""
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": state_dir / "known_hosts",
        "HostKeyAlias": "mol-buffer",
        "LogLevel": "ERROR",
    }
    words = [f"-o{name}={value}" for name, value in options.items()]
    key = state_dir / "secrets/control_key"
    control = ControlPlane(["ssh", "-F", "/dev/null", "-i", str(key), *words, f"bic@{address}"])
    yield control
    control.close()


@pytest.fixture
def entrance(state_dir: Path, address: str) -> Iterator[Entrance]:
    """The way in for people."""
    keys = paramiko.HostKeys(str(state_dir / "known_hosts")).lookup(address)
    assert keys
    secrets = {path.name: path.read_text().strip() for path in (state_dir / "secrets").glob("ldap_*")}
    passwords = {name.removeprefix("ldap_"): secret for name, secret in secrets.items()}
    entrance = Entrance(address, keys["ssh-ed25519"], passwords)
    yield entrance
    entrance.close()


@pytest.fixture
def people(control: ControlPlane) -> None:
    """A team of a contributor and a collaborator, and another without them."""
    for name in ("marie", "louis"):
        control.user(name)
    control.group("nantes", ["marie", "louis"])
    control.group(TEAM, ["marie", "louis"], writers=["marie"])
    control.group(OTHER_TEAM, [])


@pytest.fixture(autouse=True)
def _empty(host: Host) -> Iterator[None]:
    """Leave the folders without files."""
    yield
    host.check_output("find /srv/buffer -mindepth 2 -delete")
