"""The numbers of the national overview: those at the top of its dashboard, asked of Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterator

from controlplane.health.port import UnseenError
from controlplane.model import Platform
from controlplane.model.sizes import format_size
from controlplane.systems.prometheus.query import Watcher
from sandbox.mirror.artifacts import REPOSITORY

#: The dashboard, as Grafana is given it.
DASHBOARD = REPOSITORY / "monitoring" / "dashboards" / "bic-overview.json"


def overview(platform: Platform) -> Iterator[tuple[str, str]]:
    """The title of each number and the number, for a person; none where the platform has no Prometheus."""
    for host in list(platform.hosts_with("prometheus"))[:1]:
        watcher = Watcher(platform, host)
        for title, query, unit in numbers(DASHBOARD.read_text("utf-8"), platform.environment):
            try:
                samples = watcher.samples(query)
            except UnseenError as error:
                yield title, str(error)
            else:
                yield title, written(samples[0].value, unit) if samples else "not measured yet"


def numbers(dashboard: str, environment: str) -> Iterator[tuple[str, str, str]]:
    """Title, query and unit of each panel of a dashboard that is one number."""
    for panel in json.loads(dashboard)["panels"]:
        if panel["type"] == "stat":
            query = panel["targets"][0]["expr"].replace("$environment", environment)
            yield panel["title"], query, panel["fieldConfig"]["defaults"]["unit"]


def written(value: float, unit: str) -> str:
    """A number with its unit in Grafana's words, for a person."""
    return format_size(round(value)) if unit == "bytes" else f"{value:,.0f}"
