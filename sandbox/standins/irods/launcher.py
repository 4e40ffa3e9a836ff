"""Runs the stand-in on a loopback port, in this process or as a command: for tests and development.

The packaged server is `irodsServer`; unlike it, this one needs no installation and no PostgreSQL.
"""

import argparse
import contextlib
import secrets
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import grid, resources
from .catalogue import Catalogue
from .config import PAM_CHECK, FederatedZone, ServerConfig, TlsClient, TlsServer
from .faults import Faults
from .log import Log
from .server import Server

_RULE_ENGINE = "irods_rule_engine_plugin-irods_rule_language-instance"


@dataclass(frozen=True, slots=True)
class Options:
    """How to run a stand-in: its directory holds catalogue, rule bases and vault and may be used again."""

    directory: Path
    zone: str = "tempZone"
    user: str = "rods"
    password: str = "rods"  # noqa: S105 - of a throw-away zone on the loopback interface
    host: str = "localhost"
    aliases: tuple[str, ...] = ()
    """Further names of the host, as iRODS's `host_resolution` gives them."""
    address: str = "127.0.0.1"
    port: int = 0
    policy: str = "CS_NEG_REFUSE"
    tls_server: TlsServer | None = None
    tls_client: TlsClient = field(default_factory=TlsClient)
    provider: tuple[str, int] | None = None
    default_resource: str = "demoResc"
    zone_key: str = "TEMPORARY_ZONE_KEY"
    negotiation_key: str = "32_byte_server_negotiation_key__"
    rule_bases: tuple[tuple[str, str], ...] = ()
    """Names and texts of rule bases that stand before `core`."""
    python: bool = False
    """Whether there is the rule engine for Python, which reads `core.py` in the directory."""
    grace_seconds: float = 30.0
    reload_seconds: float = 0.05
    """How long the port stays closed at a reload after the last client has left."""
    delay_server_seconds: float = 1.0
    resolve_attempts: int = 0
    """Attempts to resolve a storage host at each login: tests have storage resources on made-up hosts."""
    pam_check: tuple[str, ...] = PAM_CHECK
    federation: tuple[FederatedZone, ...] = ()


def core_rules(policy: str, default_resource: str, quotas: str = "off") -> str:
    """Return a rule base `core` with the policies that the stand-in reads."""
    return (
        f'acPreConnect(*OUT) {{ *OUT="{policy}"; }}\n'
        f'acSetRescSchemeForCreate {{ msiSetDefaultResc("{default_resource}","null"); }}\n'
        f'acRescQuotaPolicy {{ msiSetRescQuotaPolicy("{quotas}"); }}\n'
    )


def configuration(options: Options) -> ServerConfig:
    """Return the server's settings, without looking at the disk."""
    return ServerConfig(
        host=options.host,
        host_aliases={options.host: options.aliases},
        port=options.provider[1] if options.provider else options.port,
        zone=options.zone,
        zone_user=options.user,
        zone_key=options.zone_key,
        negotiation_key=options.negotiation_key,
        provider=options.provider is None,
        provider_hosts=(options.provider[0] if options.provider else options.host,),
        client_server_policy=options.policy,
        hash_scheme="SHA256",
        match_hash_policy="compatible",
        rule_bases=(*(name for name, _ in options.rule_bases), "core"),
        rule_engine_instances=(_RULE_ENGINE, "irods_rule_engine_plugin-cpp_default_policy-instance"),
        python=options.python,
        catalogue=options.directory / "catalogue.db",
        rules_directory=options.directory,
        grace_seconds=options.grace_seconds,
        delay_server_seconds=options.delay_server_seconds,
        resolve_attempts=options.resolve_attempts,
        pam_check=options.pam_check,
        federation=options.federation,
        tls_server=options.tls_server,
        tls_client=options.tls_client,
    )


def prepare(options: Options) -> tuple[ServerConfig, Catalogue | None]:
    """Write what a server needs on disk, keeping what is there, and return its settings and catalogue."""
    options.directory.mkdir(parents=True, exist_ok=True)
    rule_base = options.directory / "core.re"
    if not rule_base.exists():
        rule_base.write_text(core_rules(options.policy, options.default_resource))
    for name, text in options.rule_bases:
        (options.directory / f"{name}.re").write_text(text)
    config = configuration(options)
    if not config.provider:
        return config, None
    catalogue = Catalogue(config.catalogue)
    if catalogue.create(options.zone, options.user, options.password):
        with catalogue.write() as tx:
            location = f"{options.host}:{options.directory / 'Vault'}"
            resources.create(tx, options.zone, (options.default_resource, "unixfilesystem", location, ""))
            grid.store(tx, grid.DELAY_SERVER, "leader", options.host)
    catalogue.close()
    return config, catalogue


@contextlib.contextmanager
def running(options: Options, faults: Faults | None = None) -> Iterator[Server]:
    """Run a server in a thread of this process; with faults, if they are given."""
    config, catalogue = prepare(options)
    address = options.address, options.port
    log = Log(options.zone, syslog=False)
    server = Server(config, catalogue, log, address, faults, reload_seconds=options.reload_seconds)
    thread = threading.Thread(target=server.serve, daemon=True, name="irodsServer")
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(timeout=10)


def main() -> None:
    """Run a server until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="catalogue, rule bases and vault; kept")
    parser.add_argument("--port", type=int, default=1247)
    parser.add_argument("--zone", default="tempZone")
    parser.add_argument(
        "--no-database", action="store_true", required=True, help="confirms that no PostgreSQL is watched"
    )
    arguments = parser.parse_args()
    password_file = arguments.directory / "password"
    arguments.directory.mkdir(parents=True, exist_ok=True)
    if not password_file.exists():
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_hex(16))
    options = Options(arguments.directory, zone=arguments.zone, password=password_file.read_text())
    with running(replace(options, port=arguments.port)) as server:
        print(f"rods at 127.0.0.1:{server.port}, zone {options.zone}; password in {password_file}")
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
