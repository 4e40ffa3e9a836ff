"""A nation for tests: a sandbox inventory of their own, and the commands that work on it."""

import os
import shutil
import signal
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from irods.session import iRODSSession
from sandbox_inventory import without_idle_hosts

from controlplane.at_address import AtAddress
from controlplane.model import Platform, load_platform
from controlplane.systems.irods.client import endpoint, open_session
from sandbox.demo import ansible
from sandbox.fleet import host as hosts
from sandbox.fleet import prerequisites
from sandbox.fleet.spec import FleetSpec, fleet_of

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = REPOSITORY / ".venv" / "bin"
#: Seconds after which a demo run is taken to hang.
DEMO_DEADLINE = 1800


#: Name and address range of the nation's fleet.
FLEET, NETWORK = "itest", "10.78.0"

#: The releases that the nation has at first: those before the ones of the stand-ins.
OLDER = {"irods_server_version": "5.0.1", "authentik_version": "2026.5.4"}

#: A team whose PI comes from another institution: people meet it by logging in.
FOREIGN_TEAM = """\
  - id: light-sheet
    title: Light sheet
    pi: {user: cadoret, name: Claire Cadoret, email: cadoret@confluent.example}
    omero: true
"""

#: What the demo prints → where it is then. Each is a place at which a run is killed.
KILL_POINTS = {
    "booting 8 hosts": "while the hosts boot",
    "irods_server : Run setup": "while iRODS is set up",
}


@dataclass
class Run:
    """A finished or killed command."""

    code: int
    output: str
    killed_at: str | None = None


@dataclass
class Nation:
    """A sandbox inventory of the tests' own, and what became of it."""

    inventory: Path
    environment: dict[str, str]
    check: Run | None = None
    killed: list[Run] = field(default_factory=list)
    demo: Run | None = None
    again: Run | None = None

    @property
    def platform(self) -> Platform:
        return load_platform(self.inventory)

    @property
    def fleet(self) -> FleetSpec:
        return fleet_of(self.platform)

    @property
    def authority(self) -> Path:
        return self.platform.state_dir / "pki" / "ca.crt"

    def address(self, host: str) -> str:
        return str(self.platform.hosts[host].address)

    def run(self, *words: str | Path, until: str | None = None, deadline: float = DEMO_DEADLINE) -> Run:
        """Run a command; with `until`, kill its whole process group when it prints that."""
        process = subprocess.Popen(
            [str(word) for word in words],
            cwd=REPOSITORY,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        timer = threading.Timer(deadline, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        lines = []
        killed = None
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if until and until in line and killed is None:
                killed = until
                os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        timer.cancel()
        return Run(code, "".join(lines), killed)

    def in_host(
        self, host: str, *words: str, given: str = "", seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a host, network or not, with `given` on its standard input."""
        command = hosts.command_in(self.fleet, self.fleet.host(host), words)
        return subprocess.run(
            command, input=given, capture_output=True, text=True, check=False, timeout=seconds
        )

    def bic(self, *words: str, deadline: float = 300) -> Run:
        return self.run(BIN / "bic", *words, deadline=deadline)

    def irods(self, user: str, password: str, **options: str) -> iRODSSession:
        """A client of the zone's provider, over verified TLS."""
        zone = self.platform.zones["bicZone"]
        return iRODSSession(
            host=self.address(zone.catalog_provider),
            port=zone.port,
            user=user,
            zone=zone.name,
            password=password,
            client_server_negotiation="request_server_negotiation",
            client_server_policy="CS_NEG_REQUIRE",
            ssl_verify_server="hostname",
            ssl_ca_certificate_file=str(self.authority),
            encryption_algorithm="AES-256-CBC",
            encryption_key_size=32,
            encryption_num_hash_rounds=16,
            encryption_salt_size=8,
            **options,
        )

    def administrator(self, server: str = "") -> iRODSSession:
        """The zone's administrator as a client of a server, else of the zone's provider."""
        platform = self.platform
        zone = platform.zones["bicZone"]
        return open_session(endpoint(zone, platform.hosts[server or zone.catalog_provider]))

    def ask_login_server(
        self, method: str, path: str, body: dict[str, object] | None = None
    ) -> dict[str, Any]:
        """Ask the login server's API as its first administrator."""
        platform = self.platform
        token = (platform.state_dir / "secrets" / "authentik_bootstrap_token").read_text("utf-8").strip()
        trust = ssl.create_default_context(cafile=str(self.authority))
        with httpx.Client(transport=AtAddress(platform.service_addresses, trust), timeout=60) as client:
            url = f"https://login.{platform.domain}/api/v3/{path}"
            answer = client.request(method, url, json=body, headers={"Authorization": f"Bearer {token}"})
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return dict(answer.json()) if answer.content else {}

    def ansible(self, *words: str) -> Run:
        return self.run(BIN / "ansible-playbook", "-i", self.inventory / "platform.yml", "site.yml", *words)


def copy_inventory(folder: Path, fleet: str, network: str) -> Path:
    """Copy the sandbox's inventory for a fleet of another name and address range (such as `10.78.0`).

    It has none of the hosts that only have what all have, one team more, rule bases of one engine, and
    older releases of iRODS and Authentik.
    """
    inventory = folder / "inventory"
    shutil.copytree(REPOSITORY / "inventories" / "sandbox", inventory)
    for path in inventory.rglob("*.yml"):
        text = path.read_text().replace("10.77.0.", f"{network}.")
        path.write_text(text.replace("fleet: demo", f"fleet: {fleet}"))
    platform = inventory / "platform.yml"
    platform.write_text(without_idle_hosts(platform.read_text()))
    rules = inventory / "policies" / "rules.yml"
    rules.write_text(rules.read_text().replace("  file-names: {}\n", ""))
    with (inventory / "facilities" / "nantes.yml").open("a") as facility:
        facility.write(FOREIGN_TEAM)
    set_versions(inventory, OLDER)
    return inventory


def set_versions(inventory: Path, versions: dict[str, str]) -> None:
    (inventory / "group_vars" / "all" / "packages.yml").write_text(yaml.safe_dump(versions))


def require_fleet() -> None:
    """Skip by name and reason what this machine cannot run; in CI nothing is skipped."""
    problems = list(prerequisites.problems())
    if problems:
        reason = "this machine cannot run a fleet: " + "; ".join(problems)
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def environment_for(inventory: Path, state: Path) -> dict[str, str]:
    """The environment in which commands work on that inventory."""
    # A demo is no part of the make that runs the tests.
    inherited = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL"}}
    return {
        **inherited,
        "BIC_INVENTORY": str(inventory),
        "BIC_STATE_DIR": str(state),
        **ansible.environment(),
        "ANSIBLE_FORCE_COLOR": "0",
        "COLUMNS": "160",
    }
