"""In which order the servers of a zone are changed: the canary, then its data centre, then all."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from controlplane.model import Host, Zone


@dataclass(frozen=True)
class Wave:
    """Servers that get new rules, one after the other, before anything goes on."""

    title: str
    servers: tuple[str, ...]


def waves(
    zone: Zone, hosts: Mapping[str, Host], changed: Collection[str], canary: str | None = None
) -> tuple[Wave, ...]:
    """The waves over those servers of a zone that are `changed`; waves without servers are left out.

    The canary is the one that is named, where it is changed, else a catalog consumer: what breaks there
    breaks no other server. The catalog provider, on which all others depend, comes last within its wave.
    """
    ordered = [name for name in (*zone.catalog_consumers, zone.catalog_provider) if name in changed]
    if not ordered:
        return ()
    first = canary if canary in ordered else ordered[0]
    here = hosts[first].data_centre
    near = [name for name in ordered if name != first and hosts[name].data_centre == here]
    far = [name for name in ordered if name != first and name not in near]
    found = (
        Wave("canary", (first,)),
        Wave(f"data centre {here}", tuple(near)),
        Wave("all others", tuple(far)),
    )
    return tuple(wave for wave in found if wave.servers)
