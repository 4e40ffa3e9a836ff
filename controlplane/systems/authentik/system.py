"""Authentik as a system to be reconciled, and as the directory that tells who is in which team."""

import threading
from collections.abc import Iterator, Mapping, Sequence

from controlplane.errors import BicError
from controlplane.membership import Membership
from controlplane.membership.roster import Roster
from controlplane.model import Platform
from controlplane.reconcile.port import ChangeError, ObservationError, Progress
from controlplane.state import Change, Key, State
from controlplane.systems.authentik import contents, people
from controlplane.systems.authentik import directory as reading
from controlplane.systems.authentik.apply import Applier
from controlplane.systems.authentik.client import CONNECTIONS, Client, endpoint
from controlplane.systems.authentik.contents import SharedNameError
from controlplane.systems.authentik.desired import desired_state
from controlplane.systems.authentik.directory import Directory
from controlplane.systems.authentik.resources import GROUP, PERSON

PEOPLE = {PERSON: None, GROUP: frozenset({"members"})}
"""What follows from people and memberships, and not from which teams there are."""

PEOPLE_FILE = "people.json"
"""The file of the platform's state folder that says who was read."""


def systems(platform: Platform, roster: Roster) -> "Iterator[AuthentikSystem]":
    """The login server, where the platform has one; teams' people come from it."""
    if platform.identity is not None:
        system = AuthentikSystem(platform, roster)
        roster.read_from(system.membership)
        yield system


class AuthentikSystem:
    """The platform's login server."""

    def __init__(self, platform: Platform, roster: Roster, client: Client | None = None) -> None:
        """Connect when needed, or use `client`, which closes with this system."""
        if platform.identity is None:
            raise ValueError("the platform has no login server")
        self.platform = platform
        self.roster = roster
        self.identity = platform.identity
        host = self.identity.url.partition("://")[2].rstrip("/")
        self.id = f"authentik/{host}"
        self.title = f"Authentik {host}"
        self.connections = CONNECTIONS
        self.people_fields: Mapping[str, frozenset[str] | None] = PEOPLE
        self.tells_people = True
        self._client = client
        self._lock = threading.Lock()
        self._latest: Directory | None = None
        self._fresh = False
        self._applier: Applier | None = None
        self._names_error = ""

    def membership(self) -> Membership:
        """Who is in the teams that take their people from here. Raises ObservationError."""
        try:
            return contents.membership(self.platform, self._directory())
        except SharedNameError as error:
            raise ObservationError(str(error)) from error

    def desired(self) -> State:
        """What the inventory wants here, with names for people who have none. Raises ObservationError."""
        directory = self._directory()
        taken: frozenset[str] = frozenset()
        self._names_error = ""
        if any(
            user.active and not reading.account_of(user)
            for user in contents.people_who_count(self.platform, directory)
        ):
            try:
                taken = self.roster.names_taken()
            except ObservationError as error:
                self._names_error = str(error)
        return desired_state(self.platform, directory, taken)

    def observe(self, progress: Progress) -> State:
        """What is here of ours. Raises ObservationError."""
        with self._lock:
            directory = self._latest if self._fresh and self._latest else self._read(progress)
            self._fresh = False
        return contents.compile_state(
            self.platform, directory, desired_state(self.platform, directory, frozenset())
        )

    def refusals(self, changes: Sequence[Change]) -> Mapping[Key, str]:
        """The account names that cannot be given: those of others, and all while nobody knows which are."""
        reasons = {change.key: self._refusal(change) for change in changes if change.key.kind == PERSON}
        return {key: reason for key, reason in reasons.items() if reason}

    def _refusal(self, change: Change) -> str:
        if self._names_error and change.field("account"):
            return f"which account names are taken is not known: {self._names_error}"
        item = change.field("username")
        return contents.username_problem(self._directory(), change.key.name, str(item.after)) if item else ""

    def begin(self, changes: Sequence[Change]) -> None:
        """Know the keys of what is there. Nothing needs to be claimed: a group is made with its mark."""
        try:
            self._applier = Applier(self._connected(), self.platform.name, self._directory())
        except BicError as error:
            raise ChangeError(str(error)) from error

    def apply(self, change: Change) -> str:
        """Make one change."""
        if self._applier is None:
            raise ValueError("begin was not called")
        return self._applier.apply(change)

    def finish(self) -> None:
        """Nothing is left to clean up."""

    def close(self) -> None:
        """Leave no connection open."""
        client, self._client = self._client, None
        if client:
            client.close()

    def _directory(self) -> Directory:
        """The latest reading; reads when there is none."""
        with self._lock:
            if self._latest is None:
                self._read(lambda done, total: None)
                self._fresh = True
            if self._latest is None:
                raise AssertionError("a reading leaves a directory or raises")
            return self._latest

    def _read(self, progress: Progress) -> Directory:
        file = self.platform.state_dir / PEOPLE_FILE
        try:
            client = self._connected()
            known = people.load(file, client.server.url)
            self._latest = reading.read(client, known, progress)
        except BicError as error:
            raise ObservationError(str(error)) from error
        people.keep(file, known)
        return self._latest

    def _connected(self) -> Client:
        if self._client is None:
            self._client = Client(endpoint(self.identity))
        return self._client
