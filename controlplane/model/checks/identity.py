"""The login server, the federation proxy, and the names under which people reach them."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from controlplane.model.checks.spots import at, key
from controlplane.model.documents import Documents, PlatformDocument
from controlplane.model.platform import SERVICE_LABELS, service_name
from controlplane.model.problems import Problem
from controlplane.model.types import Service

LOGIN: Service = "authentik"
FEDERATION: Service = "federation_proxy"


def check(documents: Documents) -> Iterator[Problem]:
    """What is wrong with the services of identity in platform.yml."""
    if platform := documents.platform:
        hosts = {service: _hosts_with(platform, service) for service in SERVICE_LABELS}
        for service, names in hosts.items():
            yield from _one_host(platform, service, names)
        if not platform.complete:
            return
        if hosts[LOGIN]:
            yield from _own_server(platform, hosts[LOGIN][0])
        else:
            yield from _foreign_server(platform, hosts[FEDERATION])


def _hosts_with(platform: PlatformDocument, service: Service) -> list[str]:
    return [name for name, host in platform.data.hosts.items() if service in host.services]


def _one_host(platform: PlatformDocument, service: Service, names: list[str]) -> Iterator[Problem]:
    """A service with a public name is on one host, and no other host has that name."""
    label = SERVICE_LABELS[service]
    for name in names[1:]:
        yield at(platform, "hosts", name, "services").problem(
            f"{service_name(service, platform.data.domain)} is one host, and {names[0]!r} has the service "
            f"{service} already; take it from one of the two"
        )
    if names and label in platform.data.hosts and label not in names:
        yield key(platform, "hosts", label).problem(
            f"the host {label!r} would have the name of the service {service} on {names[0]!r}, "
            f"{service_name(service, platform.data.domain)}; give the host another name"
        )


def _own_server(platform: PlatformDocument, host: str) -> Iterator[Problem]:
    """The platform's own login server is the one that `identity` names, and has a database."""
    wanted = f"https://{service_name(LOGIN, platform.data.domain)}"
    identity = platform.data.identity
    services = at(platform, "hosts", host, "services")
    if identity is None:
        yield services.problem(
            f"the host {host!r} has the service {LOGIN}, but nothing says how the control plane enters it; "
            f"add 'identity' with 'url: {wanted}' and a 'token'"
        )
        return
    if identity.url != wanted:
        yield at(platform, "identity", "url").problem(
            f"the login server on {host!r} is reached at {wanted}; write that, or take the service {LOGIN} "
            f"from the host at {services}"
        )
    if identity.database_host is None:
        if platform.data.store is None:
            yield at(platform, "identity").problem(
                f"the login server on {host!r} needs a database; name a host with the service postgresql as "
                "'database_host'"
            )
        return
    spot = at(platform, "identity", "database_host")
    named = platform.data.hosts.get(identity.database_host)
    if named is None:
        yield spot.unknown("host", identity.database_host, platform.data.hosts)
    elif "postgresql" not in named.services:
        yield spot.problem(
            f"the host {identity.database_host!r} does not have the service postgresql; add it at "
            f"{at(platform, 'hosts', identity.database_host)}"
        )


def _foreign_server(platform: PlatformDocument, proxies: list[str]) -> Iterator[Problem]:
    """Where Authentik is somebody else's, nothing here is for an own one."""
    for name in proxies:
        yield at(platform, "hosts", name, "services").problem(
            f"{FEDERATION} logs people in at a login server of this platform, and no host has the service "
            f"{LOGIN}; add it to a host, or take {FEDERATION} from this one"
        )
    identity = platform.data.identity
    if identity is None:
        return
    name = urlsplit(identity.url).hostname or ""
    own_hosts = {f"{host}.{platform.data.domain}" for host in platform.data.hosts}
    if name in own_hosts or name == service_name(LOGIN, platform.data.domain):
        yield at(platform, "identity", "url").problem(
            f"{name} is a name of this platform, and no host has the service {LOGIN}; add it to the host "
            "that is to be the login server, or name the server that there is"
        )
    if identity.database_host is not None:
        yield at(platform, "identity", "database_host").problem(
            f"no host has the service {LOGIN}, so there is no database to place; remove 'database_host'"
        )
