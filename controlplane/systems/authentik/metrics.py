"""What is measured at the login server: people and groups, logins and failed ones, its outposts, and whether
somebody could log in now."""

import ssl
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

import httpx
from prometheus_client.core import Metric

from controlplane.at_address import AtAddress
from controlplane.exporter.attempts import Attempts
from controlplane.exporter.families import Family
from controlplane.model import Identity, Platform
from controlplane.systems.authentik import calls
from controlplane.systems.authentik.client import AuthentikError, Client, endpoint, tls_context

INTERVAL = 60.0
OPERATIONS_INTERVAL = 30.0

LOGIN_PAGE = "/flows/-/default/authentication/"
"""Where everybody's login begins; it leads to the page of the flow that is set for that."""

TIMEOUT = 10.0
"""Seconds to wait for an answer."""

ACTIONS = {"login": "done", "login_failed": "failed"}
"""What events count as which result of a login."""

_OUTPOST = ("outpost", "type")

PEOPLE = Family("bic_authentik_people", "People at the login server.", ("active",))
GROUPS = Family("bic_authentik_groups", "Groups at the login server.")
LOGINS = Family("bic_authentik_logins", "Logins since the exporter began.", ("result",), "counter")
OUTPOST_UP = Family("bic_authentik_outpost_up", "Whether the outpost reports to the server.", _OUTPOST)
OUTPOST_OUTDATED = Family(
    "bic_authentik_outpost_outdated", "Whether its version is not the server's.", _OUTPOST
)
OUTPOST_SEEN = Family("bic_authentik_outpost_last_seen_timestamp_seconds", "When it last reported.", _OUTPOST)
CERTIFICATE = Family(
    "bic_authentik_certificate_not_after_timestamp_seconds", "When the login page's certificate expires."
)
OPERATIONS = Family(
    "bic_authentik_operations", "Attempts to open the login page.", ("operation", "result"), "counter"
)
OPERATION_SECONDS = Family(
    "bic_authentik_operation_duration_seconds",
    "How long the latest attempt took that succeeded.",
    ("operation",),
)
OPERATION_SUCCESS = Family(
    "bic_authentik_operation_last_success_timestamp_seconds",
    "When an attempt last succeeded.",
    ("operation",),
)


def collectors(platform: Platform) -> "Iterator[Login | LoginPage]":
    """Two collectors, where the platform has a login server."""
    if platform.identity is not None:
        yield Login(platform.identity)
        yield LoginPage(platform.identity)


class LoginPage:
    """Opens the page at which people log in, which needs the server, its database and its flows."""

    name = "authentik_operations"
    interval = OPERATIONS_INTERVAL
    budget = 25.0

    def __init__(self, identity: Identity) -> None:
        """Use this server."""
        self._identity = identity
        self._attempts = Attempts("login")
        self._not_after: float | None = None

    def collect(self) -> Iterable[Metric]:
        """One attempt; a page that does not come is a value, not an error. Raises AuthentikError."""
        trust = tls_context(self._identity.ca_file)
        with suppress(AuthentikError), self._attempts.attempt("login"):
            self._open(f"{self._identity.url.rstrip('/')}{LOGIN_PAGE}", trust)
        yield from self._attempts.metrics(OPERATIONS, OPERATION_SECONDS, OPERATION_SUCCESS)
        if self._not_after is not None:
            yield CERTIFICATE.single(self._not_after)

    def _open(self, url: str, trust: ssl.SSLContext) -> None:
        client = httpx.Client(
            transport=AtAddress(self._identity.addresses, trust),
            timeout=TIMEOUT,
            follow_redirects=True,
            trust_env=False,
        )
        try:
            with client, client.stream("GET", url) as answer:
                connection = answer.extensions["network_stream"].get_extra_info("ssl_object")
                if connection is not None:
                    self._not_after = ssl.cert_time_to_seconds(connection.getpeercert()["notAfter"])
                answer.read()
        except httpx.HTTPError as error:
            raise AuthentikError(f"{url}: {type(error).__name__}") from error
        if not answer.is_success:
            raise AuthentikError(f"{url} answers {answer.status_code}")


class Login:
    """The login server. Labels hold no names of people."""

    name = "authentik"
    interval = INTERVAL
    budget = 45.0

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
        yield PEOPLE.of([(["true"], people - inactive), (["false"], inactive)])
        yield GROUPS.single(groups)
        yield LOGINS.of(([result], self._logins[result]) for result in ACTIONS.values())
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
    up: list[tuple[list[str], float]] = []
    outdated: list[tuple[list[str], float]] = []
    seen: list[tuple[list[str], float]] = []
    for outpost, reports in calls.outposts(client):
        names = [str(outpost["name"]), str(outpost["type"])]
        limit = 3.0 * float(outpost.get("refresh_interval_s") or 300)
        latest = max((datetime.fromisoformat(str(report["last_seen"])) for report in reports), default=None)
        alive = latest is not None and (datetime.now(UTC) - latest).total_seconds() < limit
        up.append((names, float(alive)))
        if latest is not None:
            seen.append((names, latest.timestamp()))
            outdated.append((names, float(any(report["version_outdated"] for report in reports))))
    yield from (OUTPOST_UP.of(up), OUTPOST_OUTDATED.of(outdated), OUTPOST_SEEN.of(seen))
