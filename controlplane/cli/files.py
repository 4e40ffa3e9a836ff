"""Files that commands write."""

from pathlib import Path

from controlplane.errors import BadInputError


def write_text(path: Path, text: str) -> None:
    """Replace a file, whole or not at all; its folder is made. Raises BadInputError."""
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text, "utf-8")
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise BadInputError(f"{path}: cannot be written: {error.strerror}") from error
