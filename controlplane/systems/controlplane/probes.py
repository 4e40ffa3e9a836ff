"""Does the exporter answer?"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from controlplane.exporter.port import DEFAULT_PORT
from controlplane.health.net import fetch
from controlplane.health.port import Check, CheckFailedError, Probe
from controlplane.model import Platform


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe per host that runs the exporter."""
    for host in platform.hosts_with("controlplane"):
        url = f"https://{host.address}:{DEFAULT_PORT}/metrics"
        yield Probe("exporter", host.name, (Check("metrics", partial(_metrics, url, platform.ca_file)),))


def _metrics(url: str, ca_file: Path) -> str:
    down = [
        line.split('"')[1]
        for line in fetch(url, ca_file).text.splitlines()
        if line.startswith("bic_collector_up{") and float(line.rpartition(" ")[2]) != 1
    ]
    if down:
        raise CheckFailedError(f"its collectors cannot read: {', '.join(down)}")
    return "metrics are fresh"
