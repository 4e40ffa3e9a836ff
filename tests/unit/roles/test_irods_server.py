"""What the role irods_server gives to setup and to the server; to see that it is right needs no server.

The facts are from the schemas, the setup script and the packaging of iRODS 5.0.2, and from the input with
which a real 5.0.2 was set up.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rendering import run_tasks

CLONE = Path(__file__).parents[3]
ROLE = CLONE / "roles/irods_server"
SCHEMAS = "BIC_IRODS_SCHEMAS"
"""Names the folder `configuration_schemas/v5` of a real iRODS, where that is to judge."""
STANDIN = CLONE / "sandbox/standins/irods/files/server_config.schema.json"

GIVEN: dict[str, Any] = {
    "ansible_facts": {
        "fqdn": "dc1-icat.bic.example",
        "distribution_release": "bookworm",
        "default_ipv4": {"address": "192.0.2.11"},
    },
    "irods_server_zone": "dc1Zone",
    "irods_server_zone_key": "A_zone_key",
    "irods_server_negotiation_key": "n" * 32,
    "irods_server_admin_password": "the administrator's",
    "irods_server_database_password": "the database's",
    "irods_server_federation": [
        {
            "zone_name": "dc2Zone",
            "catalog_provider_hosts": ["dc2-icat.bic.example"],
            "zone_port": 1247,
            "zone_key": "Another_key",
            "negotiation_key": "f" * 32,
        }
    ],
    "irods_server_s3_credentials": [{"name": "objects", "access_key": "id", "secret_key": "secret"}],
    "irods_server_max_connections": 200,
}

PARTS = {
    "admin_password": str,
    "default_resource_directory": str,
    "default_resource_name": str,
    "host_system_information": dict,
    "server_config": dict,
    "service_account_environment": dict,
}
"""What setup_irods.py takes from its file."""

TASK: dict[str, Any] = {
    "ansible.builtin.copy": {
        "content": "{{ {'input': irods_server_setup_input, 'versions': irods_server_package_versions,"
        " 'packages': irods_server_packages} | to_nice_json }}",
        "dest": "{{ output }}/{{ irods_server_role }}.json",
        "mode": "0600",
    },
    "vars": {"irods_server_role": "{{ item }}"},
    "loop": ["provider", "consumer"],
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the role works with as a provider and as a consumer."""
    folder = tmp_path_factory.mktemp("written")
    run_tasks(folder, ROLE, [TASK], json.dumps({**GIVEN, "output": str(folder)}))
    return folder


@pytest.fixture(scope="module")
def provider(written: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((written / "provider.json").read_text())
    return document


@pytest.fixture(scope="module")
def consumer(written: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((written / "consumer.json").read_text())
    return document


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    """The folder of schemas that judges."""
    if folder := os.environ.get(SCHEMAS):
        return Path(folder)
    shutil.copy(STANDIN, tmp_path / "server_config.json")
    return tmp_path


def check(config: dict[str, Any], schemas: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The judgement of the command that the role calls before it puts a configuration in place."""
    (folder / "candidate.json").write_text(json.dumps(config))
    command = [sys.executable, "-W", "ignore", str(ROLE / "files/irods-check-config")]
    return subprocess.run(
        [*command, str(folder / "candidate.json"), str(schemas)], capture_output=True, text=True, check=False
    )


def test_setup_gets_what_it_takes(provider: dict[str, Any], consumer: dict[str, Any]) -> None:
    for document in (provider["input"], consumer["input"]):
        assert {name: type(value) for name, value in document.items()} == PARTS
        account = document["host_system_information"]
        assert account == {"service_account_user_name": "irods", "service_account_group_name": "irods"}


@pytest.mark.parametrize("role", ["provider", "consumer"])
def test_the_schema_allows_the_configuration(
    role: str, request: pytest.FixtureRequest, schemas: Path, tmp_path: Path
) -> None:
    config = request.getfixturevalue(role)["input"]["server_config"]
    judged = check(config, schemas, tmp_path)
    assert (judged.returncode, judged.stderr) == (0, "")
    for wrong in ({"zone_port": "1247"}, {"tls_server": {"certificate_key_file": "/x"}}, {"log_level": 1}):
        assert check({**config, **wrong}, schemas, tmp_path).returncode == 1, wrong


def test_a_consumer_has_no_way_into_the_database(provider: dict[str, Any], consumer: dict[str, Any]) -> None:
    assert "database" in provider["input"]["server_config"]["plugin_configuration"]
    assert "database" not in consumer["input"]["server_config"]["plugin_configuration"]
    assert GIVEN["irods_server_database_password"] not in json.dumps(consumer["input"])


def test_encryption_is_demanded_and_verified_on_both_sides(provider: dict[str, Any]) -> None:
    config, client = provider["input"]["server_config"], provider["input"]["service_account_environment"]
    assert config["client_server_policy"] == client["irods_client_server_policy"] == "CS_NEG_REQUIRE"
    assert config["tls_client"]["verify_server"] == client["irods_ssl_verify_server"] == "hostname"
    assert config["tls_client"]["ca_certificate_file"] == client["irods_ssl_ca_certificate_file"] != ""
    assert set(config["tls_server"]) == {"certificate_chain_file", "certificate_key_file", "dh_params_file"}
    assert (ROLE / "files/bic-tls.re").read_text().count('*OUT = "CS_NEG_REQUIRE"') == 1
    engine = config["plugin_configuration"]["rule_engines"][0]["plugin_specific_configuration"]
    assert engine["re_rulebase_set"] == ["bic-tls", "core"]


def numbers(document: Any) -> Iterator[str]:
    """All texts that look like numbers: the server's schema wants numbers as numbers."""
    if isinstance(document, dict):
        for value in document.values():
            yield from numbers(value)
    elif isinstance(document, list):
        for value in document:
            yield from numbers(value)
    elif isinstance(document, str) and document.isdecimal():
        yield document


def test_numbers_are_numbers(provider: dict[str, Any]) -> None:
    # Modes of files are texts to the server, too.
    assert sorted(numbers(provider["input"])) == ["0600", "0750"]


def test_packages_have_the_versions_that_upstream_publishes(
    provider: dict[str, Any], consumer: dict[str, Any]
) -> None:
    # A plugin has a version of its own, and that of the servers after the plus (IrodsCPackCommon.cmake).
    assert provider["versions"] == {
        **dict.fromkeys(
            ["irods-runtime", "irods-server", "irods-icommands", "irods-database-plugin-postgres"],
            "5.0.2-0~bookworm",
        ),
        "irods-resource-plugin-s3": "5.0.1-0+5.0.2~bookworm",
        "irods-rule-engine-plugin-python": "5.0.1-0+5.0.2~bookworm",
    }
    # Setup of a consumer calls iadmin, and irods-server does not depend on it.
    assert "irods-icommands" in consumer["packages"]
    assert "irods-database-plugin-postgres" not in consumer["packages"]
    for document in (provider, consumer):
        assert set(document["packages"]) <= set(document["versions"])
