"""From an inventory's folder to a `Platform`."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType

from controlplane.model.checks import FacilityDocument, PlatformDocument, check
from controlplane.model.files import FacilityFile, PersonEntry, PlatformFile, secret
from controlplane.model.platform import (
    DataCentre,
    Facility,
    Host,
    Member,
    Person,
    Platform,
    Sandbox,
    StorageResource,
    Team,
    Zone,
)
from controlplane.model.problems import InventoryError, Place, Problem
from controlplane.model.source import read_source
from controlplane.model.validate import validate

PLATFORM_FILE = "platform.yml"
FACILITIES = "facilities"
POLICIES = "policies"
STATE_DIR_VARIABLE = "BIC_STATE_DIR"


def load_platform(path: Path) -> Platform:
    """Read, check and link the inventory in the folder `path`.

    Raises InventoryError with everything that is wrong in any of its files.
    """
    problems: list[Problem] = []
    if not path.is_dir():
        what = "is a file; name the folder it is in" if path.exists() else "does not exist"
        raise InventoryError([Problem(Place(str(path)), f"the inventory folder {what}")])
    platform = _read_platform(path, problems)
    facilities = _read_facilities(path, problems)
    problems.extend(
        Problem(Place(str(file)), "policy files are not understood by this version; remove it")
        for file in sorted((path / POLICIES).glob("*.y*ml"))
    )
    problems.extend(check(platform, facilities))
    if problems or platform is None:
        raise InventoryError(problems)
    return _link(path.resolve(), platform.data, [facility.data for facility in facilities])


def _read_platform(path: Path, problems: list[Problem]) -> PlatformDocument | None:
    file = path / PLATFORM_FILE
    if not file.is_file():
        problems.append(
            Problem(Place(str(file)), f"the file is missing; an inventory is a folder with a {PLATFORM_FILE}")
        )
        return None
    source = read_source(file, str(file), problems)
    data = validate(PlatformFile, source, problems) if source else None
    return PlatformDocument(data, source) if source and data else None


def _read_facilities(path: Path, problems: list[Problem]) -> list[FacilityDocument]:
    documents = []
    for file in sorted((path / FACILITIES).iterdir()) if (path / FACILITIES).is_dir() else []:
        if file.name.startswith("."):
            continue
        if file.suffix != ".yml" or not file.is_file():
            problems.append(
                Problem(Place(str(file)), "only facilities' files, named <id>.yml, may be in this folder")
            )
            continue
        source = read_source(file, str(file), problems)
        data = validate(FacilityFile, source, problems) if source else None
        if source and data:
            documents.append(FacilityDocument(data, source, file.stem))
    return documents


def _state_dir(root: Path, name: str) -> Path:
    """Where the control host keeps this platform's own files.

    Beside an `inventories` folder, which is how a clone looks; in the inventory itself when it stands
    alone; wherever the environment variable says.
    """
    if given := os.environ.get(STATE_DIR_VARIABLE):
        return Path(given).resolve()
    base = root.parent.parent if root.parent.name == "inventories" else root
    return base / ".state" / name


def _expander(root: Path, state_dir: Path) -> Callable[[str], str]:
    return lambda text: str(root / text.replace("{state_dir}", str(state_dir)))


def _link(root: Path, platform: PlatformFile, facilities: Sequence[FacilityFile]) -> Platform:
    state_dir = _state_dir(root, platform.name)
    expand = _expander(root, state_dir)
    hosts = {
        name: Host(name, platform.domain, entry.address, entry.data_centre, entry.services)
        for name, entry in platform.hosts.items()
    }
    for facility in facilities:
        if entry := facility.buffer:
            hosts[entry.host] = Host(
                entry.host, platform.domain, entry.address, facility.data_centre, facility=facility.id
            )
    zones = {
        name: Zone(
            name=name,
            catalog_provider=zone.catalog_provider,
            catalog_consumers=zone.catalog_consumers,
            port=zone.port,
            administrator=zone.administrator.user,
            password=secret(zone.administrator.password, expand),
            ca_file=Path(expand(zone.ca_file or "{state_dir}/pki/ca.crt")),
        )
        for name, zone in platform.zones.items()
    }
    sandbox = platform.sandbox
    return Platform(
        name=platform.name,
        title=platform.title,
        environment=platform.environment,
        domain=platform.domain,
        sandbox=Sandbox(sandbox.fleet, sandbox.network) if sandbox else None,
        data_centres=MappingProxyType(
            {name: DataCentre(name, entry.title, entry.city) for name, entry in platform.data_centres.items()}
        ),
        hosts=MappingProxyType(hosts),
        zones=MappingProxyType(zones),
        facilities=MappingProxyType({facility.id: _facility(facility) for facility in facilities}),
        root=root,
        state_dir=state_dir,
    )


def _person(entry: PersonEntry) -> Person:
    return Person(entry.user, entry.name, entry.email)


def _facility(entry: FacilityFile) -> Facility:
    return Facility(
        id=entry.id,
        title=entry.title,
        institution=entry.institution,
        city=entry.city,
        data_centre=entry.data_centre,
        zone=entry.zone,
        referents=tuple(_person(person) for person in entry.referents),
        buffer=entry.buffer.host if entry.buffer else None,
        storage_resources=tuple(
            StorageResource(name, entry.id, resource.host, resource.vault)
            for name, resource in entry.storage_resources.items()
        ),
        teams=tuple(
            Team(
                id=team.id,
                facility=entry.id,
                title=team.title,
                pi=_person(team.pi),
                members=tuple(Member(_person(member), member.role) for member in team.members),
            )
            for team in entry.teams
        ),
    )
