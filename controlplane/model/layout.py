"""From the zones that platform.yml describes to those that there are: each by itself, or all of them as one.

A facility names its data centre, and its zone follows, so its file is the same in every layout.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from controlplane.model.facility_file import FacilityFile
from controlplane.model.platform_file import HostEntry, PlatformFile, RemoteZoneEntry, ZoneEntry

PROVIDER = "irods_catalog_provider"
CONSUMER = "irods_catalog_consumer"


@dataclass(frozen=True)
class Arrangement:
    """A platform's zones and hosts in its layout."""

    written: PlatformFile

    @property
    def joined(self) -> bool:
        """Whether several zones of the file are one."""
        return self.written.layout == "one_zone" and len(self.written.zones) > 1

    def zone_named(self, name: str) -> str:
        """The zone that one of platform.yml is or is part of; the name itself when there is none such."""
        return next(iter(self.written.zones)) if self.joined and name in self.written.zones else name

    def zone_in(self, data_centre: str) -> str | None:
        """The zone whose catalog provider stands in a data centre, or the only one.

        None when several do, and when none does and there are several.
        """
        zones, hosts = self.written.zones, self.written.hosts
        if self.joined or len(zones) == 1:
            return next(iter(zones))
        here = [
            name
            for name, zone in zones.items()
            if (host := hosts.get(zone.catalog_provider)) and host.data_centre == data_centre
        ]
        return here[0] if len(here) == 1 else None

    def zone_of(self, facility: FacilityFile) -> str | None:
        """The zone that catalogues a facility's data; None when neither its file nor its data centre
        tells."""
        return self.zone_in(facility.data_centre) if facility.zone is None else self.zone_named(facility.zone)

    @cached_property
    def zones(self) -> Mapping[str, ZoneEntry]:
        """The zones by name."""
        written = self.written.zones
        if not self.joined:
            return written
        name, *_ = written
        entry = written[name]
        consumers = [*entry.catalog_consumers]
        for other in list(written.values())[1:]:
            consumers += [other.catalog_provider, *other.catalog_consumers]
        together = {
            "catalog_consumers": tuple(consumers),
            "federation": (),
            "remote_zones": dict(self._remote_zones()),
            "storage_resources": {
                resource: described
                for zone in written.values()
                for resource, described in zone.storage_resources.items()
            },
        }
        return {name: entry.model_copy(update=together)}

    def _remote_zones(self) -> Iterator[tuple[str, RemoteZoneEntry]]:
        for zone in self.written.zones.values():
            yield from zone.remote_zones.items()

    @cached_property
    def hosts(self) -> Mapping[str, HostEntry]:
        """The hosts by name; of several catalog providers, only the first zone's still is one."""
        hosts = dict(self.written.hosts)
        if self.joined:
            for zone in list(self.written.zones.values())[1:]:
                if host := hosts.get(zone.catalog_provider):
                    services = tuple(CONSUMER if name == PROVIDER else name for name in host.services)
                    hosts[zone.catalog_provider] = host.model_copy(update={"services": services})
        return hosts

    def servers(self, zone: str) -> tuple[str, ...]:
        """The hosts of a zone, the catalog provider first."""
        entry = self.zones[zone]
        return entry.catalog_provider, *entry.catalog_consumers
