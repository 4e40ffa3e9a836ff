"""A zone as a system to be reconciled."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property

from irods.models import User

from controlplane.errors import BicError
from controlplane.membership.roster import Roster
from controlplane.model import Facility, Platform, Zone
from controlplane.reconcile.port import ChangeError, ObservationError, Progress
from controlplane.state import Action, Change, Key, State
from controlplane.systems.irods import hosts, observe
from controlplane.systems.irods.apply import Applier
from controlplane.systems.irods.client import CONNECTIONS, Client, IrodsError, endpoint
from controlplane.systems.irods.desired import desired_state, erasable_groups
from controlplane.systems.irods.resources import GROUP, STORAGE_RESOURCE, TICKET, USER

PEOPLE = {USER: None, TICKET: None, GROUP: frozenset({"members", "acl"})}
"""What follows from people and memberships, and not from which teams there are."""


def systems(platform: Platform, roster: Roster) -> "Iterator[ZoneSystem]":
    """One system per zone; people who get an account name must get one that no zone has given away."""
    today = date.today()
    for zone in platform.zones.values():
        system = ZoneSystem(platform, zone, today, roster=roster)
        roster.names_from(system.account_names)
        yield system


class ZoneSystem:
    """One zone of a platform, entered through its catalog provider."""

    def __init__(
        self,
        platform: Platform,
        zone: Zone,
        today: date,
        client: Client | None = None,
        roster: Roster | None = None,
    ) -> None:
        """Connect when needed, or use `client`, which closes with this system.

        `today` decides which retention rules count, and `roster` tells the members whom the inventory does
        not name.
        """
        self.platform = platform
        self.roster = roster or Roster(platform)
        self.zone = zone
        self.today = today
        self.id = f"irods/{zone.name}"
        self.title = f"iRODS zone {zone.name}"
        self.connections = CONNECTIONS
        self.people_fields: Mapping[str, frozenset[str] | None] = PEOPLE
        self.tells_people = False
        self._client = client
        self._applier: Applier | None = None
        self._observed: State | None = None

    def desired(self) -> State:
        """What the inventory wants in the zone, for its people and those whom the roster names.

        Raises ObservationError when not all of them are known.
        """
        return self._wanted

    @cached_property
    def _wanted(self) -> State:
        return desired_state(self.roster.platform(self._facilities), self.zone)

    def _facilities(self, platform: Platform) -> Iterator[Facility]:
        """Those whose people have accounts here."""
        yield from platform.facilities_of(self.zone.name)
        yield from platform.visitors_of(self.zone.name)

    def account_names(self) -> list[str]:
        """The names of all accounts and groups that the zone has. Raises ObservationError."""
        try:
            with Client(endpoint(self.zone, self.platform.hosts[self.zone.catalog_provider]), 1) as client:
                rows = client.rows(User.name, where=(User.zone == self.zone.name,), patience=observe.PATIENCE)
        except BicError as error:
            raise ObservationError(f"{self.title}: {error}") from error
        return [name for (name,) in rows]

    def observe(self, progress: Progress) -> State:
        """What the zone holds. Raises ObservationError."""
        try:
            self._observed = observe.observe(
                self._connected(),
                self.platform.name,
                self._wanted,
                erasable_groups(self.platform, self.today),
                progress,
            )
        except BicError as error:
            raise ObservationError(str(error)) from error
        return self._observed

    def refusals(self, changes: Sequence[Change]) -> Mapping[Key, str]:
        """The storage resources whose host a server of the zone does not know, and why.

        Hosts of storage resources that exist are not asked about. Raises ObservationError.
        """
        known = {
            str(found.fields["host"])
            for key, found in (self._observed or {}).items()
            if key.kind == STORAGE_RESOURCE
        }
        wanted = {
            change.key: str(item.after)
            for change in changes
            if change.action is Action.CREATE and (item := change.field("host"))
        }
        asked = {host for host in wanted.values() if host and host not in known}
        try:
            servers = {
                name: replace(endpoint(self.zone, self.platform.hosts[name]), timeout=hosts.TIMEOUT)
                for name in self.zone.servers
            }
            reasons = hosts.unknown_hosts(servers, asked)
        except BicError as error:
            raise ObservationError(str(error)) from error
        return {key: reasons[host] for key, host in wanted.items() if host in reasons}

    def begin(self, changes: Sequence[Change]) -> None:
        """Claim what is created."""
        self._applier = Applier(self._connected(), self.platform.name, self._settled)
        try:
            self._applier.begin(changes)
        except IrodsError as error:
            raise ChangeError(str(error)) from error

    def _settled(self, key: Key) -> bool:
        """Whether an object needed no claim when the zone was read."""
        if self._observed is None:
            return False
        found = self._observed.get(key)
        return bool(found.fields["mark"]) if found else key not in self._wanted

    def apply(self, change: Change) -> str:
        """Make one change."""
        if self._applier is None:
            raise ValueError("begin was not called")
        return self._applier.apply(change)

    def finish(self) -> None:
        """Give up the claims, those of an earlier run that was killed too."""
        if self._applier is None:
            raise ValueError("begin was not called")
        try:
            self._applier.finish()
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
