"""Starting and stopping the world around a fleet, publishing its feeds, registering the platform there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sandbox.federation import feed
from sandbox.federation.institutions import INSTITUTIONS, Directory
from sandbox.federation.keys import KeyPair, key_pair, write
from sandbox.fleet.background import Program
from sandbox.fleet.spec import FleetSpec

#: TCP port of the outside world on the bridge's address.
PORT = 3143

_TITLES = {"national": "https://national.example/feed", "edugain": "https://edugain.example/feed"}
FEEDS = tuple(_TITLES)
"""The feeds: of the national federation, and of all the others."""


@dataclass(frozen=True)
class World:
    """The world around one fleet, and where it keeps keys, passwords, feeds and registered services."""

    fleet: FleetSpec

    @property
    def folder(self) -> Path:
        """All that it keeps, with people's passwords in `passwords.json` by `LOGIN@DOMAIN`."""
        return self.fleet.state_dir / "federation"

    @property
    def base_url(self) -> str:
        """Its address for browsers and hosts, without a trailing slash."""
        return f"http://{self.fleet.gateway}:{PORT}"

    @property
    def directory(self) -> Directory:
        """The institutions' keys and passwords."""
        return Directory(self.folder)

    def feed_url(self, name: str) -> str:
        """Where a feed is published."""
        return f"{self.base_url}/feeds/{name}.xml"

    def feed_keys(self, name: str) -> KeyPair:
        """The key with which a feed is signed; its certificate is what the platform pins."""
        return key_pair(self.folder / "keys", f"feed-{name}")


def start(fleet: FleetSpec) -> World:
    """Start the world and publish its feeds, unless they are there; one that runs already stays.

    Returns where everything is. Raises `SandboxError` when it does not answer or a feed cannot be signed.
    """
    world = World(fleet)
    world.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (world.folder / "services").mkdir(exist_ok=True)
    for name in FEEDS:
        if not (world.folder / "feeds" / f"{name}.xml").exists():
            publish(fleet, name)
    _program(world).start(
        fleet, ["--listen", f"{fleet.gateway}:{PORT}", "--folder", str(world.folder.resolve())]
    )
    return world


def pids(fleet: FleetSpec) -> list[int]:
    """Process ids of the fleet's outside world: one, or none."""
    return _program(World(fleet)).pids(fleet)


def stop(fleet: FleetSpec) -> None:
    """End it; none is fine. What it keeps stays."""
    _program(World(fleet)).stop(fleet)


def publish(
    fleet: FleetSpec,
    name: str,
    *,
    more: int = 0,
    valid: timedelta = timedelta(days=9),
    keys: KeyPair | None = None,
) -> None:
    """Publish a feed anew, valid from now for `valid`, with `more` generated institutions.

    A negative `valid` makes an expired feed; `keys` of somebody else make one that must be refused.
    """
    world = World(fleet)
    signing = keys or world.feed_keys(name)
    entities: Iterable[feed.Entity] = [
        feed.entity_of(place, world.base_url, world.directory.keys(place.slug))
        for place in INSTITUTIONS
        # A national federation lists its own; the others have all of them, each from its federation.
        if name != "national" or place.federation == "national"
    ]
    everything = [*entities, *feed.generated(more, signing.body)]
    path = world.folder / "feeds" / f"{name}.xml"
    feed.publish(path, everything, signing, name=_TITLES[name], valid=valid)


def register(fleet: FleetSpec, metadata: bytes) -> None:
    """Tell the institutions of the service whose metadata this is, as a federation's registry does."""
    world = World(fleet)
    (world.folder / "services").mkdir(parents=True, exist_ok=True)
    write(world.folder / "services" / "platform.xml", metadata, 0o644)


def _program(world: World) -> Program:
    return Program(
        title="outside world",
        module="sandbox.federation.server",
        url=f"{world.base_url}/feeds",
        log=world.folder / "server.log",
    )
