"""Locks that end with the process that holds them.

A run on the whole platform holds the lock `platform` alone. Runs on facilities share it, and each holds its
facilities' locks alone.
"""

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, Self

from controlplane.state import Scope
from controlplane.store.errors import LockedError

POLL_SECONDS = 0.5
"""Seconds between two attempts to get a lock that somebody else holds."""


@dataclass(frozen=True)
class Wanted:
    """A lock, alone or shared with others who share it."""

    name: str
    shared: bool = False


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    who: str
    """As `<user>@<host>`."""
    pid: int
    since: datetime
    purpose: str
    """What for, such as `bic apply on facility nantes`."""

    @classmethod
    def myself(cls, purpose: str) -> Self:
        """This process, from now on."""
        return cls(account(), os.getpid(), datetime.now(UTC).replace(microsecond=0), purpose)

    def __str__(self) -> str:
        return f"{self.who}, process {self.pid}: {self.purpose}, since {self.since:%Y-%m-%d %H:%M:%S} UTC"


class Held(Protocol):
    """Locks that are held."""

    def check(self) -> None:
        """Raise StoreError when they are held no more, such as after a lost connection."""

    def add(self, name: str) -> None:
        """Hold one more lock, which nobody else asks for."""

    def release(self) -> None:
        """Hold none of them any more."""


class Locks(Protocol):
    """The locks of one platform."""

    def acquire(self, wanted: Sequence[Wanted], holder: Holder) -> Held:
        """Hold all of them, or raise LockedError at once."""

    def holders(self, name: str) -> list[Holder]:
        """Who holds a lock now."""


def locks_for(scope: Scope) -> list[Wanted]:
    """The locks of a run, in the order in which everybody takes them."""
    if not scope.touched:
        return [Wanted("platform")]
    return [Wanted("platform", shared=True), *(Wanted(f"facility/{id}") for id in sorted(scope.touched))]


@contextmanager
def hold(
    locks: Locks, wanted: Sequence[Wanted], purpose: str, wait: float, tell: Callable[[str], None]
) -> Iterator[Held]:
    """Hold locks while the block runs, waiting up to `wait` seconds for others to give them up.

    `tell` is told once whom it waits for. Raises LockedError.
    """
    end = time.monotonic() + wait
    told = False
    while True:
        try:
            held = locks.acquire(wanted, Holder.myself(purpose))
            break
        except LockedError as error:
            if time.monotonic() >= end:
                raise
            if not told:
                tell(f"waiting up to {wait:.0f} s: {error}")
                told = True
        time.sleep(min(POLL_SECONDS, max(0.0, end - time.monotonic())))
    try:
        yield held
    finally:
        held.release()


def locked(name: str, holders: Sequence[Holder]) -> LockedError:
    """The error that says who holds a lock."""
    what = "the platform" if name == "platform" else name.replace("/", " ")
    by = "; ".join(map(str, holders)) or "somebody who is just beginning or ending"
    return LockedError(f"{what} is locked by {by}. Run it again later, or with --wait-for-lock SECONDS")


def account() -> str:
    """This process's account, as `<user>@<host>`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
