"""Everything that follows from a facility's file, as plain data."""

from typing import Any

from controlplane.model import Facility, Platform, Team
from controlplane.model.facility import Person, Quota


def summary(facility: Facility) -> dict[str, Any]:
    """One facility in a list of all; sizes in bytes."""
    return {
        "id": facility.id,
        "title": facility.title,
        "institution": facility.institution,
        "city": facility.city,
        "data_centre": facility.data_centre,
        "zone": facility.zone,
        "buffer": facility.buffer,
        "teams": len(facility.teams),
        "people": len(facility.people),
        "members_from": [team.members_from for team in facility.teams if team.members_from],
        "quota": _quota(facility.quota),
        "capacity": sum(resource.capacity or 0 for resource in facility.storage_resources) or None,
    }


def description(platform: Platform, facility: Facility) -> dict[str, Any]:
    """One facility in full; sizes in bytes."""
    return {
        "id": facility.id,
        "title": facility.title,
        "institution": facility.institution,
        "city": facility.city,
        "data_centre": facility.data_centre,
        "zone": facility.zone,
        "group": facility.id,
        "collection": _collection(facility, facility.id),
        "quota": _quota(facility.quota),
        "people": len(facility.people),
        "referents": [_person(referent) for referent in facility.referents],
        "hosts": _hosts(platform, facility),
        "storage_resources": [
            {
                "name": resource.name,
                "type": resource.kind,
                "host": resource.host,
                "vault": resource.vault,
                "parent": resource.parent,
                "capacity": resource.capacity,
            }
            for resource in facility.storage_resources
        ],
        "instruments": [
            {
                "id": instrument.id,
                "title": instrument.title,
                "modality": instrument.modality,
                "manufacturer": instrument.manufacturer,
                "landing_zone": instrument.landing_zone,
            }
            for instrument in facility.instruments
        ],
        "hpc_mounts": [
            {"host": mount.host, "path": mount.path, "access": mount.access} for mount in facility.hpc_mounts
        ],
        "access_from": [{"zone": visit.zone, "access": visit.access} for visit in facility.access_from],
        "omero": facility.omero_host,
        "teams": [_team(facility, team) for team in facility.teams],
    }


def _hosts(platform: Platform, facility: Facility) -> list[dict[str, Any]]:
    """The hosts that the facility's file names, each with what it does for the facility."""
    zone = platform.zones[facility.zone]
    parts: dict[str, list[str]] = {}
    for host, part in (
        (facility.buffer, "buffer server"),
        *((resource.host, f"storage resource {resource.name}") for resource in facility.storage_resources),
        (zone.catalog_provider, f"catalog provider of {zone.name}"),
        (facility.omero_host, "OMERO"),
        *((mount.host, f"mounts the data ({mount.access})") for mount in facility.hpc_mounts),
    ):
        if host:
            parts.setdefault(host, []).append(part)
    return [
        {
            "name": name,
            "fqdn": platform.hosts[name].fqdn,
            "address": str(platform.hosts[name].address),
            "data_centre": platform.hosts[name].data_centre,
            "for": does,
        }
        for name, does in parts.items()
    ]


def _team(facility: Facility, team: Team) -> dict[str, Any]:
    return {
        "id": team.id,
        "title": team.title,
        "group": team.group,
        "collection": _collection(facility, team.group),
        "quota": _quota(team.quota),
        "omero": team.omero,
        "pi": _person(team.pi),
        "members": [{**_person(member.person), "role": member.role} for member in team.members],
        "members_from": team.members_from,
    }


def _collection(facility: Facility, group: str) -> str:
    return f"/{facility.zone}/home/{group}"


def _person(person: Person) -> dict[str, Any]:
    return {"user": person.user, "name": person.name, "email": person.email}


def _quota(quota: Quota | None) -> dict[str, Any] | None:
    if quota is None:
        return None
    return {"total": quota.total, "storage_resources": dict(quota.storage_resources)}
