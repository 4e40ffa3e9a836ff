"""A zone as a system to be reconciled."""

from collections.abc import Iterator, Mapping, Sequence

from controlplane.errors import BicError
from controlplane.model import Platform, Zone
from controlplane.reconcile.port import ChangeError, ObservationError, Progress
from controlplane.state import Change, Key, State
from controlplane.systems.irods import observe
from controlplane.systems.irods.apply import Applier
from controlplane.systems.irods.client import CONNECTIONS, Client, IrodsError, endpoint
from controlplane.systems.irods.desired import desired_state


def systems(platform: Platform) -> "Iterator[ZoneSystem]":
    """One system per zone."""
    return (ZoneSystem(platform, zone) for zone in platform.zones.values())


class ZoneSystem:
    """One zone of a platform, entered through its catalog provider."""

    def __init__(self, platform: Platform, zone: Zone, client: Client | None = None) -> None:
        """Connect when needed, or use `client`, which closes with this system."""
        self.platform = platform
        self.zone = zone
        self.id = f"irods/{zone.name}"
        self.title = f"iRODS zone {zone.name}"
        self.connections = CONNECTIONS
        self._client = client
        self._applier: Applier | None = None

    def desired(self) -> State:
        """What the inventory wants in the zone."""
        return desired_state(self.platform, self.zone)

    def observe(self, progress: Progress) -> State:
        """What the zone holds. Raises ObservationError."""
        try:
            return observe.observe(self._connected(), self.platform.name, self.desired().keys(), progress)
        except BicError as error:
            raise ObservationError(str(error)) from error

    def refusals(self, changes: Sequence[Change]) -> Mapping[Key, str]:
        """Nothing is refused."""
        return {}

    def begin(self, changes: Sequence[Change]) -> None:
        """Claim what the changes create."""
        self._applier = Applier(self._connected(), self.platform.name)
        try:
            self._applier.begin(changes)
        except IrodsError as error:
            raise ChangeError(str(error)) from error

    def apply(self, change: Change) -> str:
        """Make one change."""
        if self._applier is None:
            raise ValueError("begin was not called")
        return self._applier.apply(change)

    def finish(self, changes: Sequence[Change]) -> None:
        """Give up the claims of these changes."""
        if self._applier is None:
            raise ValueError("begin was not called")
        try:
            self._applier.finish(changes)
        except IrodsError as error:
            raise ChangeError(str(error)) from error

    def close(self) -> None:
        """Leave no connection open."""
        if self._client:
            self._client.close()

    def _connected(self) -> Client:
        if self._client is None:
            provider = self.platform.hosts[self.zone.catalog_provider]
            self._client = Client(endpoint(self.zone, provider), CONNECTIONS)
        return self._client
