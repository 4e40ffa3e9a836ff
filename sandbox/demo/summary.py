"""The last thing the demo prints: what runs where, how to reach it, and what to try next."""

from __future__ import annotations

import json

from controlplane.model import Host, Platform
from controlplane.model.types import Service
from sandbox.demo.overview import overview
from sandbox.mirror.artifacts import CHOICE_FILE

#: Service → the port and path under which a person or a client reaches it.
ENDPOINTS = {
    "prometheus": ("Prometheus", 9090, "/"),
    "controlplane": ("bic exporter", 9887, "/metrics"),
}

#: System whose source was chosen → the service that shows whether it is deployed at all.
CHOSEN: dict[str, Service] = {
    "irods": "irods_catalog_provider",
    "authentik": "authentik",
    "grafana": "grafana",
    "omero": "omero_server",
}


def summary(platform: Platform, seconds: float) -> str:
    """Say what runs where, for a person who saw nothing of the run."""
    minutes, rest = divmod(round(seconds), 60)
    lines = ["", f"{platform.title}: {len(platform.hosts)} hosts run ({minutes} min {rest} s)", ""]
    lines += ["What runs where"]
    lines += [_host(platform, host) for host in platform.hosts.values()]
    lines += ["", "The nation, as its Prometheus sees it"]
    lines += [f"  {title:<24} {number}" for title, number in overview(platform)]
    lines += ["", "Addresses (certificates are signed by the authority below)"]
    for host in platform.hosts.values():
        for service in host.services:
            if service in ENDPOINTS:
                title, port, path = ENDPOINTS[service]
                lines.append(f"  {title:<14} https://{host.address}:{port}{path}")
    if scrape := platform.scrape:
        lines.append(f"  {'metrics':<14} user {scrape.user}, password in {scrape.password.where}")
    for name, host in platform.service_names.items():
        lines.append(
            f"  {_title(name):<14} https://{name}/ (on this machine, name {host.address} so in /etc/hosts)"
        )
    for zone in platform.zones.values():
        provider = platform.hosts[zone.catalog_provider]
        lines.append(
            f"  {'iRODS ' + zone.name:<14} {provider.address}:{zone.port}, administrator {zone.administrator}"
        )
    for server in platform.omero_servers.values():
        address = platform.hosts[server.host].address
        lines.append(f"  {'OMERO':<14} {address}:{server.port}, administrator {server.administrator}")
    for host in platform.hosts.values():
        if host.is_buffer and platform.buffers:
            lines.append(f"  {'SFTP':<14} {host.address}, for people of {host.facility}")
    lines.append(f"  {'authority':<14} {platform.state_dir / 'pki' / 'ca.crt'}")
    lines += ["", "Where the software came from"]
    lines += ["  Debian packages  Debian's archive", "  Python packages  the package index, pinned by hash"]
    choices = json.loads((platform.state_dir / CHOICE_FILE).read_text())
    lines += [
        f"  {choices[system]['system']:<15}  {_origin(choices[system])}"
        for system, service in CHOSEN.items()
        if any(platform.hosts_with(service))
    ]
    lines += ["", "Next, try"]
    lines += [f"  {command}\n      {purpose}" for command, purpose in _next_steps(platform)]
    lines += ["", "`make demo-down` removes all of it."]
    return "\n".join(lines)


def _next_steps(platform: Platform) -> list[tuple[str, str]]:
    """Commands worth trying, each with what it shows."""
    last_server = next(iter(platform.zones.values())).servers[-1]
    steps = [
        (
            f".venv/bin/bic facility add-member {team.facility} {team.id} "
            f'"cduval,Chloé Duval,chloe.duval@{team.facility}.example"; .venv/bin/bic plan',
            "what somebody new in a team needs; `.venv/bin/bic apply` makes it so",
        )
        for team in [team for facility in platform.facilities.values() for team in facility.teams][:1]
    ]
    if platform.portal:
        names = " ".join(platform.service_names)
        passwords = platform.state_dir / "federation" / "passwords.json"
        steps.append(
            (
                f"a browser at {platform.portal.url}/ (with {names} in /etc/hosts)",
                f"a login from an institution outside, as one of those in {passwords}",
            )
        )
    return [
        *steps,
        (
            f".venv/bin/bic sandbox stop {last_server}; .venv/bin/bic health",
            f"what a power loss looks like; `.venv/bin/bic sandbox start {last_server}` ends it",
        ),
        (f".venv/bin/bic sandbox shell {next(iter(platform.hosts))}", "a root shell on a host"),
    ]


def _title(name: str) -> str:
    """What the service of a public name is to a person: `login` or `federation`."""
    return name.partition(".")[0]


def _host(platform: Platform, host: Host) -> str:
    services = [service.replace("_", " ") for service in host.services]
    if host.facility and platform.buffers:
        services.append(f"buffer server of facility {host.facility}")
    return f"  {host.name:<20} {host.address!s:<13} {', '.join(services) or 'base system only so far'}"


def _origin(choice: dict[str, str]) -> str:
    what = "images" if choice.get("registry") else "packages"
    if choice["source"] == "upstream":
        return f"upstream {what}"
    if choice["source"] == "mirror":
        return f"upstream {what} from the mirror {choice['url']}"
    return "a STAND-IN of this project: the real protocol, not the real server"
