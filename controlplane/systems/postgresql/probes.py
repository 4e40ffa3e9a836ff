"""Does each PostgreSQL server let its clients in, and are its databases backed up?

Only the store's server is open to the control host; of the others the monitoring tells.
"""

import struct
import time
from collections.abc import Iterator
from functools import partial

import psycopg

from controlplane.health.net import TIMEOUT, connect, secured_lasts
from controlplane.health.port import (
    NOBODY,
    Check,
    CheckFailedError,
    FindingError,
    Probe,
    Severity,
    UnseenError,
    machine,
    service,
)
from controlplane.model import Host, Platform
from controlplane.model.platform import StoreDatabase
from controlplane.systems.prometheus.query import Sample, Watcher, watcher_of

PORT = 5432

TLS_REQUEST = struct.pack("!ii", 8, 80877103)
"""SSLRequest of PostgreSQL's protocol; the server answers `S` when TLS may begin."""

BACKUP_AGE = 36 * 3600
"""Seconds after which a backup is old, as in the alert PostgreSQLBackupOld."""

DRILL_AGE = 9 * 86400
"""Seconds after which the last proof is old that a backup can be restored, as in PostgreSQLBackupUnproven."""

DOWN = "Everything whose database is here stands still: a zone's catalogue, the login server or the store."


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe per server, and one of its backups where there is a Prometheus."""
    for host in platform.hosts_with("postgresql"):
        watcher = watcher_of(platform, host)
        provides, needs = service("postgresql", host.name), (machine(host.name),)
        if platform.store is not None and platform.store.host == host.name:
            yield Probe(
                "PostgreSQL", host.name, _asked(platform.store), provides=provides, needs=needs, serves=NOBODY
            )
        elif watcher:
            up = Check("login", partial(_up, watcher, host.name), DOWN, "PostgreSQLDown#look")
            yield Probe(
                "PostgreSQL",
                host.name,
                (up,),
                provides=provides,
                needs=needs,
                through=(watcher.provided,),
                serves=NOBODY,
            )
        if watcher:
            yield Probe(
                "PostgreSQL",
                f"{host.name}, backups",
                tuple(_backups(watcher, host)),
                needs=needs,
                through=(watcher.provided,),
                serves=NOBODY,
            )


def _asked(store: StoreDatabase) -> tuple[Check, ...]:
    return (
        Check("login", partial(check_login, store), DOWN, "PostgreSQLDown#look"),
        Check(
            "certificate",
            partial(check_certificate, str(store.address), PORT, store),
            "When it has ended, clients refuse the server.",
            "README#certificates",
            Severity.WARNING,
        ),
    )


def _backups(watcher: Watcher, host: Host) -> Iterator[Check]:
    yield Check(
        "backup",
        partial(_backed_up, watcher, host.name),
        "If the database were lost now, all that was written since its last backup would be lost.",
        "PostgreSQLBackupOld#look",
        Severity.WARNING,
    )
    yield Check(
        "restore drill",
        partial(_proven, watcher, host.name),
        "Nobody knows whether the backups could be restored.",
        "PostgreSQLBackupUnproven#look",
        Severity.WARNING,
    )


def check_login(store: StoreDatabase) -> str:
    """That the store's account can log in over verified TLS and read. Raises CheckFailedError."""
    url = store.reveal()
    try:
        with psycopg.connect(url, connect_timeout=int(TIMEOUT), application_name="bic health") as connection:
            row = connection.execute("SHOW server_version").fetchone()
    except psycopg.Error as error:
        reason = " ".join(str(error).split()).replace(store.password.reveal(), "***")
        raise CheckFailedError(f"no login: {reason}") from error
    return f"PostgreSQL {row[0].split()[0]}" if row else "PostgreSQL"


def check_certificate(host: str, port: int, store: StoreDatabase) -> str:
    """That the server's certificate is of our authority, for this host, and lasts.

    Raises CheckFailedError.
    """
    with connect(host, port) as plain:
        plain.settimeout(TIMEOUT)
        try:
            plain.sendall(TLS_REQUEST)
            answer = plain.recv(1)
        except OSError as error:
            raise CheckFailedError(f"{host}:{port} does not answer: {error}") from error
        if answer != b"S":
            raise FindingError(f"{host}:{port} does not offer TLS")
        return secured_lasts(plain, host, port, store.ca_file)


def _up(watcher: Watcher, host: str) -> str:
    samples = watcher.samples(f'pg_up{{host="{host}"}}')
    if not samples:
        raise UnseenError(f"Prometheus on {watcher.host.name} has measured nothing of PostgreSQL there")
    if any(sample.value != 1 for sample in samples):
        raise FindingError("it lets nobody in, as its exporter says")
    return "lets its exporter in"


def _backed_up(watcher: Watcher, host: str) -> str:
    metric = f'bic_postgresql_backup_last_success_timestamp_seconds{{host="{host}"}}'
    return _young(watcher.samples(metric), BACKUP_AGE, "backup")


def _proven(watcher: Watcher, host: str) -> str:
    metric = f'bic_postgresql_restore_drill_last_success_timestamp_seconds{{host="{host}"}}'
    return _young(watcher.samples(metric), DRILL_AGE, "restore drill")


def _young(samples: list[Sample], oldest: float, what: str) -> str:
    if not samples:
        raise UnseenError(f"no {what} is known to the monitoring")
    ages = {
        sample.labels.get("database", "?"): time.time() - sample.value
        for sample in sorted(samples, key=lambda sample: sample.value, reverse=True)
    }
    old = [f"{name} {age / 3600:.0f} hours" for name, age in ages.items() if age > oldest]
    if old:
        raise FindingError(f"age of the last {what}: {', '.join(old)}")
    return f"last {what} {max(ages.values()) / 3600:.0f} hours ago"
