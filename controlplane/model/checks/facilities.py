"""What facilities refer to, and what stands on their buffer servers and clusters."""

from collections.abc import Iterator
from typing import Any

from controlplane.model.checks.paths import Folders
from controlplane.model.checks.platform import OMERO, serves
from controlplane.model.checks.spots import Spot, at
from controlplane.model.documents import Document, Documents, FacilityDocument, PlatformDocument
from controlplane.model.layout import Arrangement
from controlplane.model.problems import Problem


def check(documents: Documents) -> Iterator[Problem]:
    """What is wrong with the references of facilities."""
    mounts: dict[tuple[str, str], Spot] = {}
    for facility in documents.facilities:
        if documents.platform:
            yield from _references(documents.platform, facility)
        yield from _instruments(facility)
        yield from _omero(facility)
        for index, mount in enumerate(facility.data.hpc_mounts):
            spot = at(facility, "hpc_mounts", index, "path")
            if earlier := mounts.get((mount.host, mount.path)):
                yield spot.problem(
                    f"the folder {mount.path} of the host {mount.host!r} is already mounted at {earlier}"
                )
            mounts.setdefault((mount.host, mount.path), spot)


def _references(platform: PlatformDocument, facility: FacilityDocument) -> Iterator[Problem]:
    data, known = facility.data, platform.data
    yield from _reference(
        platform, at(facility, "data_centre"), "data centre", data.data_centre, known.data_centres
    )
    if data.zone is not None:
        yield from _reference(platform, at(facility, "zone"), "zone", data.zone, known.zones)
    elif data.data_centre in known.data_centres and platform.complete:
        yield from _zone_follows(platform, facility)
    yield from _access_from(platform, facility)
    for index, mount in enumerate(data.hpc_mounts):
        yield from _reference(
            platform, at(facility, "hpc_mounts", index, "host"), "host", mount.host, known.hosts
        )
    if data.omero:
        yield from serves(platform, at(facility, "omero", "host"), data.omero.host, OMERO)
    if known.identity or not platform.complete:
        return
    for index, team in enumerate(data.teams):
        if team.members_from is not None:
            yield at(facility, "teams", index, "members_from").problem(
                "members can come from Authentik only when platform.yml says where it is; add 'identity' "
                "there, or write the members here as 'members'"
            )


def _zone_follows(platform: PlatformDocument, facility: FacilityDocument) -> Iterator[Problem]:
    """A facility that names no zone is in a data centre that tells which."""
    zones, data_centre = platform.data.zones, facility.data.data_centre
    if Arrangement(platform.data).zone_in(data_centre) is None:
        yield at(facility, "data_centre").problem(
            f"the data centre {data_centre!r} does not tell the zone: the catalog provider of none or of "
            f"several stands there; add 'zone', one of {', '.join(sorted(zones))}"
            if zones
            else "platform.yml describes no zone yet, and a facility's data need one; add it there"
        )


def _access_from(platform: PlatformDocument, facility: FacilityDocument) -> Iterator[Problem]:
    """Access from elsewhere goes through zones that are federated with the facility's, or the same."""
    known, arrangement = platform.data, Arrangement(platform.data)
    own = arrangement.zone_of(facility.data)
    seen: set[str] = set()
    for index, visit in enumerate(facility.data.access_from):
        name, spot = visit.data_centre, at(facility, "access_from", index, "data_centre")
        zone = arrangement.zone_in(name)
        if name not in known.data_centres:
            yield from _reference(platform, spot, "data centre", name, known.data_centres)
        elif name in seen:
            yield spot.problem(f"the data centre {name!r} is listed twice")
        elif name == facility.data.data_centre:
            yield spot.problem(
                f"the data of {facility.data.id!r} are in the data centre {name!r} already; name another one"
            )
        elif not platform.complete or own is None or own not in arrangement.zones:
            pass  # What is wrong there is told there.
        elif zone is None:
            yield spot.problem(
                f"the data centre {name!r} has no zone from which people could reach the data: no catalog "
                "provider, or several, stand there"
            )
        elif zone != own and zone not in arrangement.zones[own].federation:
            yield spot.problem(
                f"the zone {zone} of the data centre {name!r} is not federated with {own}, which holds the "
                f"data of {facility.data.id!r}; name it under 'federation' of both"
            )
        seen.add(name)


def _reference(
    platform: Document[Any], spot: Spot, what: str, name: str, known: dict[str, Any]
) -> Iterator[Problem]:
    if name not in known and not platform.may_hold(name):
        yield spot.unknown(what, name, known)


def _instruments(facility: FacilityDocument) -> Iterator[Problem]:
    identifiers: dict[str, Spot] = {}
    folders = Folders("landing zone")
    for index, instrument in enumerate(facility.data.instruments):
        spot = at(facility, "instruments", index, "id")
        if earlier := identifiers.get(instrument.id):
            yield spot.problem(f"the instrument {instrument.id!r} is already described at {earlier}")
        identifiers.setdefault(instrument.id, spot)
        if instrument.landing_zone is None:
            continue
        spot = at(facility, "instruments", index, "landing_zone")
        if facility.data.buffer is None and facility.complete:
            yield spot.problem(
                f"the instrument {instrument.id!r} has a landing zone, but the facility has no buffer server "
                "to hold it; add 'buffer', or remove 'landing_zone'"
            )
        yield from folders.add(instrument.landing_zone, spot, "on this facility's buffer server")


def _omero(facility: FacilityDocument) -> Iterator[Problem]:
    if facility.data.omero or not facility.complete:
        return
    for index, team in enumerate(facility.data.teams):
        if team.omero:
            yield at(facility, "teams", index, "omero").problem(
                f"the images of the team {team.id!r} should be shown, but the facility has no OMERO; "
                "add 'omero' to the facility, or remove it here"
            )
