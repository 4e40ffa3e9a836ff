"""What the role irods_gateway writes for the iRODS HTTP API; to see that it is right needs no HTTP API.

The facts are from the schema and the checks in `core/src/main.cpp` of irods_client_http_api 0.7.0.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rendering import run_tasks

ROLE = Path(__file__).parents[3] / "roles/irods_gateway"

REQUIRED: dict[str, type | tuple[Any, ...]] = {
    "http_server/host": str,
    "http_server/port": int,
    "http_server/log_level": ("trace", "debug", "info", "warn", "error", "critical"),
    "http_server/authentication/eviction_check_interval_in_seconds": int,
    "http_server/authentication/basic/timeout_in_seconds": int,
    "http_server/requests/threads": int,
    "http_server/requests/max_size_of_request_body_in_bytes": int,
    "http_server/requests/timeout_in_seconds": int,
    "http_server/background_io/threads": int,
    "irods_client/name": str,
    "irods_client/host": str,
    "irods_client/port": int,
    "irods_client/zone": str,
    "irods_client/tls/client_server_policy": ("CS_NEG_REFUSE", "CS_NEG_DONT_CARE", "CS_NEG_REQUIRE"),
    "irods_client/tls/ca_certificate_file": str,
    "irods_client/tls/verify_server": ("none", "cert", "hostname"),
    "irods_client/tls/client_server_negotiation": str,
    "irods_client/tls/encryption_algorithm": str,
    "irods_client/tls/encryption_key_size": int,
    "irods_client/tls/encryption_hash_rounds": int,
    "irods_client/tls/encryption_salt_size": int,
    "irods_client/enable_4_2_compatibility": bool,
    "irods_client/proxy_admin_account/username": str,
    "irods_client/proxy_admin_account/password": str,
    "irods_client/connection_pool/size": int,
    "irods_client/connection_pool/refresh_timeout_in_seconds": int,
    "irods_client/connection_pool/max_retrievals_before_refresh": int,
    "irods_client/connection_pool/refresh_when_resource_changes_detected": bool,
    "irods_client/max_number_of_parallel_write_streams": int,
    "irods_client/max_number_of_streams_per_parallel_write_handle": int,
    "irods_client/max_number_of_bytes_per_read_operation": int,
    "irods_client/max_number_of_bytes_per_write_operation": int,
    "irods_client/max_number_of_rows_per_catalog_query": int,
}
"""Each key of its schema but for those of OpenID Connect, with the type or the values that it allows."""

GIVEN = {
    "irods_gateway_fqdn": "gate.bic.example",
    "irods_gateway_address": "192.0.2.19",
    "irods_gateway_zone": "dc1Zone",
    "irods_gateway_zone_host": "dc1-icat.bic.example",
    "irods_gateway_services": ["webdav", "http_api"],
    "irods_gateway_http_api_proxy_user": "rods",
    "irods_gateway_http_api_proxy_password": 'a password: {{ with }} "signs"',
}

TASKS: list[dict[str, Any]] = [
    {
        "ansible.builtin.copy": {
            "content": "{{ irods_gateway_http_api_config | to_nice_json }}",
            "dest": "{{ output }}/config.json",
            "mode": "0600",
        }
    },
    {
        "ansible.builtin.template": {
            "src": str(ROLE / "templates/{{ item }}.j2"),
            "dest": "{{ output }}/{{ item }}",
            "mode": "0600",
        },
        "loop": ["nginx.conf", "irods-http-api.service", "irods-webdav.service"],
    },
]


def render(folder: Path, **more: object) -> Path:
    """The files that the role writes with these variables."""
    # As inventories give secrets: a text that is not a template.
    text = json.dumps({**GIVEN, **more, "output": str(folder)})
    secret = json.dumps(GIVEN["irods_gateway_http_api_proxy_password"])
    run_tasks(folder, ROLE, TASKS, text.replace(secret, f"!unsafe {secret}"))
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the role writes where both services are wanted."""
    return render(tmp_path_factory.mktemp("both"))


@pytest.fixture(scope="module")
def config(written: Path) -> dict[str, Any]:
    """The configuration of the HTTP API."""
    document: dict[str, Any] = json.loads((written / "config.json").read_text())
    return document


def leaves(document: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its path."""
    for key, value in document.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}{key}/")
        else:
            yield f"{above}{key}", value


def test_the_http_api_gets_every_key_that_it_knows_and_no_other(config: dict[str, Any]) -> None:
    assert {path for path, _ in leaves(config)} == REQUIRED.keys()


def test_every_value_is_of_the_type_that_it_takes(config: dict[str, Any]) -> None:
    for path, value in leaves(config):
        allowed = REQUIRED[path]
        if isinstance(allowed, tuple):
            assert value in allowed, path
        else:
            assert type(value) is allowed, path
        if allowed is int:
            assert value >= 1, path


def test_it_listens_where_nginx_alone_can_reach_it(config: dict[str, Any]) -> None:
    """Its schema takes an IPv4 address only."""
    assert re.fullmatch(r"127(\.[0-9]{1,3}){3}", config["http_server"]["host"])


def test_the_streams_of_one_upload_are_not_more_than_there_are(config: dict[str, Any]) -> None:
    """It checks this beyond its schema and does not start otherwise."""
    client = config["irods_client"]
    assert (
        client["max_number_of_streams_per_parallel_write_handle"]
        <= client["max_number_of_parallel_write_streams"]
    )


def test_the_zone_is_verified_and_no_connection_is_kept(config: dict[str, Any]) -> None:
    client = config["irods_client"]
    assert client["tls"]["client_server_policy"] == "CS_NEG_REQUIRE"
    assert client["tls"]["verify_server"] == "hostname"
    assert client["enable_4_2_compatibility"] is True


def test_the_password_is_in_its_configuration_and_nowhere_else(written: Path, config: dict[str, Any]) -> None:
    password = GIVEN["irods_gateway_http_api_proxy_password"]
    assert config["irods_client"]["proxy_admin_account"]["password"] == password
    for name in ("nginx.conf", "irods-http-api.service", "irods-webdav.service"):
        assert '"signs"' not in (written / name).read_text()


def test_one_may_add_what_has_no_variable(tmp_path: Path) -> None:
    oidc = {"provider_url": "https://login.bic.example/application/o/irods"}
    overrides = {"http_server": {"authentication": {"openid_connect": oidc}}}
    render(tmp_path, irods_gateway_http_api_config_overrides=overrides)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["http_server"]["authentication"]["openid_connect"] == oidc
    assert config["http_server"]["authentication"]["basic"]["timeout_in_seconds"] == 3600


def test_nginx_leads_to_the_services_that_are_wanted(written: Path, tmp_path: Path) -> None:
    both = (written / "nginx.conf").read_text()
    assert "location /irods-http-api/ {" in both
    assert "location / {" in both
    webdav = (render(tmp_path, irods_gateway_services=["webdav"]) / "nginx.conf").read_text()
    assert "irods-http-api" not in webdav
    http_api = (render(tmp_path, irods_gateway_services=["http_api"]) / "nginx.conf").read_text()
    assert "location / {" not in http_api
    assert "proxy_pass http://127.0.0.1:9000/irods-http-api/0.7.0/info;" in http_api
