"""What is measured at the login server: people and groups, logins and failed ones, and its outposts."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from controlplane.model import Identity, Platform
from controlplane.systems.authentik.client import AuthentikError, Client, endpoint

INTERVAL = 60.0

TIMEOUT = 10.0
"""Seconds to wait for an answer."""

ACTIONS = {"login": "done", "login_failed": "failed"}
"""What events count as which result of a login."""


def collectors(platform: Platform) -> "Iterator[Login]":
    """One collector, where the platform has a login server."""
    if platform.identity is not None:
        yield Login(platform.identity)


class Login:
    """The login server. Labels hold no names of people."""

    name = "authentik"
    interval = INTERVAL

    def __init__(self, identity: Identity) -> None:
        """Measure this server."""
        self._identity = identity
        self._logins = Counter[str]()
        self._newest: dict[str, str] = {}

    def collect(self) -> Iterable[Metric]:
        """One reading. Raises BicError."""
        with Client(endpoint(self._identity, TIMEOUT), connections=1) as client:
            people = _count(client, "core/users/", {"type": ["internal", "external"]})
            inactive = _count(client, "core/users/", {"type": ["internal", "external"], "is_active": "false"})
            groups = _count(client, "core/groups/", {"include_users": "false"})
            self._count_logins(client)
            outposts = list(_outposts(client))
        persons = GaugeMetricFamily("bic_authentik_people", "People at the login server.", labels=("active",))
        persons.add_metric(["true"], people - inactive)
        persons.add_metric(["false"], inactive)
        yield persons
        yield GaugeMetricFamily("bic_authentik_groups", "Groups at the login server.", value=groups)
        logins = CounterMetricFamily(
            "bic_authentik_logins", "Logins since the exporter began.", labels=("result",)
        )
        for result in ACTIONS.values():
            logins.add_metric([result], self._logins[result])
        yield logins
        yield from outposts

    def _count_logins(self, client: Client) -> None:
        """Add the events that are new since the last reading; the first one only learns where it begins."""
        for action, result in ACTIONS.items():
            page = client.get(
                "events/events/", {"action": action, "ordering": "-created", "page": 1, "page_size": 100}
            )
            events = [(str(event["created"]), str(event["pk"])) for event in page["results"]]
            if action in self._newest:
                self._logins[result] += sum(created > self._newest[action] for created, _ in events)
            self._newest[action] = max(
                (created for created, _ in events), default=self._newest.get(action, "")
            )


def _count(client: Client, path: str, query: dict[str, str | list[str]]) -> int:
    """How many objects a list has, by its first page."""
    answer = client.get(path, {**query, "page": 1, "page_size": 1})
    return int(answer["pagination"]["count"])


def _outposts(client: Client) -> Iterator[Metric]:
    labels = ("outpost", "type")
    up = GaugeMetricFamily(
        "bic_authentik_outpost_up", "Whether the outpost reports to the server.", labels=labels
    )
    outdated = GaugeMetricFamily(
        "bic_authentik_outpost_outdated", "Whether its version is not the server's.", labels=labels
    )
    seen = GaugeMetricFamily(
        "bic_authentik_outpost_last_seen_timestamp_seconds", "When it last reported.", labels=labels
    )
    for outpost in client.pages("outposts/instances/"):
        names = [str(outpost["name"]), str(outpost["type"])]
        reports = client.read(f"outposts/instances/{outpost['pk']}/health/")
        if not isinstance(reports, list):
            raise AuthentikError(
                f"{client.server.host} answers what its API does not promise: an outpost's health"
            )
        limit = 3.0 * float(outpost.get("refresh_interval_s") or 300)
        latest = max((datetime.fromisoformat(str(report["last_seen"])) for report in reports), default=None)
        alive = latest is not None and (datetime.now(UTC) - latest).total_seconds() < limit
        up.add_metric(names, float(alive))
        if latest is not None:
            seen.add_metric(names, latest.timestamp())
            outdated.add_metric(names, float(any(report["version_outdated"] for report in reports)))
    yield from (up, outdated, seen)
