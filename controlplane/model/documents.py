"""The files of an inventory as they were read: data in the shape of a model, and where each part stands."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from controlplane.model.facility_file import FacilityFile, PersonEntry
from controlplane.model.manifest_file import ManifestFile
from controlplane.model.platform_file import PlatformFile
from controlplane.model.policy_files import LimitsFile, QuotasFile, RetentionFile, RulesFile, TierEntry
from controlplane.model.problems import Place
from controlplane.model.source import Key, Places
from controlplane.model.types import FileModel

Model = TypeVar("Model", bound=FileModel)


@dataclass(frozen=True)
class Document(Generic[Model]):
    """One file: its data and the places of its parts."""

    data: Model
    source: Places
    stem: str
    """The file's name without its ending."""
    dropped: frozenset[str] | None = None
    """None for a file without mistakes. Otherwise some parts were left out of `data`, and these are the names
    that stood in them: what is not in `data` may well be in the file."""

    @property
    def complete(self) -> bool:
        """Whether `data` holds all that the file holds, so that what is missing is really missing."""
        return self.dropped is None

    def may_hold(self, name: str) -> bool:
        """Whether a name that is not in `data` may stand in the file nevertheless."""
        return self.dropped is not None and name in self.dropped

    def at(self, *route: Key) -> Place:
        """The place of a value."""
        return self.source.at(*route)

    def key(self, *route: Key) -> Place:
        """The place of a key."""
        return self.source.key(*route)


PlatformDocument = Document[PlatformFile]
FacilityDocument = Document[FacilityFile]


@dataclass(frozen=True)
class Policies:
    """The files of policies that are there."""

    quotas: Document[QuotasFile] | None = None
    limits: Document[LimitsFile] | None = None
    retention: Document[RetentionFile] | None = None
    rules: Document[RulesFile] | None = None
    complete: bool = True
    """Whether all files of policies that are there are here."""

    @property
    def tiers(self) -> Mapping[str, TierEntry]:
        """The tiers by name."""
        return self.quotas.data.tiers if self.quotas else {}

    def may_hold_tier(self, name: str) -> bool:
        """Whether a tier that is not in `tiers` may be in the file nevertheless."""
        return self.quotas.may_hold(name) if self.quotas else not self.complete


@dataclass(frozen=True)
class Documents:
    """All files of an inventory that could be understood."""

    platform: PlatformDocument | None
    facilities: Sequence[FacilityDocument]
    policies: Policies
    all_read: bool = True
    """Whether all files that are there are here."""
    manifests: Mapping[str, ManifestFile | None] | None = None
    """The manifests of the rule bases of `rules/`, by folder; None for those that `policies/rules.yml` does
    not name and for those that are wrong. None as a whole where there is no such folder (a control host)."""

    @cached_property
    def complete(self) -> bool:
        """Whether everything that is in the files is here, so that what is missing is really missing."""
        read = self.all_read and self.platform is not None and self.platform.complete
        return read and all(facility.complete for facility in self.facilities)

    def may_hold(self, name: str) -> bool:
        """Whether a name that no document holds may stand in one of the files nevertheless."""
        if self.platform is None or self.platform.may_hold(name):
            return True
        return any(facility.may_hold(name) for facility in self.facilities)


def mentions(facility: FacilityFile) -> Iterator[PersonEntry]:
    """Every mention of a person in a facility's file, in reading order of their kinds."""
    yield from facility.referents
    for team in facility.teams:
        yield team.pi
        yield from team.members


def place_of(document: FacilityDocument, person: PersonEntry) -> Place:
    """The place of the user name of this very mention of a person."""
    for index, referent in enumerate(document.data.referents):
        if referent is person:
            return document.at("referents", index, "user")
    for index, team in enumerate(document.data.teams):
        if team.pi is person:
            return document.at("teams", index, "pi", "user")
        for position, member in enumerate(team.members):
            if member is person:
                return document.at("teams", index, "members", position, "user")
    raise LookupError(f"{person} is not mentioned in {document.stem}")
