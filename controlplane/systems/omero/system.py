"""An OMERO server as a system to be reconciled."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from controlplane.errors import BicError
from controlplane.membership.roster import Roster
from controlplane.model import Facility, OmeroServer, Platform
from controlplane.reconcile.port import ChangeError, ObservationError, Progress
from controlplane.state import Action, Change, Key, State
from controlplane.systems.omero import observe
from controlplane.systems.omero.apply import Applier
from controlplane.systems.omero.client import CONNECTIONS, Client
from controlplane.systems.omero.connection import Endpoint, endpoint
from controlplane.systems.omero.desired import desired_state, facilities_of
from controlplane.systems.omero.errors import OmeroError
from controlplane.systems.omero.resources import GROUP, SESSION, SYSTEM_ACCOUNTS, SYSTEM_GROUPS, USER

PEOPLE: Mapping[str, frozenset[str] | None] = {
    USER: None,
    SESSION: None,
    GROUP: frozenset({"members", "owners"}),
}
"""What follows from people and memberships, and not from which teams there are."""


def title(host: str) -> str:
    """What the OMERO server of a host is called for people."""
    return f"OMERO server {host}"


def systems(platform: Platform, roster: Roster) -> "Iterator[OmeroSystem]":
    """One system per OMERO server; people who get an account name must get one that none has given away."""
    for server in platform.omero_servers.values():
        system = OmeroSystem(platform, server, roster=roster)
        roster.names_from(system.account_names)
        yield system


class OmeroSystem:
    """One OMERO server of a platform."""

    def __init__(
        self,
        platform: Platform,
        server: OmeroServer,
        client: Client | None = None,
        roster: Roster | None = None,
    ) -> None:
        """Connect when needed, or use `client`, which closes with this system.

        `roster` tells the members whom the inventory does not name.
        """
        self.platform = platform
        self.server = server
        self.roster = roster or Roster(platform)
        self.id = f"omero/{server.host}"
        self.title = title(server.host)
        self.connections = CONNECTIONS
        self.people_fields = PEOPLE
        self.tells_people = False
        self._client = client
        self._applier: Applier | None = None

    def desired(self) -> State:
        """What the inventory wants on the server, for its people and those whom the roster names.

        Raises ObservationError when not all of them are known.
        """
        return self._wanted

    @cached_property
    def _wanted(self) -> State:
        return desired_state(self.roster.platform(self._facilities), self.server.host)

    def _facilities(self, platform: Platform) -> Iterator[Facility]:
        """Those whose people have accounts here."""
        return facilities_of(platform, self.server.host)

    def account_names(self) -> list[str]:
        """The names of all accounts that the server has. Raises ObservationError."""
        try:
            with Client(self._endpoint(), 1) as client:
                return client.call(observe.account_names, patience=observe.PATIENCE)
        except BicError as error:
            raise ObservationError(f"{self.title}: {error}") from error

    def observe(self, progress: Progress) -> State:
        """What the server holds. Raises ObservationError."""
        try:
            return observe.observe(self._connected(), self.platform.name, self._wanted, progress)
        except BicError as error:
            raise ObservationError(str(error)) from error

    def refusals(self, changes: Sequence[Change]) -> Mapping[Key, str]:
        """The accounts and groups that are OMERO's own, which are never taken over."""
        own = {USER: SYSTEM_ACCOUNTS, GROUP: SYSTEM_GROUPS}
        return {
            change.key: f"OMERO has a {change.key.kind} of its own with this name"
            for change in changes
            if change.action in (Action.CREATE, Action.ADOPT)
            and change.key.name in own.get(change.key.kind, ())
        }

    def begin(self, changes: Sequence[Change]) -> None:
        """Learn the numbers by which the server knows what is there."""
        self._applier = Applier(self._connected(), self.platform.name)
        try:
            self._applier.begin(changes)
        except OmeroError as error:
            raise ChangeError(str(error)) from error

    def apply(self, change: Change) -> str:
        """Make one change."""
        if self._applier is None:
            raise ValueError("begin was not called")
        return self._applier.apply(change)

    def finish(self) -> None:
        """Nothing: no change leaves anything behind."""

    def close(self) -> None:
        """Leave no connection open."""
        if self._client:
            self._client.close()

    def _connected(self) -> Client:
        if self._client is None:
            self._client = Client(self._endpoint())
        return self._client

    def _endpoint(self) -> Endpoint:
        return endpoint(self.server, self.platform.hosts[self.server.host])
