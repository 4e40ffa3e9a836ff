"""From an inventory's folder to a `Platform`."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from controlplane.collector import collector_paused
from controlplane.model.checks import check
from controlplane.model.documents import Document, Documents, FacilityDocument, Policies
from controlplane.model.facility_file import FacilityFile
from controlplane.model.fast import read_plain
from controlplane.model.link import link
from controlplane.model.partial import what_is_left
from controlplane.model.platform import Platform
from controlplane.model.platform_file import PlatformFile
from controlplane.model.policy_files import LimitsFile, QuotasFile, RetentionFile
from controlplane.model.problems import InventoryError, Place, Problem, suggestion
from controlplane.model.source import LazySource, parse, read_text
from controlplane.model.types import FileModel
from controlplane.model.validate import mistakes, without_mistakes

PLATFORM_FILE = "platform.yml"
FACILITIES = "facilities"
POLICIES = "policies"
POLICY_FILES = ("quotas.yml", "limits.yml", "retention.yml")

Model = TypeVar("Model", bound=FileModel)


def load_platform(path: Path) -> Platform:
    """Read, check and link the inventory in the folder `path`.

    Raises InventoryError with everything that is wrong in any of its files.
    """
    problems: list[Problem] = []
    with collector_paused():
        try:
            documents = _read(path, problems)
        except OSError as error:
            # A folder that may not be listed, or a name that no file can have.
            place = Place(str(error.filename or path))
            raise InventoryError([*problems, Problem(place, f"cannot be read: {error.strerror}")]) from error
        problems.extend(check(documents))
        if problems or documents.platform is None:
            raise InventoryError(problems)
        return link(path.resolve(), documents.platform.data, documents)


def _read(path: Path, problems: list[Problem]) -> Documents:
    if not path.is_dir():
        what = "is a file; name the folder it is in" if path.exists() else "does not exist"
        raise InventoryError([Problem(Place(str(path)), f"the inventory folder {what}")])
    platform = None
    if (path / PLATFORM_FILE).is_file():
        platform = _document(PlatformFile, path / PLATFORM_FILE, problems)
    else:
        place = Place(str(path / PLATFORM_FILE))
        problems.append(
            Problem(place, f"the file is missing; an inventory is a folder with a {PLATFORM_FILE}")
        )
    facilities: list[FacilityDocument] = []
    for file in _files(path / FACILITIES):
        if file.suffix != ".yml" or not (file.is_file() or file.is_symlink()):
            problems.append(
                Problem(Place(str(file)), "only facilities' files, named <id>.yml, may be in this folder")
            )
        elif document := _document(FacilityFile, file, problems):
            facilities.append(document)
    policies = _read_policies(path / POLICIES, problems)
    return Documents(platform, facilities, policies, all_read=not problems)


def _read_policies(folder: Path, problems: list[Problem]) -> Policies:
    for file in _files(folder):
        if file.name not in POLICY_FILES or not file.is_file():
            known = suggestion(file.name, POLICY_FILES, noun="known files")
            problems.append(Problem(Place(str(file)), f"this is no file of policies; {known}"))
    before = len(problems)
    policies = Policies(
        quotas=_policy(QuotasFile, folder / "quotas.yml", problems),
        limits=_policy(LimitsFile, folder / "limits.yml", problems),
        retention=_policy(RetentionFile, folder / "retention.yml", problems),
    )
    return replace(policies, complete=len(problems) == before)


def _files(folder: Path) -> Iterable[Path]:
    """What is in a folder, in order, without hidden files; nothing where there is no folder."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return (file for file in found if not file.name.startswith("."))


def _policy(model: type[Model], file: Path, problems: list[Problem]) -> Document[Model] | None:
    return _document(model, file, problems) if file.is_file() else None


def _document(model: type[Model], file: Path, problems: list[Problem]) -> Document[Model] | None:
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
