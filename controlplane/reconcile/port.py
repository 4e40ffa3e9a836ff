"""What a system offers to be reconciled."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from controlplane.errors import BicError
from controlplane.state import Change, Key, State

Progress = Callable[[int, int], None]
"""Told how many of how many parts are done."""


class ObservationError(BicError):
    """A system that could not be read in full, or whose desired state is not known. It gets no plan."""


class ChangeError(BicError):
    """A change that could not be made, and why. The others go on."""


class SystemDownError(ChangeError):
    """The system takes no more changes for now. The run stops there; what is left is not attempted."""


class System(Protocol):
    """One system that the inventory describes, such as one zone.

    `desired`, `observe` and `refusals` are called from one thread at a time, `apply` from as many as
    `connections` says. What is transient a system tries again by itself.
    """

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
        """What the inventory wants in it.

        Raises ObservationError when that is not known in full, such as when members of teams come from
        another system that cannot be read.
        """

    def observe(self, progress: Progress) -> State:
        """What is in it. Raises ObservationError unless all of it was read."""

    def refusals(self, changes: Sequence[Change]) -> Mapping[Key, str]:
        """The changes that must not be made as the live system is now, and why.

        Asked when planning and again right before an apply. Raises ObservationError when the system cannot
        tell.
        """

    def begin(self, changes: Sequence[Change]) -> None:
        """Prepare for these changes. Raises ChangeError when none of them can be made."""

    def apply(self, change: Change) -> str:
        """Make one change; called from several threads at once.

        Returns a remark for the report, mostly empty. Raises ChangeError, or SystemDownError when further
        changes make no sense.
        """

    def finish(self) -> None:
        """Clean up after the changes that were made and after runs that were killed; others may be at work.

        Raises ChangeError.
        """

    def close(self) -> None:
        """Leave no connection open. The system can be used again afterwards."""


@runtime_checkable
class FollowsPeople(System, Protocol):
    """A system some of whose contents follow from who is on the platform and in which team."""

    @property
    def people_fields(self) -> Mapping[str, frozenset[str] | None]:
        """What follows, by the kind of object: some fields, or None for all of it."""

    @property
    def tells_people(self) -> bool:
        """Whether other systems learn from it who is in which team, and follow what is done in it."""
