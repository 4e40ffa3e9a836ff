"""What the monitoring has measured: instant queries to Prometheus."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from controlplane.health.net import fetch
from controlplane.health.port import CheckFailedError, UnseenError, service
from controlplane.model import Host, Platform

PORT = 9090


@dataclass(frozen=True)
class Sample:
    """One value of the answer to a query."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Watcher:
    """The Prometheus that is asked about a host."""

    platform: Platform
    host: Host

    @property
    def provided(self) -> str:
        """What a probe that asks here goes through."""
        return service("prometheus", self.host.name)

    def samples(self, query: str) -> list[Sample]:
        """The answer to an instant query, in PromQL, whose value is a vector. Raises UnseenError."""
        base = f"https://{self.host.address}:{PORT}"
        try:
            answer = fetch(f"{base}/api/v1/query?{urlencode({'query': query})}", self.platform.ca_file).json()
            return [Sample(item["metric"], float(item["value"][1])) for item in answer["data"]["result"]]
        except CheckFailedError as error:
            raise UnseenError(str(error)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise UnseenError(f"{base} does not answer as Prometheus does") from error


def watcher_of(platform: Platform, host: Host) -> Watcher | None:
    """The Prometheus that is asked about a host: one of its data centre before another; None without any."""
    servers = sorted(
        platform.hosts_with("prometheus"), key=lambda server: server.data_centre != host.data_centre
    )
    return Watcher(platform, servers[0]) if servers else None
