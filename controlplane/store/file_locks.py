"""Locks in a folder of one machine, for a store in SQLite.

The lock itself is a file that is locked by the kernel (flock). Beside it, each holder has a file that says
who it is and that it locks as well, so a file of a process that died is known by not being locked.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from controlplane.store.errors import StoreError
from controlplane.store.locks import Holder, Wanted, locked


class FileLocks:
    """Locks below a folder."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is made when it is needed."""
        self.folder = folder

    def acquire(self, wanted: Sequence[Wanted], holder: Holder) -> "HeldFiles":
        """Hold all of them, or raise LockedError at once."""
        held = HeldFiles(self, holder)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for lock in wanted:
                held.take(lock)
        except OSError as error:
            held.release()
            raise StoreError(f"the locks in {self.folder} cannot be used: {error.strerror}") from error
        except BaseException:
            held.release()
            raise
        return held

    def holders(self, name: str) -> list[Holder]:
        """Who holds a lock now; forgets those that died."""
        found = []
        for path in sorted(self.folder.glob(f"{_stem(name)}.*.holder")):
            try:
                with path.open("r+b") as file:
                    if _lock(file.fileno(), fcntl.LOCK_EX):
                        # Its process is gone; a new one never takes over an old file.
                        path.unlink(missing_ok=True)
                    else:
                        found.append(_parsed(file.read()))
            except FileNotFoundError:
                continue
        return found

    def path(self, name: str, ending: str) -> Path:
        """A file of a lock."""
        return self.folder / f"{_stem(name)}.{ending}"


class HeldFiles:
    """Locks that this process holds."""

    def __init__(self, locks: FileLocks, holder: Holder) -> None:
        """Hold nothing yet."""
        self._locks = locks
        self._holder = holder
        self._open: list[int] = []
        self._signs: list[Path] = []

    def take(self, lock: Wanted) -> None:
        """Hold one more lock, or raise LockedError."""
        number = os.open(self._locks.path(lock.name, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        self._open.append(number)
        if not _lock(number, fcntl.LOCK_SH if lock.shared else fcntl.LOCK_EX):
            raise locked(lock.name, self._locks.holders(lock.name))
        self.add(lock.name)

    def add(self, name: str) -> None:
        """Say that this process holds a lock."""
        # The text is there and the file locked before it gets the name by which others find it.
        draft = self._locks.path(name, f"{secrets.token_hex(8)}.draft")
        number = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._open.append(number)
        fcntl.flock(number, fcntl.LOCK_EX)
        text = {**asdict(self._holder), "since": self._holder.since.isoformat()}
        os.write(number, json.dumps(text).encode())
        sign = draft.with_suffix(".holder")
        self._signs.append(sign)
        draft.rename(sign)

    def check(self) -> None:
        """Locks of the kernel are never lost."""

    def release(self) -> None:
        """Hold none of them any more."""
        for sign in self._signs:
            sign.unlink(missing_ok=True)
        for number in reversed(self._open):
            os.close(number)
        self._signs, self._open = [], []


def _lock(number: int, kind: int) -> bool:
    try:
        fcntl.flock(number, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stem(name: str) -> str:
    return name.replace("/", "-")


def _parsed(text: bytes) -> Holder:
    values = json.loads(text)
    return Holder(**{**values, "since": datetime.fromisoformat(values["since"])})
