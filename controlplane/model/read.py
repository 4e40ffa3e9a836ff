"""One YAML file as a document of a model."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from controlplane.model.documents import Document
from controlplane.model.fast import read_plain
from controlplane.model.partial import what_is_left
from controlplane.model.problems import Problem
from controlplane.model.source import LazySource, parse, read_text
from controlplane.model.types import FileModel
from controlplane.model.validate import mistakes, without_mistakes

Model = TypeVar("Model", bound=FileModel)


def files_in(folder: Path) -> Iterable[Path]:
    """What is in a folder, in order, without hidden files; nothing where there is no folder.

    Raises OSError where the folder may not be listed.
    """
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return (file for file in found if not file.name.startswith("."))


def read_document(model: type[Model], file: Path, problems: list[Problem]) -> Document[Model] | None:
    """A file's data and places; what is wrong is added to `problems`, and left out of the data.

    None where nothing of use is left.
    """
    shown = str(file)
    text = read_text(file, shown, problems)
    if text is None:
        return None
    if (plain := read_plain(text)) is not None and (fine := without_mistakes(model, plain)):
        return Document(fine, LazySource(file, shown), file.stem)
    found: list[Problem] = []
    source = parse(text, shown, found)
    if source:
        # What the parser did not understand is nothing to the model, which need not be said as well.
        told = {problem.place for problem in found}
        found.extend(problem for problem in mistakes(model, source) if problem.place not in told)
    problems.extend(found)
    if source and not found and (fine := without_mistakes(model, source.data)):
        return Document(fine, source, file.stem)
    left = what_is_left(model, source) if source else None
    return Document(left.data, left.source, file.stem, left.dropped) if left else None
