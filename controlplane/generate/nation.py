"""A synthetic nation, file by file, from a seed: the same seed and sizes give the same files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import Random
from typing import Any

from controlplane.errors import BadInputError
from controlplane.generate.facility import TIERS, Site, facility_file
from controlplane.generate.names import CITIES
from controlplane.generate.people import People, Person, identifier

MAX_FACILITIES = 60_000
"""Each has a /24 network of its own in 10.0.0.0/8."""

TEAM_SIZE = 5
"""People for each team, where the number of teams is not given."""

File = tuple[str, dict[str, Any]]
"""A file's path in the inventory and what it holds."""


@dataclass(frozen=True)
class Nation:
    """What to generate. Raises BadInputError for sizes that do not fit together."""

    facilities: int
    people: int
    """Different people, referents included."""
    teams: int
    zones: int = 1
    """1: both data centres serve one zone; 2: each has a zone of its own, and they are federated."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.facilities <= MAX_FACILITIES:
            raise BadInputError(f"the number of facilities must be 1 to {MAX_FACILITIES:,}")
        if self.people < 2 * self.facilities:
            raise BadInputError(
                f"{self.facilities:,} facilities need at least {2 * self.facilities:,} people: "
                "a referent and a principal investigator each"
            )
        if not self.facilities <= self.teams <= self.people - self.facilities:
            raise BadInputError(
                f"the number of teams must be {self.facilities:,} to {self.people - self.facilities:,}: "
                "one or more in each facility, each with a principal investigator of its own"
            )
        if self.zones not in (1, 2):
            raise BadInputError("the number of zones must be 1 or 2")


def default_teams(facilities: int, people: int) -> int:
    """How many teams that many people form."""
    return max(facilities, min(people // TEAM_SIZE, people - facilities))


def files(nation: Nation) -> Iterator[File]:
    """The files of the inventory, one at a time, so that no more than one facility is in memory."""
    yield "platform.yml", platform_file(nation)
    tiers = {tier.name: {"facility": f"{tier.facility} TiB", "team": f"{tier.team} TiB"} for tier in TIERS}
    yield "policies/quotas.yml", {"tiers": tiers}
    random = Random(f"{nation.seed}/nation")  # noqa: S311 - nothing here is secret
    weights = [50 + int(random.random() * 100) for _ in range(nation.facilities)]
    people = [2 + more for more in portions(nation.people - 2 * nation.facilities, weights)]
    teams = [1 + more for more in portions(nation.teams - nation.facilities, [count - 2 for count in people])]
    everybody = People()
    guests: list[Person] = []
    for index, (of_people, of_teams) in enumerate(zip(people, teams, strict=True)):
        random = Random(f"{nation.seed}/{index}")  # noqa: S311
        site = _site(nation, index)
        document, guests = facility_file(
            site, everybody, random, people=of_people, teams=of_teams, guests=guests
        )
        yield f"facilities/{site.id}.yml", document


def platform_file(nation: Nation) -> dict[str, Any]:
    """`platform.yml`."""
    provider = ["postgresql", "irods_catalog_provider"]
    second = ["irods_catalog_consumer"] if nation.zones == 1 else provider
    servers = {
        "dc1-icat": {"data_centre": "dc1", "address": "10.0.0.11", "services": provider},
        "dc2-irods": {"data_centre": "dc2", "address": "10.0.0.12", "services": second},
    }
    zones: dict[str, Any] = {}
    if nation.zones == 1:
        zones["bicZone"] = {
            "catalog_provider": "dc1-icat",
            "catalog_consumers": ["dc2-irods"],
            **_zone_contents(tuple(servers)),
        }
    else:
        for name, host, other in (
            ("dc1Zone", "dc1-icat", "dc2Zone"),
            ("dc2Zone", "dc2-irods", "dc1Zone"),
        ):
            zones[name] = {"catalog_provider": host, "federation": [other], **_zone_contents((host,))}
    return {
        "name": "synthetic",
        "title": f"A synthetic nation of {counted(nation.facilities, 'facility', 'facilities')}",
        "environment": "staging",
        "domain": "bic.example",
        "data_centres": {
            "dc1": {"title": "Data centre 1", "city": "Nantes"},
            "dc2": {"title": "Data centre 2", "city": "Montpellier"},
        },
        "hosts": {
            **servers,
            "dc2-hpc": {"data_centre": "dc2", "address": "10.0.0.14"},
        },
        "zones": zones,
    }


def _zone_contents(hosts: tuple[str, ...]) -> dict[str, Any]:
    """How the control plane enters a zone, and the storage that belongs to no facility."""
    folders = {
        f"archive-{host.partition('-')[0]}": {
            "host": host,
            "vault": "/srv/irods/archive",
            "capacity": "2000 TiB",
        }
        for host in hosts
    }
    return {
        "administrator": {"password": {"file": "{state_dir}/secrets/irods_admin_password"}},
        "storage_resources": {"archive": {"type": "replication", "children": list(folders)}, **folders},
    }


def counted(number: int, one: str, many: str) -> str:
    """A number of things for people."""
    return f"{number:,} {one if number == 1 else many}"


def portions(amount: int, weights: Sequence[int]) -> list[int]:
    """Whole portions of an amount, in proportion to the weights.

    None exceeds its weight when the amount does not exceed their sum.
    """
    total = max(1, sum(weights))
    bounds = [amount * so_far // total for so_far in accumulate(weights, initial=0)]
    return [above - below for below, above in pairwise(bounds)]


def _site(nation: Nation, index: int) -> Site:
    city, of_city = CITIES[index % len(CITIES)]
    number = index // len(CITIES)
    data_centre = index % 2 + 1
    return Site(
        # No facility's identifier may be the beginning of another's up to a hyphen.
        id=identifier(city) + (str(number + 1) if number else ""),
        city=city,
        of_city=of_city,
        number=number,
        data_centre=f"dc{data_centre}",
        zone="bicZone" if nation.zones == 1 else f"dc{data_centre}Zone",
        network=f"10.{1 + index // 250}.{index % 250 + 1}",
        hosts=("dc1-icat", "dc2-irods")
        if nation.zones == 1
        else (("dc1-icat", "dc2-irods")[data_centre - 1],),
    )
