"""A new facility, question by question: from options, from answers, or from both."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Protocol, cast

from controlplane.errors import BadInputError
from controlplane.facility import suggest
from controlplane.facility.rules import check_field, checked_entry, entry, member, person, quota
from controlplane.model import Platform
from controlplane.model.facility_file import (
    BufferEntry,
    FacilityFile,
    HpcMountEntry,
    InstrumentEntry,
    OmeroEntry,
    TeamEntry,
)
from controlplane.model.platform_file import StorageResourceEntry
from controlplane.model.problems import suggestion
from controlplane.model.source import Data
from controlplane.model.validate import fields_of

Entry = dict[str, Data]
Take = Callable[[str], None]
"""Takes an answer; raises BadInputError with what is wrong with it."""

PERSON = "user,Full Name,email"
INSTRUMENT = ("id", "title", "modality", "landing_zone", "manufacturer")
HPC_MOUNT = ("host", "path", "access")
STORAGE_RESOURCE = ("host", "vault", "capacity")
_FOLLOWS = {"zone": "data_centre", "id": "city"}
"""What has no default only because something else is missing."""
NOTHING = ("", "-")
"""Answers that leave out what may be left out."""


@dataclass(frozen=True)
class Options:
    """What was given on the command line; None and empty where nothing was."""

    title: str | None = None
    institution: str | None = None
    city: str | None = None
    data_centre: str | None = None
    zone: str | None = None
    id: str | None = None
    buffer_host: str | None = None
    buffer_address: str | None = None
    quota: str | None = None
    omero: str | None = None
    referent: Sequence[str] = ()
    storage_resource: Sequence[str] = ()
    instrument: Sequence[str] = ()
    hpc_mount: Sequence[str] = ()
    team: Sequence[str] = ()
    member: Sequence[str] = ()


class Somebody(Protocol):
    """A person at a terminal."""

    def ask(self, text: str, default: str | None, take: Take) -> None:
        """Ask until `take` takes the answer; an empty answer stands for `default`, where there is one."""


def new_facility(
    platform: Platform, options: Options, somebody: Somebody | None, check: Callable[[Entry], None]
) -> Entry:
    """The content of a new facility's file.

    What `options` leave open is asked of `somebody`. Without anybody it gets its default, and what may be
    left out is. `check` holds the facility so far against the whole inventory and raises BadInputError.

    Raises BadInputError for an option that is wrong, and one that lists all that are missing.
    """
    interview = _Interview(platform, options, somebody, check)
    interview.identity()
    interview.places()
    interview.equipment()
    interview.teams()
    return {key: interview.data[key] for key in fields_of(FacilityFile) if key in interview.data}


class _Interview:
    def __init__(
        self,
        platform: Platform,
        options: Options,
        somebody: Somebody | None,
        check: Callable[[Entry], None],
    ) -> None:
        self.platform = platform
        self.options = options
        self.somebody = somebody
        self.check = check
        self.data: Entry = {}
        self.missing: list[str] = []

    def identity(self) -> None:
        """What every facility has. Raises BadInputError that names everything that is missing."""
        platform = self.platform
        if not platform.zones:
            raise BadInputError(
                "platform.yml describes no zone yet, and a facility's data need one; add it first"
            )
        self._field("title", "Name that people read, such as Nantes light microscopy facility")
        self._field("institution", "Institution that runs it, such as Université de Nantes")
        self._field("city", "City it stands in")
        centres = platform.data_centres
        shown = ", ".join(f"{centre.id} ({centre.city})" for centre in centres.values())
        centre = suggest.data_centre(platform, self._said("city"))
        self._field("data_centre", f"Data centre that keeps its data: {shown}", centre, tuple(centres))
        # The zone that follows from the data centre stays unwritten, so that the file fits every layout.
        if self.options.zone is not None or suggest.zone(platform, self._said("data_centre")) is None:
            zones = tuple(platform.zones)
            self._field("zone", f"iRODS zone of its data: {', '.join(zones)}", None, zones)
        identifier = suggest.identifier(self._said("city"), self._said("title"), taken=platform.facilities)
        self._field("id", "Identifier; groups and collections carry it, it cannot be changed", identifier)
        if self.missing:
            flags = ", ".join(map(_flag, self.missing))
            raise BadInputError(f"to write the file without asking, these are missing: {flags}")
        self._each(
            "referent",
            f"IT referent, as {PERSON} (empty: no more)",
            lambda text: self._append("referents", person(text, self.platform.people)),
        )

    def places(self) -> None:
        """Where its data come in, stay and are shown."""
        self._buffer()
        self._each(
            "storage_resource",
            f"iRODS storage resource, as name,{','.join(STORAGE_RESOURCE)} (-: none)",
            self._storage_resource,
            self._vault().name,
        )
        self._optional(
            "quota",
            "Quota: a tier of policies/quotas.yml, or a size such as 20 TiB (empty: none)",
            self._quota,
        )
        self._optional(
            "omero",
            "Host of the OMERO server that shows its images (-: none)",
            lambda text: self._put("omero", checked_entry(OmeroEntry, {"host": text})),
            suggest.omero(self.platform, self._said("data_centre")),
        )

    def equipment(self) -> None:
        """Its instruments, and the clusters that mount its data."""
        self._each(
            "instrument",
            f"Instrument, as {','.join(INSTRUMENT)} (empty: no more)",
            lambda text: self._append("instruments", entry(InstrumentEntry, text, INSTRUMENT)),
        )
        self._each(
            "hpc_mount",
            f"Cluster that mounts its data, as {','.join(HPC_MOUNT)}, read or write (empty: no more)",
            lambda text: self._append("hpc_mounts", entry(HpcMountEntry, text, HPC_MOUNT)),
        )

    def teams(self) -> None:
        """Its teams, each with the people in it."""
        self._each("team", f"Team, as id,Title,{PERSON} of its PI (empty: no more)", self._team)
        if self.options.member or "teams" in self.data:
            text = f"Member of a team, as team,{PERSON},role; contributors write, collaborators read"
            self._each("member", f"{text} (empty: no more)", self._member)

    def _field(self, name: str, text: str, default: str | None = None, choices: Sequence[str] = ()) -> None:
        """Something that every facility has."""

        def take(answer: str) -> None:
            if choices and answer not in choices:
                raise BadInputError(f"there is no {answer!r}; {suggestion(answer, choices)}")
            check_field(FacilityFile, name, answer)
            self._put(name, answer)

        given = getattr(self.options, name)
        if given is not None:
            self._from_option(name, given, take)
        elif self.somebody:
            self.somebody.ask(text, default, take)
        elif default is not None:
            take(default)
        elif _FOLLOWS.get(name) not in self.missing:
            self.missing.append(name)

    def _optional(self, name: str, text: str, take: Take, default: str | None = None) -> None:
        """Something that may be left out."""
        given = getattr(self.options, name)
        if given is not None:
            self._from_option(name, given, take)
        elif self.somebody:
            self.somebody.ask(text, default or "", lambda answer: None if answer in NOTHING else take(answer))

    def _each(self, name: str, text: str, take: Take, first: str = "") -> None:
        """Any number of something."""
        given: Sequence[str] = getattr(self.options, name)
        for one in given:
            self._from_option(name, one, take)
        more = self.somebody is not None and not given
        default = first

        def answered(answer: str) -> None:
            nonlocal more, default
            more = answer not in NOTHING
            if more:
                take(answer)
            default = ""

        while more and self.somebody:
            self.somebody.ask(text, default, answered)

    def _from_option(self, name: str, text: str, take: Take) -> None:
        try:
            take(text.strip())
        except BadInputError as error:
            raise BadInputError(f"{_flag(name)}: {error}") from None

    def _put(self, key: str, value: Data) -> None:
        """Keep a value; while somebody is asked, only when the whole inventory is right with it."""
        before = copy.deepcopy(self.data)
        self.data[key] = value
        if self.somebody and "id" in self.data:
            try:
                self.check(self.data)
            except BadInputError:
                self.data = before
                raise

    def _append(self, key: str, value: Data) -> None:
        self._put(key, [*cast(list[Data], self.data.get(key, [])), value])

    def _said(self, key: str) -> str:
        return str(self.data.get(key, ""))

    def _buffer(self) -> None:
        """Host name and address are asked one after the other, and kept together."""
        host, options = f"buffer-{self._said('id')}", self.options
        if not self.somebody and options.buffer_host is None and options.buffer_address is None:
            return

        def take_host(answer: str) -> None:
            nonlocal host
            check_field(BufferEntry, "host", answer)
            host = answer

        def take_address(answer: str) -> None:
            self._put("buffer", checked_entry(BufferEntry, {"host": host, "address": answer}))

        free = suggest.buffer_address(self.platform, self._said("data_centre"))
        default, host = host, ""
        self._optional("buffer_host", "Host name of its buffer server (-: none)", take_host, default)
        host = host or (default if options.buffer_address is not None else "")
        if not host:
            return
        if options.buffer_address is None and not self.somebody:
            if free is None:
                raise BadInputError("--buffer-address is missing: no free address follows from the inventory")
            take_address(str(free))
        else:
            address = str(free) if free else None
            self._optional("buffer_address", "Its IPv4 address", take_address, address)

    def _vault(self) -> suggest.Vault:
        centre = self._said("data_centre")
        name = self._said("zone") if "zone" in self.data else suggest.zone(self.platform, centre)
        return suggest.vault(self.platform, self.platform.zones[name or ""], centre, self._said("id"))

    def _storage_resource(self, text: str) -> None:
        name, _, rest = text.partition(",")
        vault = self._vault()
        # What is left out is as suggested, the folder under this name.
        suggested = (vault.host, str(PurePosixPath(vault.path).with_name(name)))
        given = (part.strip() for part in rest.split(","))
        parts = [part or other for part, other in zip_longest(given, suggested, fillvalue="")]
        value = entry(StorageResourceEntry, ",".join(parts), STORAGE_RESOURCE)
        before = cast(Mapping[str, Data], self.data.get("storage_resources", {}))
        if name in before:
            raise BadInputError(f"there is already a storage resource {name!r}")
        self._put("storage_resources", {**before, name: value})

    def _quota(self, text: str) -> None:
        self._put("quota", quota(text))

    def _team(self, text: str) -> None:
        parts = text.split(",", 2)
        if len(parts) < 3:
            raise BadInputError(f"{text!r} is not a team; write id,Title,{PERSON} of its PI")
        pi = person(parts[2], self.platform.people)
        value: Entry = {"id": parts[0].strip(), "title": parts[1].strip(), "pi": pi}
        self._append("teams", checked_entry(TeamEntry, value))

    def _member(self, text: str) -> None:
        name, _, rest = text.partition(",")
        teams = cast(list[Entry], copy.deepcopy(self.data.get("teams", [])))
        team = next((team for team in teams if team["id"] == name.strip()), None)
        if team is None:
            known = [str(team["id"]) for team in teams]
            raise BadInputError(f"there is no team {name!r}; {suggestion(name, known, noun='teams')}")
        members = cast(list[Data], team.setdefault("members", []))
        members.append(member(rest, self.platform.people))
        self._put("teams", cast(Data, teams))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
