"""From an inventory's folder to a `Platform`."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from controlplane.collector import collector_paused
from controlplane.model.checks import check
from controlplane.model.documents import Document, Documents, FacilityDocument, Policies
from controlplane.model.facility_file import FacilityFile
from controlplane.model.link import link
from controlplane.model.manifest_file import ManifestFile
from controlplane.model.platform import Platform
from controlplane.model.platform_file import PlatformFile
from controlplane.model.policy_files import LimitsFile, QuotasFile, RetentionFile, RulesFile
from controlplane.model.problems import InventoryError, Place, Problem, suggestion
from controlplane.model.read import files_in, read_document
from controlplane.model.types import FileModel

PLATFORM_FILE = "platform.yml"
FACILITIES = "facilities"
POLICIES = "policies"
POLICY_FILES = ("quotas.yml", "limits.yml", "retention.yml", "rules.yml")
MANIFEST = "manifest.yml"

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
        platform = read_document(PlatformFile, path / PLATFORM_FILE, problems)
    else:
        place = Place(str(path / PLATFORM_FILE))
        problems.append(
            Problem(place, f"the file is missing; an inventory is a folder with a {PLATFORM_FILE}")
        )
    facilities: list[FacilityDocument] = []
    for file in files_in(path / FACILITIES):
        if file.suffix != ".yml" or not (file.is_file() or file.is_symlink()):
            problems.append(
                Problem(Place(str(file)), "only facilities' files, named <id>.yml, may be in this folder")
            )
        elif document := read_document(FacilityFile, file, problems):
            facilities.append(document)
    policies = _read_policies(path / POLICIES, problems)
    all_read = not problems
    named = policies.rules.data.rule_bases if policies.rules else ()
    manifests = _read_manifests(rules_folder(path), named, problems)
    return Documents(platform, facilities, policies, all_read, manifests)


def rules_folder(inventory: Path) -> Path:
    """The folder of the rule bases that belongs to an inventory: beside the folder of inventories."""
    return inventory.resolve().parent.parent / "rules"


def _read_manifests(
    folder: Path, named: Iterable[str], problems: list[Problem]
) -> Mapping[str, ManifestFile | None] | None:
    """The manifests of the named rule bases, with None for those that are wrong or not named."""
    if not named or not folder.is_dir():
        return None
    names = {found.parent.name for found in folder.glob(f"*/{MANIFEST}")}
    documents = {
        name: read_document(ManifestFile, folder / name / MANIFEST, problems) if name in named else None
        for name in sorted(names)
    }
    return {
        name: document.data if document and document.complete else None
        for name, document in documents.items()
    }


def _read_policies(folder: Path, problems: list[Problem]) -> Policies:
    for file in files_in(folder):
        if file.name not in POLICY_FILES or not file.is_file():
            known = suggestion(file.name, POLICY_FILES, noun="known files")
            problems.append(Problem(Place(str(file)), f"this is no file of policies; {known}"))
    before = len(problems)
    policies = Policies(
        quotas=_policy(QuotasFile, folder / "quotas.yml", problems),
        limits=_policy(LimitsFile, folder / "limits.yml", problems),
        retention=_policy(RetentionFile, folder / "retention.yml", problems),
        rules=_policy(RulesFile, folder / "rules.yml", problems),
    )
    return replace(policies, complete=len(problems) == before)


def _policy(model: type[Model], file: Path, problems: list[Problem]) -> Document[Model] | None:
    return read_document(model, file, problems) if file.is_file() else None
