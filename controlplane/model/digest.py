"""Telling whether two copies of an inventory are the same."""

import hashlib
from pathlib import Path

from controlplane.model.load import FACILITIES, PLATFORM_FILE, POLICIES


def inventory_digest(folder: Path) -> str:
    """A digest of all that `load_platform` reads: equal for equal files, wherever the folder is.

    Raises OSError when a file cannot be read.
    """
    digest = hashlib.sha256()
    parts = (path for part in (FACILITIES, POLICIES) for path in folder.glob(f"{part}/*.yml"))
    for path in [folder / PLATFORM_FILE, *sorted(path for path in parts if not path.name.startswith("."))]:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder)}\n{content}\n".encode())
    return digest.hexdigest()
