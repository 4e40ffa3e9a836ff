"""`server_config.json` as the server uses it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .release import VERSION

RELEASE = "rods" + ".".join(map(str, VERSION))
API_VERSION = "d"
PYTHON_ENGINE = "irods_rule_engine_plugin-python"
PAM_CHECK = ("/usr/sbin/irodsPamAuthCheck",)


class ConfigError(Exception):
    """A configuration that cannot be used; the text says which part and why."""


@dataclass(frozen=True, slots=True)
class TlsServer:
    """What the server shows to those who connect to it."""

    certificate_chain_file: Path
    certificate_key_file: Path
    dh_params_file: Path


@dataclass(frozen=True, slots=True)
class TlsClient:
    """What the server demands of servers that it connects to: `none`, `cert` or `hostname`."""

    verify_server: str = "hostname"
    ca_certificate_file: str | None = None
    ca_certificate_path: str | None = None


@dataclass(frozen=True, slots=True)
class FederatedZone:
    """A zone that the server knows as another one: its own key, that of the federation, and its servers."""

    name: str
    zone_key: str
    negotiation_key: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server's settings."""

    host: str
    port: int
    zone: str
    zone_user: str
    zone_key: str
    negotiation_key: str
    provider: bool
    provider_hosts: tuple[str, ...]
    client_server_policy: str
    hash_scheme: str
    match_hash_policy: str
    rule_bases: tuple[str, ...]
    rule_engine_instances: tuple[str, ...]
    python: bool
    """Whether there is the rule engine for Python, which is asked before the one of the rule language."""
    catalogue: Path
    rules_directory: Path
    tls_server: TlsServer | None = None
    tls_client: TlsClient = field(default_factory=TlsClient)
    database: dict[str, Any] | None = field(default=None, repr=False)
    host_aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    grace_seconds: float = 30.0
    """How long clients may stay when the server stops gracefully or reloads."""
    delay_server_seconds: float = 30.0
    """How long the delay server waits before it looks into the queue again."""
    migration_seconds: float = 5.0
    """How often a server looks whether it is to run the delay server."""
    resolve_attempts: int = 300
    """How often a new connection asks for the address of a storage resource's host that has none, a tenth of
    a second apart, as in iRODS."""
    federation: tuple[FederatedZone, ...] = ()
    pam_check: tuple[str, ...] = PAM_CHECK
    """The program that asks PAM, with its first arguments; the user is its last, the password its input."""


def load(path: Path, catalogue: Path) -> ServerConfig:
    """Read a `server_config.json`. Raises `ConfigError` when it cannot be read or misses what is needed.

    The rule bases are looked for beside it. The packaged server has validated the file against its schema
    before.
    """
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    try:
        return parse(document, catalogue, path.parent)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: missing or malformed: {error}") from error


def parse(document: dict[str, Any], catalogue: Path, rules_directory: Path) -> ServerConfig:
    """Return the settings in a configuration document.

    Raises `KeyError` or `TypeError` for what is missing.
    """
    engines = document["plugin_configuration"]["rule_engines"]
    rule_bases = [
        name
        for engine in engines
        for name in engine.get("plugin_specific_configuration", {}).get("re_rulebase_set", [])
    ]
    advanced = document["advanced_settings"]
    tls = document.get("tls_server")
    client = document.get("tls_client", {})
    entries = document["host_resolution"]["host_entries"]
    return ServerConfig(
        host=document["host"],
        port=int(document["zone_port"]),
        zone=document["zone_name"],
        zone_user=document["zone_user"],
        zone_key=document["zone_key"],
        negotiation_key=document["negotiation_key"],
        provider=document["catalog_service_role"] == "provider",
        provider_hosts=tuple(document["catalog_provider_hosts"]),
        client_server_policy=document["client_server_policy"],
        hash_scheme=document["default_hash_scheme"],
        match_hash_policy=document["match_hash_policy"],
        rule_bases=tuple(rule_bases),
        rule_engine_instances=tuple(engine["instance_name"] for engine in engines),
        python=any(engine["plugin_name"] == PYTHON_ENGINE for engine in engines),
        catalogue=catalogue,
        rules_directory=rules_directory,
        grace_seconds=float(document["graceful_shutdown_timeout_in_seconds"]),
        delay_server_seconds=float(advanced["delay_server_sleep_time_in_seconds"]),
        migration_seconds=float(advanced["migrate_delay_server_sleep_time_in_seconds"]),
        tls_server=None
        if tls is None
        else TlsServer(
            Path(tls["certificate_chain_file"]),
            Path(tls["certificate_key_file"]),
            Path(tls["dh_params_file"]),
        ),
        tls_client=TlsClient(
            client.get("verify_server", "hostname"),
            client.get("ca_certificate_file"),
            client.get("ca_certificate_path"),
        ),
        database=document["plugin_configuration"].get("database"),
        host_aliases={
            entry["addresses"][0]: tuple(entry["addresses"]) for entry in entries if entry.get("addresses")
        },
        federation=tuple(
            FederatedZone(
                zone["zone_name"],
                zone["zone_key"],
                zone["negotiation_key"],
                tuple(zone["catalog_provider_hosts"]),
            )
            for zone in document["federation"]
        ),
    )
