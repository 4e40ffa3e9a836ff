"""What Ansible sees of the platform."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from inventory_editing import Edit

ROOT = Path(__file__).parents[3]
PLUGINS = ROOT / "controlplane" / "ansible"


def ansible(inventory: Path, command: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Ansible with our plugin alone; `more` are environment variables."""
    program = shutil.which(command, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert program, f"{command} is not installed"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(inventory),
        "LANG": "C.UTF-8",
        "ANSIBLE_INVENTORY_PLUGINS": str(PLUGINS),
        "ANSIBLE_INVENTORY_ENABLED": "bic",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_NOCOLOR": "1",
        **more,
    }
    return subprocess.run(
        [program, *arguments],
        env=environment,
        cwd=inventory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def ansible_inventory(inventory: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ansible-inventory on an inventory."""
    return ansible(inventory, "ansible-inventory", "-i", str(inventory / "platform.yml"), *arguments, **more)


@pytest.fixture
def listing(inventory: Path) -> dict[str, object]:
    """The whole inventory as Ansible writes it."""
    folder = inventory / "group_vars" / "irods_server"
    folder.mkdir(parents=True)
    (folder / "test.yml").write_text("from_group_vars: it works\nansible_user: admin\n")
    result = ansible_inventory(inventory, "--list")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    # How Ansible writes texts that it will not take for templates, which all of ours are.
    document: dict[str, object] = json.loads(
        result.stdout, object_hook=lambda item: item.get("__ansible_unsafe", item)
    )
    return document


def test_groups_are_services_places_and_facilities(listing: dict[str, dict[str, list[str]]]) -> None:
    assert listing["irods_server"]["children"] == ["irods_catalog_provider", "irods_catalog_consumer"]
    assert listing["irods_catalog_provider"]["hosts"] == ["dc1-icat"]
    assert listing["buffer"]["hosts"] == ["buffer-montpellier", "buffer-nantes"]
    assert listing["facility_nantes"]["hosts"] == ["buffer-nantes"]
    assert listing["dc_dc2"]["hosts"] == ["dc2-irods", "dc2-hpc"]


def test_hosts_have_what_the_architecture_promises(
    listing: dict[str, dict[str, dict[str, dict[str, object]]]], inventory: Path
) -> None:
    hosts = listing["_meta"]["hostvars"]
    icat = hosts["dc1-icat"]
    zone = {
        "name": "bicZone",
        "catalog_provider": "dc1-icat",
        "catalog_consumers": ["dc1-irods", "dc2-irods"],
        "port": 1247,
        "administrator": "rods",
        "password_file": "irods_admin_password",
        "federation": [],
        "federation_names": [],
        "federation_ca_files": [],
    }
    expected = {
        "ansible_host": "10.77.0.11",
        "ansible_user": "admin",
        "from_group_vars": "it works",
        "bic_data_centre": "dc1",
        "bic_facility": "",
        "bic_services": ["postgresql", "irods_catalog_provider"],
        "bic_fqdn": "dc1-icat.bic.example",
        "bic_platform": "sandbox",
        "bic_environment": "sandbox",
        "bic_domain": "bic.example",
        "bic_inventory_dir": str(inventory),
        "bic_state_dir": str(inventory / ".state" / "sandbox"),
        "bic_sandbox": {"fleet": "demo", "network": "10.77.0.0/24"},
        "bic_identity": False,
        "bic_scrape": {"password_file": "scrape_password"},
        "bic_zones": {"bicZone": zone},
        "bic_zone": zone,
    }
    assert {name: icat.get(name) for name in expected} == expected
    assert "bic_zone" not in hosts["dc1-idp"]
    assert hosts["dc1-idp"]["ansible_user"] == "root"
    assert hosts["buffer-nantes"]["bic_facility"] == "nantes"
    assert icat["bic_hosts"]["buffer-nantes"] == {  # type: ignore[index]
        "address": "10.77.0.21",
        "fqdn": "buffer-nantes.bic.example",
        "names": ["buffer-nantes.bic.example", "buffer-nantes"],
        "data_centre": "dc1",
        "facility": "nantes",
        "services": [],
    }


def test_braces_in_a_title_are_not_a_template(inventory: Path, edit: Edit) -> None:
    edit("platform.yml", "environment: sandbox", "environment: '{{ 7 * 6 }}'")
    result = ansible_inventory(inventory, "--list")
    assert result.returncode != 0
    assert "'{{ 7 * 6 }}' is not allowed for 'environment'" in result.stderr


def test_a_broken_inventory_stops_ansible_with_our_messages(inventory: Path, edit: Edit) -> None:
    edit("platform.yml", "10.77.0.13", "10.77.0.12")
    edit("facilities/nantes.yml", "data_centre: dc1", "data_centre: dc1\nzone: bicZome")
    result = ansible_inventory(inventory, "--list")
    assert result.returncode != 0
    assert re.search(r"platform\.yml:\d+:40: the address 10\.77\.0\.12 is already used at", result.stderr)
    assert "facilities/nantes.yml:7:7: there is no zone 'bicZome'; did you mean 'bicZone'?" in result.stderr
    assert "Traceback" not in result.stderr


GRAPH = """\
@all:
  |--@ungrouped:
  |--@postgresql:
  |  |--dc1-icat
  |--@irods_gateway:
  |--@authentik:
  |--@federation_proxy:
  |--@omero_server:
  |--@prometheus:
  |  |--dc1-monitor
  |--@grafana:
  |  |--dc2-irods
  |--@controlplane:
  |  |--dc1-monitor
  |--@irods_server:
  |  |--@irods_catalog_provider:
  |  |  |--dc1-icat
  |  |--@irods_catalog_consumer:
  |  |  |--dc1-irods
  |  |  |--dc2-irods
  |--@buffer:
  |  |--buffer-montpellier
  |  |--buffer-nantes
  |--@dc_dc1:
  |  |--dc1-icat
  |  |--dc1-irods
  |  |--dc1-idp
  |  |--dc1-omero
  |  |--dc1-monitor
  |--@dc_dc2:
  |  |--dc2-irods
  |  |--dc2-hpc
  |--@facility_montpellier:
  |  |--buffer-montpellier
  |--@facility_nantes:
  |  |--buffer-nantes
"""


def test_the_graph_reads_well(inventory: Path) -> None:
    result = ansible_inventory(inventory, "--graph")
    assert result.returncode == 0, result.stderr
    assert result.stdout == GRAPH


def test_group_vars_host_vars_and_vault_files_work_as_everywhere(inventory: Path, tmp_path: Path) -> None:
    password = tmp_path / "vault-password"
    password.write_text("a test's password")
    files = {
        "group_vars/all/plain.yml": "level: all\nfrom_all: 1\n",
        "group_vars/all/vault.yml": "database_password: hidden\n",
        "group_vars/dc_dc1.yml": "level: data centre\n",
        "group_vars/facility_nantes.yml": "level: facility\n",
        "host_vars/dc1-icat.yml": "level: host\nbic_fqdn: other.example\n",
    }
    for name, text in files.items():
        (inventory / name).parent.mkdir(parents=True, exist_ok=True)
        (inventory / name).write_text(text)
    vault = inventory / "group_vars" / "all" / "vault.yml"
    key = {"ANSIBLE_VAULT_PASSWORD_FILE": str(password)}
    encrypted = ansible(inventory, "ansible-vault", "encrypt", str(vault), **key)
    assert encrypted.returncode == 0, encrypted.stderr
    assert "hidden" not in vault.read_text()

    result = ansible_inventory(inventory, "--list", **key)
    assert result.returncode == 0, result.stderr
    hosts = json.loads(result.stdout)["_meta"]["hostvars"]
    seen = {name: variables["level"] for name, variables in hosts.items()}
    assert seen["dc1-icat"] == "host"
    assert seen["dc1-idp"] == "data centre"
    assert seen["dc2-hpc"] == "all"
    assert seen["buffer-nantes"] == "facility"
    assert hosts["dc1-icat"]["bic_fqdn"] == "other.example"
    assert {variables["database_password"] for variables in hosts.values()} == {"hidden"}

    without = ansible_inventory(inventory, "--list")
    assert without.returncode != 0
    assert "vault" in without.stderr.lower()


def test_trees_and_federation_reach_the_hosts_they_concern(inventory: Path, edit: Edit) -> None:
    edit(
        "platform.yml",
        "zones:\n  bicZone:\n",
        """zones:
  northZone:
    catalog_provider: dc1-idp
    port: 1300
    federation: [bicZone]
    administrator: {password: {env: NORTH}}
  bicZone:
    federation: [northZone]
    remote_zones: {partnerZone: {host: icat.partner.example}}
""",
    )
    edit("platform.yml", "layout: one_zone\n", "")
    for name in ("nantes", "montpellier"):
        edit(f"facilities/{name}.yml", "\nquota", "\nzone: bicZone\nquota")
    edit("platform.yml", "10.77.0.13}", "10.77.0.13, services: [irods_catalog_provider]}")
    result = ansible_inventory(inventory, "--list")
    assert result.returncode == 0, result.stderr
    hosts = json.loads(result.stdout, object_hook=lambda item: item.get("__ansible_unsafe", item))
    hosts = hosts["_meta"]["hostvars"]
    assert hosts["dc1-icat"]["bic_vault_directories"] == [
        "/var/lib/irods/vaults/archive-dc1",
        "/var/lib/irods/vaults/nantes-raw",
    ]
    assert hosts["dc2-irods"]["bic_vault_directories"] == [
        "/var/lib/irods/vaults/archive-dc2",
        "/var/lib/irods/vaults/montpellier-raw",
    ]
    assert hosts["dc1-idp"]["bic_vault_directories"] == []
    assert hosts["dc1-icat"]["bic_zone"]["federation"] == [
        {
            "zone_name": "northZone",
            "catalog_provider_hosts": ["dc1-idp.bic.example"],
            "zone_port": 1300,
        },
        {
            "zone_name": "partnerZone",
            "catalog_provider_hosts": ["icat.partner.example"],
            "zone_port": 1247,
        },
    ]
    assert hosts["dc1-icat"]["bic_zone"]["federation_names"] == ["bicZone northZone", "bicZone partnerZone"]
    # A server connects to whichever server of the other zone holds the data, so it has to know all of them.
    assert hosts["dc1-idp"]["bic_zones"]["northZone"]["federation"] == [
        {
            "zone_name": "bicZone",
            "catalog_provider_hosts": [
                "dc1-icat.bic.example",
                "dc1-irods.bic.example",
                "dc2-irods.bic.example",
            ],
            "zone_port": 1247,
        }
    ]
    assert hosts["dc1-idp"]["bic_zones"]["northZone"]["federation_names"] == ["bicZone northZone"]


def test_referents_are_told_by_their_addresses(
    listing: dict[str, dict[str, dict[str, dict[str, object]]]],
) -> None:
    assert listing["_meta"]["hostvars"]["dc1-monitor"]["bic_referents"] == [
        {"facility": "montpellier", "to": ["lucia.rossi@montpellier.example"]},
        {"facility": "nantes", "to": ["aurelie.martin@nantes.example"]},
    ]
