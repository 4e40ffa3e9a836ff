"""What a new facility will most likely want: names, places and addresses that follow from the inventory."""

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import PurePosixPath

from controlplane.model import Facility, Host, Platform, Zone

_LONGEST_IDENTIFIER = 30
_FIRST_VAULTS = PurePosixPath("/var/lib/irods/vaults")


@dataclass(frozen=True)
class Vault:
    """A storage resource that a facility could have."""

    name: str
    host: str
    path: str


def identifier(*titles: str, taken: Collection[str] = ()) -> str | None:
    """An identifier that is not `taken`, made from the first of `titles` that gives one."""
    return next((made for title in titles if (made := _slug(title)) and made not in taken), None)


def _slug(title: str) -> str:
    """A title as an identifier: accents and punctuation go, words are joined by hyphens and kept whole."""
    letters = unicodedata.normalize("NFKD", title.casefold().replace("œ", "oe").replace("æ", "ae"))
    words = re.findall(r"[a-z0-9]+", "".join(char for char in letters if not unicodedata.combining(char)))
    while words and not words[0][0].isalpha():
        words = words[1:]
    while len("-".join(words)) > _LONGEST_IDENTIFIER and len(words) > 1:
        words = words[:-1]
    return "-".join(words)[:_LONGEST_IDENTIFIER]


def data_centre(platform: Platform, city: str) -> str | None:
    """The data centre of the same city, or the only one."""
    same = [centre.id for centre in platform.data_centres.values() if _slug(centre.city) == _slug(city)]
    return next(iter(same or platform.data_centres)) if same or len(platform.data_centres) == 1 else None


def zone(platform: Platform, data_centre: str) -> str | None:
    """The zone whose catalog provider stands in the data centre, or the only one; None if neither tells."""
    home = [name for name, zone in platform.zones.items() if data_centre in _places(platform, zone)[:1]]
    zones = list(platform.zones) if len(platform.zones) == 1 else home
    return zones[0] if len(zones) == 1 else None


def _places(platform: Platform, zone: Zone) -> list[str]:
    return [platform.hosts[server].data_centre for server in zone.servers]


def buffer_address(platform: Platform, data_centre: str) -> IPv4Address | None:
    """The next free address after those of the other buffer servers, those of the same data centre first."""
    taken = {host.address for host in platform.hosts.values()}
    buffers = [host for host in platform.hosts.values() if host.is_buffer]
    near = [host for host in buffers if host.data_centre == data_centre]
    return next((free for host in _latest(near) + _latest(buffers) for free in _after(host, taken)), None)


def _latest(hosts: list[Host]) -> list[Host]:
    return sorted(hosts, key=lambda host: host.address, reverse=True)


def _after(host: Host, taken: Collection[IPv4Address]) -> Iterator[IPv4Address]:
    """Free addresses of the same last number's range, above a host's own; never a network's first or last."""
    for number in range(int(host.address) % 256 + 1, 255):
        address = host.address + (number - int(host.address) % 256)
        if address not in taken:
            yield address


def vault(platform: Platform, zone: Zone, data_centre: str, facility: str) -> Vault:
    """A storage resource on the zone's server in the data centre, its folder beside those of others."""
    here = [
        name
        for name, place in zip(zone.servers, _places(platform, zone), strict=True)
        if place == data_centre
    ]
    # Where the others of the zone already are.
    used = [host for host, _ in _vaults(platform, zone.name) if host in here]
    host = max(used, key=used.count) if used else (here or zone.servers)[0]
    vaults = sorted(_vaults(platform, zone.name), key=lambda vault: vault[0] != host)
    beside = vaults[0][1].parent if vaults else _FIRST_VAULTS
    name = f"{facility}-raw"
    return Vault(name, host, str(beside / name))


def _vaults(platform: Platform, zone: str) -> list[tuple[str, PurePosixPath]]:
    """The hosts and folders of the storage resources of a zone's facilities."""
    return [
        (resource.host, PurePosixPath(resource.vault))
        for facility in platform.facilities_of(zone)
        for resource in facility.storage_resources
        if resource.host and resource.vault
    ]


def omero(platform: Platform, data_centre: str) -> str | None:
    """The OMERO host that other facilities of the data centre use."""
    return next(
        (facility.omero_host for facility in _neighbours(platform, data_centre) if facility.omero_host), None
    )


def _neighbours(platform: Platform, data_centre: str) -> Iterator[Facility]:
    return (facility for facility in platform.facilities.values() if facility.data_centre == data_centre)
