"""What Ansible sees of the platform."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from inventory_editing import Edit

ROOT = Path(__file__).parents[3]
PLUGINS = ROOT / "controlplane" / "ansible"


def ansible_inventory(inventory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ansible-inventory with our plugin alone."""
    command = shutil.which("ansible-inventory", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert command, "ansible-inventory is not installed"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(inventory),
        "LANG": "C.UTF-8",
        "ANSIBLE_INVENTORY_PLUGINS": str(PLUGINS),
        "ANSIBLE_INVENTORY_ENABLED": "bic",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_NOCOLOR": "1",
    }
    return subprocess.run(
        [command, "-i", str(inventory / "platform.yml"), *arguments],
        env=environment,
        cwd=inventory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


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
        "catalog_consumers": ["dc2-irods"],
        "port": 1247,
        "administrator": "rods",
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
    edit("facilities/nantes.yml", "zone: bicZone", "zone: bicZome")
    result = ansible_inventory(inventory, "--list")
    assert result.returncode != 0
    assert "platform.yml:20:40: the address 10.77.0.12 is already used at" in result.stderr
    assert "facilities/nantes.yml:7:7: there is no zone 'bicZome'; did you mean 'bicZone'?" in result.stderr
    assert "Traceback" not in result.stderr
