"""What the role irods_server gives to setup and to the server; to see that it is right needs no server.

The facts are from the schemas, the setup script and the packaging of iRODS 5.0.2, and from the input with
which a real 5.0.2 was set up.
"""

import base64
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


def test_what_was_rolled_out_in_python_stays_with_its_engine(tmp_path: Path, schemas: Path) -> None:
    module = "bic_file_names_0123456789ab"
    chain = [module, "bic-raw-data-0123456789ab", "bic-tls", "core"]
    record = base64.b64encode(json.dumps({"re_rulebase_set": chain}).encode()).decode()
    given = {**GIVEN, "output": str(tmp_path), "irods_server_deployed": {"content": record}}
    run_tasks(tmp_path, ROLE, [TASK], json.dumps(given))
    written = json.loads((tmp_path / "consumer.json").read_text())
    assert "irods-rule-engine-plugin-python" in written["packages"]
    config = written["input"]["server_config"]
    engines = config["plugin_configuration"]["rule_engines"]
    assert [one["plugin_name"].rpartition("-")[2] for one in engines] == [
        "python",
        "irods_rule_language",
        "cpp_default_policy",
    ]
    assert engines[0] == {
        "instance_name": "irods_rule_engine_plugin-python-instance",
        "plugin_name": "irods_rule_engine_plugin-python",
        "plugin_specific_configuration": {"bic_rule_bases": [module]},
    }
    assert engines[1]["plugin_specific_configuration"]["re_rulebase_set"] == chain[1:]
    assert check(config, schemas, tmp_path).returncode == 0


def test_the_engine_for_python_is_installed_where_a_rule_base_in_force_needs_it(
    tmp_path: Path, provider: dict[str, Any]
) -> None:
    assert "irods-rule-engine-plugin-python" not in provider["packages"]
    given = {**GIVEN, "output": str(tmp_path), "irods_server_python_rules": True}
    run_tasks(tmp_path, ROLE, [TASK], json.dumps(given))
    written = json.loads((tmp_path / "provider.json").read_text())
    assert "irods-rule-engine-plugin-python" in written["packages"]
    # It is asked from the first rollout on: without core.py the engine would refuse everything.
    assert len(written["input"]["server_config"]["plugin_configuration"]["rule_engines"]) == 2


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ('{"log_message":"error parsing rule"}', "now runs WITHOUT its policies"),
        (
            '{"log_message":"caught python exception","python_exception":"... in <module>\\nNameError: x"}',
            "now refuses EVERYTHING",
        ),
        (
            '{"log_message":"caught python exception","python_exception":"in pep_x_pre\\nNameError: x"}',
            "",
        ),
        ('{"log_message":"all is well"}', ""),
    ],
)
def test_rules_that_the_server_could_not_read_are_told(tmp_path: Path, message: str, told: str) -> None:
    journal = tmp_path / "journalctl"
    journal.write_text(f"#!/bin/sh\ncat <<'END'\n{message}\nEND\n")
    journal.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(ROLE / "files/irods-service"), "rules", "0"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, told in done.stderr) == (1 if told else 0, True)


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
