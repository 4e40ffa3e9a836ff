"""The one reading of the directory that all systems of a command share.

Whoever needs it first causes the reading, the others wait for it: so the directory is read before any zone is
planned, whatever order the systems come in. What the reading raised is raised to everybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from controlplane.membership.membership import Membership, unknown_teams, with_members
from controlplane.reconcile.port import ObservationError

if TYPE_CHECKING:
    from controlplane.model import Facility, Platform

SHOWN = 3
"""Reasons that are told of teams whose people are not known."""


class Roster:
    """Who is on the platform, once read."""

    def __init__(self, platform: Platform) -> None:
        """Know the inventory; `read_from` says where people come from."""
        self._inventory = platform
        self._lock = threading.Lock()
        self._reader: Callable[[], Membership] | None = None
        self._names: list[Callable[[], Iterable[str]]] = []
        self._read: tuple[Platform, Membership] | None = None
        self._error: ObservationError | None = None

    def read_from(self, reader: Callable[[], Membership]) -> None:
        """Let memberships come from `reader`, which raises ObservationError when it cannot tell all."""
        self._reader = reader

    def names_from(self, reader: Callable[[], Iterable[str]]) -> None:
        """Let `reader` tell the account names that are taken in a system; it raises ObservationError."""
        self._names.append(reader)

    def platform(self, facilities: Callable[[Platform], Iterable[Facility]]) -> Platform:
        """The platform with its members, of whom those of the chosen facilities are all known.

        Raises ObservationError when the directory could not be read in full, or when it lacks a group that a
        team of these facilities names.
        """
        platform, membership = self._membership()
        if reasons := unknown_teams(self._inventory, membership, facilities(self._inventory)):
            more = f"; and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
            raise ObservationError(f"not all members are known: {'; '.join(reasons[:SHOWN])}{more}")
        return platform

    def names_taken(self) -> frozenset[str]:
        """The account names that are taken in any system. Raises ObservationError when one cannot tell."""
        return frozenset(name for reader in self._names for name in reader())

    def _membership(self) -> tuple[Platform, Membership]:
        if self._reader is None:
            return self._inventory, Membership()
        with self._lock:
            if self._error:
                raise self._error
            if self._read is None:
                try:
                    membership = self._reader()
                except ObservationError as error:
                    self._error = ObservationError(f"the members of its teams could not be read: {error}")
                    raise self._error from error
                self._read = with_members(self._inventory, membership), membership
            return self._read
