"""Does each host let an administrator in, and what has the monitoring measured there?"""

from collections.abc import Iterator
from functools import partial

from controlplane.health.net import TIMEOUT, connect
from controlplane.health.port import (
    Check,
    CheckFailedError,
    FindingError,
    Probe,
    Severity,
    UnseenError,
    machine,
)
from controlplane.model import Host, Platform
from controlplane.systems.prometheus.query import Sample, Watcher, watcher_of

SSH_PORT = 22

SKEW = 5.0
"""Seconds that a clock may differ from the Prometheus server's. A slow scrape looks like a second or two;
logins fail when clocks are off by half a minute."""

FREE = 0.05
"""The share of a file system below which it is almost full, as in the alert of that name."""

SHOWN = 5
"""Things that are named before only their number is."""


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe per host, buffer servers included, and one of what a Prometheus has measured there."""
    for host in platform.hosts.values():
        serves = _serves(platform, host)
        yield Probe(
            "host",
            host.name,
            (
                Check(
                    "SSH",
                    partial(_ssh, str(host.address)),
                    "All that runs on this host must be taken as down.",
                    "HostDown#look",
                ),
            ),
            provides=machine(host.name),
            serves=serves,
        )
        if watcher := watcher_of(platform, host):
            yield Probe(
                "host",
                f"{host.name}, measured",
                tuple(_measurements(watcher, host)),
                needs=(machine(host.name),),
                through=(watcher.provided,),
                serves=serves,
            )


def _serves(platform: Platform, host: Host) -> frozenset[str]:
    """The facilities whose own host this is; through its services it may serve others."""
    return frozenset(
        facility.id
        for facility in platform.facilities.values()
        if host.name in (facility.buffer, facility.omero_host, *(mount.host for mount in facility.hpc_mounts))
    )


def _measurements(watcher: Watcher, host: Host) -> Iterator[Check]:
    yield Check(
        "clock",
        partial(_clock, watcher, host.name),
        "With a wrong clock, logins and certificates are refused and times in the catalogue are wrong.",
        "README#clocks",
        Severity.WARNING,
    )
    yield Check(
        "units",
        partial(_units, watcher, host.name),
        "A service of this host has given up and will not come back by itself.",
        "UnitFailed#look",
        Severity.WARNING,
    )
    yield Check(
        "exporters",
        partial(_exporters, watcher, host.name),
        "Something on this host is not watched: no alert will tell when it fails.",
        "ExporterDown#look",
        Severity.WARNING,
    )
    yield Check(
        "disk",
        partial(_disks, watcher, host.name),
        "What writes to a full disk fails, and data may be lost.",
        "FilesystemAlmostFull#look",
    )


def _ssh(address: str) -> str:
    with connect(address, SSH_PORT) as connection:
        connection.settimeout(TIMEOUT)
        try:
            banner = connection.recv(255)
        except OSError as error:
            raise CheckFailedError(f"port {SSH_PORT} is open, but no SSH server greets: {error}") from error
    if not banner.startswith(b"SSH-2.0-"):
        raise CheckFailedError(f"port {SSH_PORT} is open, but no SSH server greets")
    return "SSH answers"


def _disks(watcher: Watcher, host: str) -> str:
    chosen = f'{{host="{host}", fstype!~"tmpfs|ramfs|squashfs|iso9660"}}'
    samples = _measured(
        watcher.samples(
            f"node_filesystem_avail_bytes{chosen} / node_filesystem_size_bytes and"
            f" node_filesystem_readonly{chosen} == 0"
        ),
        host,
        watcher,
    )
    full = sorted(sample.labels.get("mountpoint", "?") for sample in samples if sample.value < FREE)
    if full:
        raise FindingError(f"less than {FREE:.0%} is free on {_some(full)}")
    tightest = min(samples, key=lambda sample: sample.value)
    return f"{tightest.value:.0%} free on {tightest.labels.get('mountpoint', '?')}"


def _clock(watcher: Watcher, host: str) -> str:
    metric = f'node_time_seconds{{host="{host}"}}'
    skew = _measured(watcher.samples(f"{metric} - timestamp({metric})"), host, watcher)[0].value
    if abs(skew) > SKEW:
        raise FindingError(f"its clock is {abs(skew):.0f} s {'fast' if skew > 0 else 'slow'}")
    return "clock right"


def _units(watcher: Watcher, host: str) -> str:
    chosen = f'node_systemd_unit_state{{host="{host}", state="failed"}}'
    samples = _measured(watcher.samples(chosen), host, watcher)
    failed = sorted(sample.labels.get("name", "?") for sample in samples if sample.value == 1)
    if failed:
        raise FindingError(f"failed: {_some(failed)}")
    return "no unit failed"


def _exporters(watcher: Watcher, host: str) -> str:
    samples = _measured(watcher.samples(f'up{{host="{host}"}}'), host, watcher)
    down = sorted(sample.labels.get("job", "?") for sample in samples if sample.value != 1)
    if down:
        raise CheckFailedError(f"Prometheus cannot read {_some(down)}")
    return f"{len(samples)} exporters read"


def _measured(samples: list[Sample], host: str, watcher: Watcher) -> list[Sample]:
    if not samples:
        raise UnseenError(f"Prometheus on {watcher.host.name} has measured nothing of {host}")
    return samples


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
