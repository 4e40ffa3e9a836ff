"""The shipped inventories: they load, are made up throughout, and give the roles all that they need."""

import ipaddress
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from controlplane.model import Platform, load_platform
from sandbox.demo import ansible as demo_ansible

ROOT = Path(__file__).parents[3]
INVENTORIES = ROOT / "inventories"
NATIONS = ("production", "staging")
DOCUMENTATION = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
MODELINE = "# yaml-language-server: $schema="


@pytest.fixture(scope="module", params=NATIONS)
def nation(request: pytest.FixtureRequest) -> Platform:
    return load_platform(INVENTORIES / request.param)


def yaml(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text("utf-8"))


def test_the_reference_nation_has_its_size() -> None:
    production = load_platform(INVENTORIES / "production")
    staging = load_platform(INVENTORIES / "staging")
    assert (len(production.data_centres), len(production.facilities)) == (2, 30)
    assert set(staging.data_centres) == set(production.data_centres)
    assert set(staging.zones) == set(production.zones)
    assert set(staging.facilities) < set(production.facilities)
    assert staging.name != production.name, "marks of one must mean nothing in the other"


def test_everything_in_it_is_made_up(nation: Platform) -> None:
    assert nation.domain.endswith(".example")
    for host in nation.hosts.values():
        assert any(host.address in network for network in DOCUMENTATION), host
    for person in nation.people.values():
        assert person.email.endswith(".example"), person
    for path in (INVENTORIES / nation.environment).rglob("*"):
        if path.is_file():
            assert "$ANSIBLE_VAULT" not in path.read_text("utf-8"), f"{path} holds a secret"
    assert not nation.sandbox


def test_every_copy_is_in_both_data_centres(nation: Platform) -> None:
    for zone in nation.zones:
        resources = {found.name: found for found in nation.storage_resources_of(zone)}
        roots = [found for found in resources.values() if found.parent is None]
        assert roots
        for root in roots:
            assert root.kind == "replication"
            places = {
                child.name: {
                    nation.hosts[leaf.host].data_centre for leaf in leaves(resources.values(), child)
                }
                for child in resources.values()
                if child.parent == root.name
            }
            assert len(places) == 2
            assert set.union(*places.values()) == set(nation.data_centres)


def leaves(resources: Any, root: Any) -> list[Any]:
    children = [found for found in resources if found.parent == root.name]
    return [leaf for child in children for leaf in leaves(resources, child)] if children else [root]


OURS = [
    path
    for pattern in ("platform.yml", "facilities/*.yml", "policies/*.yml")
    for path in sorted(INVENTORIES.glob(f"*/{pattern}"))
]


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(INVENTORIES)))
def test_editors_find_the_schema(path: Path) -> None:
    first = path.read_text("utf-8").partition("\n")[0]
    assert first.startswith(MODELINE)
    assert (path.parent / first.removeprefix(MODELINE)).is_file()


@pytest.mark.parametrize("name", NATIONS)
def test_ansible_reads_it(name: str) -> None:
    graph = ansible("ansible-inventory", "-i", INVENTORIES / name / "platform.yml", "--graph")
    assert "dc1-icat" in graph
    assert "@facility_nantes:" in graph


@pytest.mark.parametrize("name", NATIONS)
def test_the_roles_get_all_that_they_need(name: str, tmp_path: Path) -> None:
    """site.yml as it is, with roles that only check what they are given, and the example's secrets."""
    for role in (ROOT / "roles").iterdir():
        copy_checks(role, tmp_path / "roles" / role.name)
    for beside in ("monitoring", "playbooks", "requirements"):  # Defaults of roles point there.
        (tmp_path / beside).symlink_to(ROOT / beside)
    (tmp_path / "site.yml").write_text(json.dumps(playbook_without_hosts()), "utf-8")
    output = ansible(
        "ansible-playbook",
        "-i",
        INVENTORIES / name / "platform.yml",
        "-e",
        f"@{INVENTORIES / name / 'vault.example.yml'}",
        # All buffer servers are alike.
        "--limit=all:!buffer:buffer-nantes",
        tmp_path / "site.yml",
        ANSIBLE_ROLES_PATH=str(tmp_path / "roles"),
        ANSIBLE_GATHERING="explicit",
    )
    checked = [line for line in output.splitlines() if "Validating arguments against arg spec" in line]
    assert {line.split("[")[1].split(" :")[0] for line in checked} >= {
        "base",
        "postgresql",
        "irods_server",
        "irods_gateway",
        "controlplane",
        "prometheus",
    }


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("site_federation_keys", "irods_server_federation, dc2Zone, euroZone: negotiation_key is the key of"),
        ("site_zone_keys", "irods_server_federation, dc2Zone, euroZone: zone_key is that zone's own"),
        ("site_s3_credentials", "irods_server_s3_credentials, dc2-objects: name is"),
    ],
)
def test_a_missing_secret_of_a_zone_is_named(tmp_path: Path, missing: str, message: str) -> None:
    for role in ("irods_server", "ldap_client"):
        copy_checks(ROOT / "roles" / role, tmp_path / "roles" / role)
    play = {
        "hosts": "dc2-replica",
        "gather_facts": False,
        "vars_files": [str(ROOT / "playbooks" / "vars" / f"{part}.yml") for part in ("platform", "irods")],
        "pre_tasks": [{"ansible.builtin.set_fact": {**FACTS, "cacheable": True}}],
        "roles": ["irods_server"],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]), "utf-8")
    inventory = INVENTORIES / "production"
    output = ansible(
        "ansible-playbook",
        *("-i", inventory / "platform.yml", "-e", f"@{inventory / 'vault.example.yml'}"),
        *("-e", json.dumps({missing: {}}), tmp_path / "play.yml"),
        check=False,
        ANSIBLE_ROLES_PATH=str(tmp_path / "roles"),
    )
    assert message in " ".join(output.split())


PORTAL = """
portal:
  host: dc1-monitor
  url: https://pages.bic.example
  client_secret: {file: "{state_dir}/secrets/portal_client_secret"}
  token: {file: "{state_dir}/secrets/portal_token"}
"""


@pytest.mark.parametrize("portal", ["", PORTAL])
def test_the_login_server_knows_the_portal_as_the_platform_describes_it(tmp_path: Path, portal: str) -> None:
    inventory = tmp_path / "inventories" / "production"
    shutil.copytree(INVENTORIES / "production", inventory)
    with (inventory / "platform.yml").open("a", encoding="utf-8") as file:
        file.write(portal)
    told = tmp_path / "applications.json"
    both = "{{ {'applications': authentik_applications, 'token': authentik_portal_token} | to_json }}"
    asks = {"content": both, "dest": str(told), "mode": "0600"}
    play = {
        "hosts": "dc1-idp",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [
            str(ROOT / "playbooks" / "vars" / f"{part}.yml") for part in ("platform", "authentik")
        ],
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [{"ansible.builtin.copy": asks}],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]), "utf-8")
    vault = inventory / "vault.example.yml"
    ansible("ansible-playbook", "-i", inventory / "platform.yml", "-e", f"@{vault}", tmp_path / "play.yml")
    knows = json.loads(told.read_text("utf-8"))
    applications = knows["applications"]
    assert "grafana" in applications
    expected = {
        "title": "Portal",
        "launch_url": "https://pages.bic.example/",
        "redirect_uris": ["https://pages.bic.example/login/callback"],
        "client_secret": yaml(vault)["vault_oidc_client_secrets"]["portal"],
    }
    assert applications.get("portal") == (expected if portal else None)
    assert knows["token"] == (yaml(vault)["vault_portal_token"] if portal else "")


@pytest.mark.parametrize("name", NATIONS)
def test_a_missing_vault_is_named(name: str, tmp_path: Path) -> None:
    play = [{"hosts": "dc1-icat", "gather_facts": False, "tasks": []}]
    play[0]["tasks"] = [{"ansible.builtin.debug": {"var": "irods_server_zone_key"}, "failed_when": False}]
    (tmp_path / "play.yml").write_text(json.dumps(play), "utf-8")
    output = ansible(
        "ansible-playbook", "-i", INVENTORIES / name / "platform.yml", tmp_path / "play.yml", check=False
    )
    assert "vault_irods_zone_keys" in output


def test_the_vault_has_a_place_for_every_secret() -> None:
    """Each `vault_…` that group_vars use is in the example, and the example has no other."""
    for name in NATIONS:
        folder = INVENTORIES / name
        used = {
            word.strip("\"'{}[] ").partition(".")[0].partition("[")[0]
            for path in (folder / "group_vars").rglob("*.yml")
            for word in path.read_text("utf-8").split()
            if word.startswith("vault_")
        }
        assert {word for word in used if word != "vault"} == set(yaml(folder / "vault.example.yml"))


def copy_checks(role: Path, copy: Path) -> None:
    """A role with its interface and those of its checks that look at nothing but variables."""
    for part in ("defaults", "vars", "meta"):
        if (role / part).is_dir():
            shutil.copytree(role / part, copy / part)
    preflight = role / "tasks" / "preflight.yml"
    tasks: Sequence[Any] = yaml(preflight) if preflight.exists() else []
    checks = list(itertools.takewhile(lambda task: "ansible.builtin.assert" in task, tasks))
    (copy / "tasks").mkdir()
    (copy / "tasks" / "main.yml").write_text(json.dumps(checks), "utf-8")


FACTS = {
    "ansible_fqdn": "{{ bic_fqdn }}",
    "ansible_distribution": "Debian",
    "ansible_distribution_major_version": "12",
    "ansible_distribution_version": "12.11",
    "ansible_distribution_release": "bookworm",
    "ansible_memtotal_mb": 65536,
    "ansible_default_ipv4": {"address": "{{ ansible_host }}"},
    "ansible_virtualization_role": "guest",
    "ansible_virtualization_type": "kvm",
}
"""What Ansible would find on each host."""


def playbook_without_hosts() -> list[Any]:
    """site.yml for hosts that nobody can reach: it is told the facts that it would gather."""
    plays = yaml(ROOT / "site.yml")
    assert plays[0].pop("gather_facts") is True
    told = {"ansible.builtin.set_fact": {**FACTS, "cacheable": True}}
    return [{"hosts": "all", "gather_facts": False, "tasks": [told]}, *plays]


def ansible(program: str, *arguments: object, check: bool = True, **environment: str) -> str:
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("BIC_", "ANSIBLE_"))}
    result = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *map(str, arguments)],
        cwd=ROOT,
        env={**keep, **demo_ansible.environment(), "ANSIBLE_NOCOLOR": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert not check or result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    return result.stdout + result.stderr
