"""The numbers of the national overview: those at the top of its dashboard, asked of Prometheus."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator

from controlplane.health.port import UnseenError
from controlplane.model import Platform
from controlplane.model.sizes import format_size
from controlplane.systems.prometheus.query import Watcher
from sandbox.fleet import host as hosts
from sandbox.fleet.spec import FleetSpec
from sandbox.fleet.system import run
from sandbox.mirror.artifacts import REPOSITORY

#: The dashboard, as Grafana is given it.
DASHBOARD = REPOSITORY / "monitoring" / "dashboards" / "bic-overview.json"
#: When each collector of the exporter last succeeded, as Unix time.
READ = "bic_collector_last_success_timestamp_seconds"
#: Seconds until Prometheus has scraped the exporter again, at most.
PATIENCE = 60


def overview(platform: Platform) -> Iterator[tuple[str, str]]:
    """The title of each number and the number, for a person; none where the platform has no Prometheus."""
    for watcher in _watchers(platform):
        for title, query, unit in numbers(DASHBOARD.read_text("utf-8"), platform.environment):
            try:
                samples = watcher.samples(query)
            except UnseenError as error:
                yield title, str(error)
            else:
                yield title, written(samples[0].value, unit) if samples else "not measured yet"


def refresh(platform: Platform, fleet: FleetSpec) -> None:
    """Let the exporter read all anew and wait until Prometheus has it, at most for `PATIENCE` seconds.

    What a server said while it was set up is not how the nation is. Raises SandboxError.
    """
    begun = time.time()
    for host in platform.hosts_with("controlplane"):
        run(hosts.command_in(fleet, fleet.host(host.name), ["systemctl", "reload", "bic-exporter"]))
    for watcher in _watchers(platform):
        while time.time() < begun + PATIENCE:
            with contextlib.suppress(UnseenError):
                read = [sample.value for sample in watcher.samples(READ)]
                if read and min(read) >= begun:
                    return
            time.sleep(1)


def numbers(dashboard: str, environment: str) -> Iterator[tuple[str, str, str]]:
    """Title, query and unit of each panel of a dashboard that is one number."""
    for panel in json.loads(dashboard)["panels"]:
        if panel["type"] == "stat":
            query = panel["targets"][0]["expr"].replace("$environment", environment)
            yield panel["title"], query, panel["fieldConfig"]["defaults"]["unit"]


def written(value: float, unit: str) -> str:
    """A number with its unit in Grafana's words, for a person."""
    return format_size(round(value)) if unit == "bytes" else f"{value:,.0f}"


def _watchers(platform: Platform) -> list[Watcher]:
    """The first Prometheus of the platform, if it has one."""
    return [Watcher(platform, host) for host in platform.hosts_with("prometheus")][:1]
