"""Every query of the dashboards and rules, asked of the Prometheus of a nation."""

import re
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from game_day import MONITOR, GameDay
from queries import QUERIES, asked

ABSENT = {
    "bic_irods_storage_resource_capacity_bytes": "the inventory names no capacity",
    "node_md_disks": "no host has a RAID",
    "node_timex_maxerror_seconds": "the hosts have this machine's clock",
    "node_timex_sync_status": "the hosts have this machine's clock",
}
"""Metrics that this nation does not have, and why."""


@pytest.fixture(scope="module")
def prometheus(day: GameDay) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context(cafile=str(day.nation.authority))
    url = f"https://{day.nation.address(MONITOR)}:9090/api/v1/"
    with httpx.Client(base_url=url, verify=trust, timeout=60, trust_env=False) as client:
        yield client


def ask(prometheus: httpx.Client, path: str, **words: str) -> Any:
    answer = prometheus.get(path, params=words)
    assert answer.is_success, f"{words}: {answer.text}"
    return answer.json()["data"]


def test_the_nation_has_every_metric_that_is_asked_for(prometheus: httpx.Client) -> None:
    there = set(ask(prometheus, "label/__name__/values"))
    wanted = set().union(*map(asked, QUERIES.values()))
    assert wanted - there == set(ABSENT)


def test_the_nation_has_every_series_that_is_selected(prometheus: httpx.Client) -> None:
    """A label that nobody writes, or a value that it never has, would select nothing for ever."""
    selected = {
        f"{name}{{{matchers}}}"
        for expr in QUERIES.values()
        for name, matchers in re.findall(r"([a-z_:][\w:]*)\{([^}]*)\}", without_variables(expr))
        if name not in ABSENT
    }

    def is_there(selector: str) -> bool:
        return bool(ask(prometheus, "series", **{"match[]": selector}))

    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(sorted(selected), pool.map(is_there, sorted(selected)), strict=True))
    assert [selector for selector, there in found.items() if not there] == []


def test_every_query_is_answered(prometheus: httpx.Client) -> None:
    for expr in QUERIES.values():
        ask(prometheus, "query", query=without_variables(expr))


def without_variables(expr: str) -> str:
    """A query as Grafana sends it when all is chosen, and looks back an hour."""
    chosen = re.sub(r'=~?"\$\{?[a-z]+\}?"', '=~".+"', expr)
    return re.sub(r"\$\{?__\w+\}?", "1h", chosen)
