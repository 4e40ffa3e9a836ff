"""Facilities' files on the disk: one writer at a time, checked with the whole inventory, replaced at once."""

import contextlib
import fcntl
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from controlplane.errors import BadInputError, BicError
from controlplane.facility.text import mapping_lines
from controlplane.model import InventoryError, Platform, Problem, load_platform
from controlplane.model.load import FACILITIES, PLATFORM_FILE, POLICIES
from controlplane.model.problems import suggestion
from controlplane.model.schema import schema_file
from controlplane.model.source import Data

_MODELINE = "# yaml-language-server: $schema"
LOCK_PATIENCE = 30.0
"""Seconds to wait for another edit of the same inventory; an edit takes a second or two."""
LOCK_PAUSE = 0.05


@dataclass(frozen=True)
class Edited:
    """What an edit made of a file."""

    path: Path
    before: str
    """The text before; empty for a new file."""
    after: str
    platform: Platform
    """The inventory with the edit."""


def facility_path(inventory: Path, facility: str) -> Path:
    """Where the file of a facility is, whether it exists or not.

    Raises BadInputError for what is no name of a file in that folder, such as `../platform`.
    """
    if Path(facility).name != facility:
        raise BadInputError(f"{facility!r} is not a facility's identifier")
    return inventory / FACILITIES / f"{facility}.yml"


def edit_facility(
    inventory: Path, facility: str, edit: Callable[[str, str], str], *, write: bool = True
) -> Edited:
    """Change a facility's file by `edit`, a function of its text and of its name in messages.

    Raises BadInputError for an unknown facility, InventoryError when the inventory would be wrong with the
    edit; then nothing is written. With `write` false nothing is written at all.
    """
    with _locked(inventory):
        path = facility_path(inventory, facility)
        if not path.is_file():
            load_platform(inventory)  # An inventory that is not there, or broken, is the better message.
            raise _unknown(inventory, facility)
        before = _read(path)
        after = edit(before, str(path))
        edited = Edited(path, before, after, check_text(inventory, facility, after))
        if write and after != before:
            if _read(path) != before:
                raise BicError(f"{path}: somebody changed the file meanwhile; look at it and run this again")
            _replace(path.resolve(), after)
        return edited


def create_facility(inventory: Path, facility: str, text: str, *, write: bool = True) -> Edited:
    """Write the file of a new facility.

    Raises BadInputError when there is one already, InventoryError when the inventory would be wrong with it;
    then nothing is written. With `write` false nothing is written at all.
    """
    with _locked(inventory):
        path = facility_path(inventory, facility)
        edited = Edited(path, "", text, check_new(inventory, facility, text))
        if write:
            path.parent.mkdir(exist_ok=True)
            _replace(path, text)
        return edited


def check_new(inventory: Path, facility: str, text: str) -> Platform:
    """The inventory as it would be with `text` as the file of a new facility.

    Raises BadInputError when there is such a facility, and InventoryError as `check_text`.
    """
    path = facility_path(inventory, facility)
    if os.path.lexists(path):
        raise BadInputError(f"there is already a facility {facility!r}, in {path}")
    return check_text(inventory, facility, text)


def check_draft(inventory: Path, facility: str, text: str) -> None:
    """Hold a facility that is being described against the inventory, with messages for who describes it.

    Raises BadInputError with what is wrong, without places in the file that is not there yet.
    """
    try:
        check_new(inventory, facility, text)
    except InventoryError as error:
        draft = str(facility_path(inventory, facility))
        raise BadInputError("\n".join(_about(problem, draft) for problem in error.problems)) from None


def _about(problem: Problem, draft: str) -> str:
    message = re.sub(rf"at {re.escape(draft)}:[0-9]+:[0-9]+", "here", problem.message)
    return message if problem.place.file == draft else f"{problem.place}: {message}"


def check_text(inventory: Path, facility: str, text: str) -> Platform:
    """The inventory as it would be with `text` as the file of `facility`.

    Raises InventoryError with all problems of it, as if the text were already in its place.
    """
    with tempfile.TemporaryDirectory(prefix="bic-") as folder:
        trial = Path(folder)
        (trial / FACILITIES).mkdir()
        for name in (PLATFORM_FILE, POLICIES):
            if (inventory / name).exists():
                (trial / name).symlink_to((inventory / name).resolve())
        target = facility_path(trial, facility)
        if (inventory / FACILITIES).is_dir():
            for other in (inventory / FACILITIES).iterdir():
                if other.name != target.name:
                    (trial / FACILITIES / other.name).symlink_to(other.resolve())
        # Never through a link: the links lead to the inventory itself.
        with target.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
        try:
            return load_platform(trial)
        except InventoryError as error:
            raise InventoryError(
                _moved(problem, str(trial), str(inventory)) for problem in error.problems
            ) from None


def new_text(inventory: Path, entry: Mapping[str, Data]) -> str:
    """The text of a new facility's file, with the line by which editors find the schema."""
    lines = [line] if (line := _modeline(inventory)) else []
    return "\n".join([*lines, *mapping_lines(entry)]) + "\n"


def _modeline(inventory: Path) -> str | None:
    """The line by which editors find the schema: beside that which platform.yml names, if it does."""
    first = _read(inventory / PLATFORM_FILE).partition("\n")[0].rstrip()
    head, _, name = first.rpartition("=")
    if head != _MODELINE or not name.endswith(schema_file("platform")):
        return None
    folder = name.removesuffix(schema_file("platform"))
    up = "" if folder.startswith("/") or ":" in folder else "../"
    return f"{head}={up}{folder}{schema_file('facility')}"


def _moved(problem: Problem, old: str, new: str) -> Problem:
    place = replace(problem.place, file=problem.place.file.replace(old, new, 1))
    return Problem(place, problem.message.replace(old, new))


def _unknown(inventory: Path, facility: str) -> BadInputError:
    known = [path.stem for path in (inventory / FACILITIES).glob("*.yml")]
    return BadInputError(f"there is no facility {facility!r}; {suggestion(facility, known)}")


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is not UTF-8 text"
        raise BadInputError(f"{path}: cannot be read: {reason}") from error


@contextlib.contextmanager
def _locked(inventory: Path) -> Iterator[None]:
    """Keep other edits of this inventory away; the kernel gives the lock back however the process ends."""
    try:
        lock = os.open(inventory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise BadInputError(f"{inventory}: the folder cannot be opened: {error.strerror}") from error
    try:
        end = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise BicError(f"{inventory}: another edit is still going on; try again") from None
                time.sleep(LOCK_PAUSE)
            except OSError as error:
                raise BicError(f"{inventory}: the folder cannot be locked: {error.strerror}") from error
        yield
    finally:
        os.close(lock)


def _replace(path: Path, text: str) -> None:
    """Put `text` in place of the file in one step, with the mode and owner of the old one."""
    # A fixed name, so that what a killed process left is used again; only the holder of the lock is here.
    # Its dot keeps it out of the inventory.
    fresh = path.with_name(f".{path.name}.new")
    try:
        old = path.stat() if path.exists() else None
        fresh.unlink(missing_ok=True)
        with fresh.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            if old:
                # Only root may give a file away; for others it becomes theirs, as with an editor.
                if os.geteuid() == 0:
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):  # What stays is used again, or replaced, by the next edit.
            fresh.unlink(missing_ok=True)
        raise BicError(f"{path}: cannot be written: {error.strerror}; nothing was changed") from error
