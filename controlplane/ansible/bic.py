"""The Ansible inventory plugin `bic`: the platform's inventory as Ansible hosts, groups and variables."""

import re
import sys
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

# Ansible loads this file by its path. In a clone that nobody installed, its packages are found beside it;
# at the end of the path, so that no folder of the clone hides an installed package.
_ROOT = str(Path(__file__).resolve().parents[2])
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

from controlplane.model import (  # noqa: E402
    BufferAccess,
    Host,
    InventoryError,
    OmeroServer,
    Platform,
    Portal,
    Zone,
    load_platform,
)
from controlplane.model.platform import service_name  # noqa: E402
from controlplane.model.secrets import Secret  # noqa: E402
from controlplane.model.types import Service  # noqa: E402

DOCUMENTATION = r"""
name: bic
short_description: The platform's inventory as Ansible hosts, groups and variables
description:
  - Reads C(platform.yml) and the C(facilities/) and C(policies/) beside it.
  - Groups are one per service, C(irods_server) over both kinds of iRODS servers, C(buffer), C(dc_<id>) for
    the hosts in a data centre and C(facility_<id>) for a facility's buffer server. Characters that Ansible
    refuses in a group's name become C(_).
  - C(group_vars/) and C(host_vars/) beside C(platform.yml) work as usual.
options:
  plugin:
    description: Not used; the plugin knows its source by the name C(platform.yml).
    type: str
    required: false
"""

EXAMPLES = r"""
# ansible-inventory -i inventories/sandbox/platform.yml --graph
"""

IRODS_SERVICES = ("irods_catalog_provider", "irods_catalog_consumer")


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]
    """Fills Ansible's inventory from the platform's."""

    NAME = "bic"

    def verify_file(self, path: str) -> bool:
        """Whether a source is ours: a file named platform.yml."""
        return bool(super().verify_file(path)) and Path(path).name == "platform.yml"

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:  # noqa: ANN401
        """Read the source `path` into `inventory`.

        Raises AnsibleParserError with everything that is wrong in the platform's files.
        """
        super().parse(inventory, loader, path, cache=cache)
        try:
            platform = load_platform(Path(path).parent)
        except InventoryError as error:
            # Without the cause, which Ansible would print again below the same text.
            raise AnsibleParserError(f"the inventory has errors:\n{error}") from None
        for name, value in platform_variables(platform).items():
            self.inventory.set_variable("all", name, value)
        for group in groups(platform):
            self.inventory.add_group(group)
        for service in IRODS_SERVICES:
            self.inventory.add_child("irods_server", service)
        for host in platform.hosts.values():
            self.inventory.add_host(host.name)
            for group in groups_of(host):
                self.inventory.add_child(group, host.name)
            for name, value in host_variables(platform, host).items():
                self.inventory.set_variable(host.name, name, value)


def safe(name: str) -> str:
    """A group's name as Ansible accepts it."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def groups(platform: Platform) -> list[str]:
    """All groups, those without hosts too, so that a play never names a group that is not there."""
    return [
        *get_args(Service),
        "irods_server",
        "buffer",
        *(safe(f"dc_{name}") for name in platform.data_centres),
        *(safe(f"facility_{name}") for name in platform.facilities),
    ]


def groups_of(host: Host) -> list[str]:
    """The groups that a host is directly in."""
    if host.facility:
        return ["buffer", safe(f"facility_{host.facility}")]
    return [*host.services, safe(f"dc_{host.data_centre}")]


def platform_variables(platform: Platform) -> dict[str, Any]:
    """The variables of all hosts. `ansible_user` is one of them, so that group_vars may override it."""
    return {
        "ansible_user": "root",
        "bic_platform": platform.name,
        "bic_title": platform.title,
        "bic_environment": platform.environment,
        "bic_domain": platform.domain,
        "bic_inventory_dir": str(platform.root),
        "bic_state_dir": str(platform.state_dir),
        "bic_sandbox": (
            {"fleet": platform.sandbox.fleet, "network": str(platform.sandbox.network)}
            if platform.sandbox
            else {}
        ),
        "bic_hosts": {
            host.name: {
                "address": str(host.address),
                "fqdn": host.fqdn,
                "names": [
                    host.fqdn,
                    host.name,
                    *(name for name, place in platform.service_names.items() if place == host),
                ],
                "data_centre": host.data_centre,
                "facility": host.facility or "",
                "services": list(host.services),
            }
            for host in platform.hosts.values()
        },
        # Whom to tell of what is wrong at a facility.
        "bic_referents": [
            {"facility": facility.id, "to": [person.email for person in facility.referents]}
            for facility in platform.facilities.values()
        ],
        "bic_store_host": platform.store.host if platform.store else "",
        "bic_identity": platform.identity is not None,
        "bic_login": _public_service(platform, "authentik"),
        "bic_federation": _public_service(platform, "federation_proxy"),
        "bic_grafana": _public_service(platform, "grafana"),
        "bic_login_database_host": (platform.identity and platform.identity.database_host) or "",
        # Whether exporters ask for a password; where the control plane's hosts read it, if from a file.
        "bic_scrape": {"password_file": _secret_file(platform.scrape.password)} if platform.scrape else {},
        "bic_portal": _portal(platform.portal) if platform.portal else {},
        "bic_zones": {name: _zone(zone) for name, zone in platform.zones.items()},
        "bic_omero_servers": {name: _omero_server(found) for name, found in platform.omero_servers.items()},
        "bic_buffers": _buffers(platform, platform.buffers) if platform.buffers else {},
    }


def host_variables(platform: Platform, host: Host) -> dict[str, Any]:
    """The variables of one host."""
    resources = [
        resource
        for zone in platform.zones
        for resource in platform.storage_resources_of(zone)
        if resource.host == host.name
    ]
    variables: dict[str, Any] = {
        "ansible_host": str(host.address),
        "bic_data_centre": host.data_centre,
        "bic_facility": host.facility or "",
        "bic_services": list(host.services),
        "bic_fqdn": host.fqdn,
        "bic_target": {
            "address": str(host.address),
            "labels": {
                "host": host.name,
                "data_centre": host.data_centre,
                "facility": host.facility or "",
                "environment": platform.environment,
            },
        },
        "bic_vault_directories": [
            resource.vault for resource in resources if resource.kind == "unixfilesystem"
        ],
        "bic_s3_credentials": sorted({found.credentials for found in resources if found.credentials}),
    }
    if zone := platform.zone_of(host.name):
        variables["bic_zone"] = _zone(zone)
        variables["bic_python_rules"] = any(
            use.engine == "python" and zone.name in use.zones for use in platform.rules.rule_bases.values()
        )
    if "irods_gateway" in host.services and (entrance := platform.gateway_to(host.name)):
        gateway_zone, server = entrance
        variables["bic_gateway"] = {
            "zone": gateway_zone.name,
            "host": server.fqdn,
            "port": gateway_zone.port,
            "administrator": gateway_zone.administrator,
        }
    return variables


def _public_service(platform: Platform, service: Service) -> dict[str, str]:
    """Where one of the services with a public name is, or nothing."""
    for host in platform.hosts_with(service):
        name = service_name(service, platform.domain)
        return {"host": host.name, "fqdn": host.fqdn, "name": name, "url": f"https://{name}"}
    return {}


def _portal(portal: Portal) -> dict[str, Any]:
    address = urlsplit(portal.url)
    return {
        "host": portal.host,
        "url": portal.url,
        "name": portal.name,
        "port": address.port or 443,
        "redirect_url": portal.redirect_url,
        "synthetic_person": {"username": person.username, "password_file": _secret_file(person.password)}
        if (person := portal.synthetic_person)
        else {},
    }


def _secret_file(secret: Secret) -> str:
    """The name of the file that a secret is in, or empty."""
    return Path(secret.where).name if secret.kind == "file" else ""


def _buffers(platform: Platform, access: BufferAccess) -> dict[str, Any]:
    return {
        "hosts": [host.name for host in platform.hosts.values() if host.is_buffer],
        # Where the control plane's hosts read the key by which they enter them.
        "key_file": access.key.name,
    }


def _omero_server(server: OmeroServer) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "database_host": server.database_host,
        # What its database is called, since several servers may have theirs on one host.
        "database": safe(f"omero_{server.host}"),
        "password_file": _secret_file(server.password),
    }


def _zone(zone: Zone) -> dict[str, Any]:
    return {
        "name": zone.name,
        "catalog_provider": zone.catalog_provider,
        "catalog_consumers": list(zone.catalog_consumers),
        "port": zone.port,
        "administrator": zone.administrator,
        # Where the control plane's hosts read the administrator's password, if from a file.
        "password_file": _secret_file(zone.password),
        # As server_config.json describes them, but for the keys, which are no matter of the inventory.
        "federation": [
            {
                "zone_name": remote.name,
                "catalog_provider_hosts": [remote.host, *remote.servers],
                "zone_port": remote.port,
            }
            for remote in zone.remote_zones
        ],
        # What the key of each is called, in the same order: both sides have one name for it.
        "federation_names": [" ".join(sorted((zone.name, remote.name))) for remote in zone.remote_zones],
        "federation_ca_files": sorted(
            {str(remote.ca_file) for remote in zone.remote_zones if remote.ca_file}
        ),
    }
