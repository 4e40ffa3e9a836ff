"""A synthetic facility: its teams, its people and its storage."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from controlplane.generate.names import (
    INSTITUTIONS,
    INSTRUMENTS,
    SPECIALITIES,
    TEAM_ASPECTS,
    TEAM_SUBJECTS,
)
from controlplane.generate.people import People, Person, pick

SECOND_TEAM = 0.08
"""Share of a facility's members who work in two of its teams."""

GUESTS = 0.01
"""Share of a facility's people who also work in a team of the next facility."""

COLLABORATORS = 0.3
"""Share of members who only read."""

SEVERAL_REFERENTS = 20
"""People from which on a facility has two referents."""

PEOPLE_PER_INSTRUMENT = 40

OWN_QUOTA = 0.04
"""Share of teams with another quota than their facility's tier gives them."""


@dataclass(frozen=True)
class Tier:
    """What facilities of a size may keep, in TiB."""

    name: str
    people: int
    """The largest facility of this tier."""
    facility: int
    team: int


TIERS = (
    Tier("small", 100, 60, 5),
    Tier("standard", 400, 200, 20),
    Tier("large", 1_000_000_000, 1000, 40),
)


@dataclass(frozen=True)
class Site:
    """Where a facility is and which servers it uses."""

    id: str
    city: str
    of_city: str
    """The city as it follows the name of an institution."""
    number: int
    """How many facilities of the city come before it."""
    data_centre: str
    zone: str
    network: str
    """The first three numbers of its addresses."""
    hosts: tuple[str, ...]
    """The servers of its zone that keep its data; each has a copy."""

    @property
    def domain(self) -> str:
        """Where its people's e-mail goes."""
        return f"{self.id}.example"


def facility_file(
    site: Site, everybody: People, random: Random, *, people: int, teams: int, guests: list[Person]
) -> tuple[dict[str, Any], list[Person]]:
    """The facility's file, and the people who are guests of the next one.

    `people` are its own, of whom each team has one as its principal investigator and at least one is a
    referent; the `guests` of another facility come on top.
    """
    everyone = [everybody.new(random, site.domain) for _ in range(people)]
    count = 2 if people >= SEVERAL_REFERENTS and people - teams >= 2 else 1
    referents, investigators, members = (
        everyone[:count],
        everyone[count : count + teams],
        everyone[count + teams :],
    )
    described: list[dict[str, Any]] = [
        {"id": identifier, "title": title, "pi": pi, **_extras(random), "members": []}
        for (identifier, title), pi in zip(_team_names(teams, random), investigators, strict=True)
    ]
    for member in members:
        first = int(random.random() * teams)
        _join(described[first], member, random)
        if teams > 1 and random.random() < SECOND_TEAM:
            _join(described[(first + 1 + int(random.random() * (teams - 1))) % teams], member, random)
    for guest in guests:
        _join(pick(random, described), guest, random)
    tier = next(tier for tier in TIERS if people <= tier.people)
    document = {
        "id": site.id,
        "title": f"{site.city} {SPECIALITIES[site.number % len(SPECIALITIES)]} facility",
        "institution": f"{INSTITUTIONS[site.number % len(INSTITUTIONS)]} {site.of_city}",
        "city": site.city,
        "data_centre": site.data_centre,
        "zone": site.zone,
        "quota": {"tier": tier.name},
        "referents": referents,
        "buffer": {"host": f"buffer-{site.id}", "address": f"{site.network}.10"},
        "instruments": list(_instruments(1 + people // PEOPLE_PER_INSTRUMENT, random)),
        "hpc_mounts": [{"host": "dc2-hpc", "path": f"/bic/{site.id}", "access": "read"}],
        "storage_resources": _storage_resources(site, tier),
        "teams": described,
    }
    return document, members[: round(people * GUESTS)]


def _team_names(count: int, random: Random) -> Iterator[tuple[str, str]]:
    """Different identifiers and titles for a facility's teams."""
    names = [(subject, aspect) for subject in TEAM_SUBJECTS for aspect in TEAM_ASPECTS]
    # A step without a common factor with their number visits all of them.
    start, step = int(random.random() * len(names)), 7919
    for index in range(count):
        subject, aspect = names[(start + index * step) % len(names)]
        times = index // len(names) + 1
        title = f"{subject} {aspect}".capitalize()
        if times == 1:
            yield f"{subject}-{aspect}", title
        else:
            yield f"{subject}-{aspect}-{times}", f"{title} {times}"


def _join(team: dict[str, Any], person: Person, random: Random) -> None:
    role = "collaborator" if random.random() < COLLABORATORS else "contributor"
    team["members"].append({**person, "role": role})


def _extras(random: Random) -> dict[str, Any]:
    """What some teams have and others do not."""
    if random.random() < OWN_QUOTA:
        return {"quota": {"total": f"{1 + int(random.random() * 30)} TiB"}}
    return {}


def _instruments(count: int, random: Random) -> Iterator[dict[str, str]]:
    times: Counter[str] = Counter()
    for _ in range(count):
        stem, title, modality = pick(random, INSTRUMENTS)
        times[stem] += 1
        name = f"{stem}{times[stem]}"
        yield {"id": name, "title": title, "modality": modality, "landing_zone": f"/srv/landing/{name}"}


def _storage_resources(site: Site, tier: Tier) -> dict[str, Any]:
    """A replication over one folder in each data centre of the zone."""
    root = f"{site.id}-data"
    folders = {
        f"{site.id}-{host.partition('-')[0]}": {
            "host": host,
            "vault": f"/srv/irods/{site.id}",
            "capacity": f"{tier.facility} TiB",
            "parent": root,
        }
        for host in site.hosts
    }
    return {root: {"type": "replication"}, **folders}
