"""An inventory's files into a folder, all of them or none."""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from controlplane.errors import BadInputError
from controlplane.generate.nation import File
from controlplane.generate.text import yaml_text


def write_inventory(folder: Path, files: Iterable[File]) -> int:
    """Write files into a new folder and return how many they were.

    They are written beside it and get its name when they are complete, so that a run which was killed leaves
    no half of an inventory; the next run for the same folder clears what it left. Raises BadInputError when
    the folder holds anything or cannot be written.
    """
    target = folder.absolute()
    try:
        if os.path.lexists(target) and (not target.is_dir() or any(target.iterdir())):
            raise BadInputError(f"{folder} exists and is not an empty folder; name a new one")
        with _unfinished(target) as unfinished:
            count = 0
            for name, document in files:
                path = unfinished / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(yaml_text(document), "utf-8")
                count += 1
            # Takes the place of an empty folder too, and of nothing else.
            unfinished.rename(target)
    except OSError as error:
        raise BadInputError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    return count


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """An empty folder beside the target, for this process alone; after an error it is gone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}.unfinished")
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInputError(f"another process is writing {target}; wait for it") from None
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder)
            raise
    finally:
        os.close(descriptor)
