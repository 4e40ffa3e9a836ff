"""A facility's buffer server as a system to be reconciled."""

from collections.abc import Iterator, Mapping, Sequence

from controlplane.membership.roster import Roster
from controlplane.model import BufferAccess, Facility, Platform
from controlplane.reconcile.port import ChangeError, ObservationError, Progress
from controlplane.state import Action, Change, Key, State
from controlplane.systems.buffer.apply import Applier
from controlplane.systems.buffer.client import BufferServerError, Client, endpoint
from controlplane.systems.buffer.contents import Contents, compile_state, names_of_others
from controlplane.systems.buffer.desired import desired_state, impossible_names
from controlplane.systems.buffer.resources import GROUP, USER

PEOPLE = {USER: None, GROUP: frozenset({"members", "writers"})}
"""What follows from people and memberships, and not from which teams there are."""

PATIENCE = 5.0
"""Seconds to go on trying to read while the server may come back."""


def systems(platform: Platform, roster: Roster) -> "Iterator[BufferSystem]":
    """One system per facility with a buffer server, where the platform says how these are entered.

    They are not asked which account names are taken: newcomers of all facilities would wait for each of them.
    """
    for facility in platform.facilities.values():
        if platform.buffers and facility.buffer:
            yield BufferSystem(platform, platform.buffers, facility, facility.buffer, roster)


def title(host: str) -> str:
    """What a buffer server is called for people."""
    return f"buffer server {host}"


class BufferSystem:
    """The buffer server of one facility."""

    def __init__(
        self, platform: Platform, access: BufferAccess, facility: Facility, host: str, roster: Roster
    ) -> None:
        """Connect when needed; `roster` tells the members whom the inventory does not name."""
        self.platform = platform
        self.roster = roster
        self.facility = facility.id
        self.id = f"buffer/{host}"
        self.title = title(host)
        # The program changes whole files under a lock: more at a time would only wait.
        self.connections = 1
        self.people_fields: Mapping[str, frozenset[str] | None] = PEOPLE
        self.tells_people = False
        self._client = Client(endpoint(access, platform.hosts[host]))
        self._applier: Applier | None = None

    def desired(self) -> State:
        """What the inventory wants on the server, for its people and those whom the roster names.

        The server is asked which names are its own. Raises ObservationError when that or the people are not
        known.
        """
        facility, impossible = self._wanted()
        return desired_state(
            self.platform.name, facility, {key.name for key in impossible if key.kind == USER}
        )

    def _wanted(self) -> tuple[Facility, Mapping[Key, str]]:
        """The facility with its members, and the names that it cannot have."""
        known = self.roster.platform(lambda platform: [platform.facilities[self.facility]])
        facility = known.facilities[self.facility]
        return facility, impossible_names(facility, names_of_others(self._read(), self.platform.name))

    def observe(self, progress: Progress) -> State:
        """What the server holds. Raises ObservationError."""
        found = compile_state(self._read(), self.platform.name)
        progress(1, 1)
        return found

    def _read(self) -> Contents:
        try:
            return self._client.read(patience=PATIENCE)
        except BufferServerError as error:
            raise ObservationError(str(error)) from error

    def refusals(self, changes: Sequence[Change]) -> Mapping[Key, str]:
        """The accounts and groups that the server cannot have, and why. Raises ObservationError."""
        made = {change.key for change in changes if change.action in (Action.CREATE, Action.ADOPT)}
        if not made:
            return {}
        _, impossible = self._wanted()
        return {key: reason for key, reason in impossible.items() if key in made}

    def begin(self, changes: Sequence[Change]) -> None:
        """Read what the server holds now: a change says the whole of what should be."""
        self._applier = None
        if not changes:
            return
        try:
            found = self._client.read(patience=PATIENCE)
        except BufferServerError as error:
            raise ChangeError(str(error)) from error
        self._applier = Applier(self._client, found, self.platform.name)

    def apply(self, change: Change) -> str:
        """Make one change."""
        if self._applier is None:
            raise ValueError("begin was not called")
        return self._applier.apply(change)

    def finish(self) -> None:
        """Nothing is left behind that would have to be cleaned up."""

    def close(self) -> None:
        """Leave no connection open."""
        self._client.close()
