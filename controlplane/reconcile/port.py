"""What a system offers to be reconciled."""

from collections.abc import Callable
from typing import Protocol

from controlplane.errors import BicError
from controlplane.state import Change, Plan, State

Progress = Callable[[int, int], None]
"""Told how many of how many parts are done."""


class ObservationError(BicError):
    """A system that could not be read in full. It gets no plan."""


class ChangeError(BicError):
    """A change that could not be made, and why. The others go on."""


class System(Protocol):
    """One system that the inventory describes, such as one zone."""

    @property
    def id(self) -> str:
        """Its identifier, unique on the platform: the kind of system, a slash, its name."""

    @property
    def title(self) -> str:
        """Its name for people."""

    @property
    def connections(self) -> int:
        """How many changes it takes at the same time."""

    def desired(self) -> State:
        """What the inventory wants in it; pure."""

    def observe(self, progress: Progress) -> State:
        """What is in it. Raises ObservationError unless all of it was read."""

    def begin(self, plan: Plan) -> None:
        """Prepare for a plan's changes. Raises ChangeError when none of them can be made."""

    def apply(self, change: Change) -> str:
        """Make one change; called from several threads at once.

        Returns a remark for the report, mostly empty. Raises ChangeError.
        """

    def finish(self, plan: Plan) -> None:
        """Clean up after a plan's changes. Raises ChangeError."""

    def close(self) -> None:
        """Leave no connection open."""
