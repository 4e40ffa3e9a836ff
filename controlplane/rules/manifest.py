"""Rule bases as folders, and which of them each server of a zone runs.

A rule base is a folder of `rules/` with `manifest.yml`, the rules (`<name>.re` or `<name>.py`) and its tests,
`cases.yml`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import MappingProxyType

from controlplane.model import InventoryError, Platform, Problem, Zone
from controlplane.model.documents import Document
from controlplane.model.load import MANIFEST
from controlplane.model.manifest_file import Engine, ManifestFile, Servers
from controlplane.model.problems import Place, enumeration, suggestion
from controlplane.model.read import files_in, read_document
from controlplane.model.rule_values import EXAMPLES, ParameterType, catalogue_text, type_of
from controlplane.model.source import read_text

SUFFIXES: Mapping[Engine, str] = MappingProxyType({"irods_rule_language": ".re", "python": ".py"})
"""The ending of a rule base's file by its engine."""

PYTHON: Engine = "python"
"""The engine that servers ask before that of the rule language, so that its rule bases come first."""

CASES = "cases.yml"


@dataclass(frozen=True)
class Parameter:
    """A value that operations may change without new rule text."""

    name: str
    type: ParameterType
    default: str
    """What the rules take where the catalogue has no value, as the catalogue would keep it."""
    title: str


@dataclass(frozen=True)
class RuleBase:
    """A rule base: its manifest and its text."""

    name: str
    version: str
    title: str
    owner: str
    engine: Engine
    servers: Servers
    after: tuple[str, ...]
    """Rule bases that come earlier in a chain."""
    before: tuple[str, ...]
    """Rule bases that come later in a chain."""
    policy_enforcement_points: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    jobs: Mapping[str, int]
    """Rules that the delay queue carries out, and the seconds between two runs."""
    file: Path
    """The rules."""
    text: str
    """What is in `file`."""
    folder: Path

    @property
    def cases(self) -> Path:
        """Its own tests."""
        return self.folder / CASES


def load_rule_bases(folder: Path) -> Mapping[str, RuleBase]:
    """All rule bases of a folder by name, in alphabetical order.

    Raises InventoryError, a BadInputError, with everything that is wrong in any manifest.
    """
    problems: list[Problem] = []
    found: dict[str, RuleBase] = {}
    documents: dict[str, Document[ManifestFile]] = {}
    try:
        if not folder.is_dir():
            raise InventoryError([Problem(Place(str(folder)), "there is no such folder of rule bases")])
        for part in files_in(folder):
            if not part.is_dir():
                continue
            if not (part / MANIFEST).is_file():
                problems.append(
                    Problem(Place(str(part)), f"there is no {MANIFEST}; write one or remove the folder")
                )
            elif document := read_document(ManifestFile, part / MANIFEST, problems):
                documents[part.name] = document
                if made := _rule_base(document, part, problems):
                    found[part.name] = made
    except OSError as error:
        place = Place(str(error.filename or folder))
        raise InventoryError([*problems, Problem(place, f"cannot be read: {error.strerror}")]) from error
    for name, document in documents.items():
        problems.extend(_references(name, document, documents))
    if problems:
        raise InventoryError(problems)
    order(found)
    return MappingProxyType(found)


def _rule_base(document: Document[ManifestFile], folder: Path, problems: list[Problem]) -> RuleBase | None:
    """The rule base of a folder; None where something that it needs is wrong."""
    before = len(problems)
    data = document.data
    if data.name != folder.name and document.complete:
        problems.append(
            Problem(
                document.at("name"),
                f"the name {data.name!r} is not the folder's; write {folder.name!r} or rename the folder",
            )
        )
    seen: set[str] = set()
    for index, point in enumerate(data.policy_enforcement_points):
        if point in seen:
            problems.append(
                Problem(document.at("policy_enforcement_points", index), f"{point!r} is named twice")
            )
        seen.add(point)
    if data.jobs and data.engine == PYTHON:
        message = (
            "the delay queue carries out rules of the rule language; write the jobs in a rule base of it"
        )
        problems.append(Problem(document.at("jobs"), message))
    parameters = dict(_parameters(document, problems))
    file = folder / f"{folder.name}{SUFFIXES[data.engine]}"
    text = None
    if file.is_file():
        text = read_text(file, str(file), problems)
    else:
        problems.append(
            Problem(document.at("engine"), f"the rules are missing: there is no file {file.name} beside it")
        )
    if not (folder / CASES).is_file():
        problems.append(
            Problem(document.at("name"), f"the rule base has no tests: there is no file {CASES} beside it")
        )
    if text is None or len(problems) > before:
        return None
    return RuleBase(
        name=data.name,
        version=data.version,
        title=data.title,
        owner=data.owner,
        engine=data.engine,
        servers=data.servers,
        after=data.after,
        before=data.before,
        policy_enforcement_points=data.policy_enforcement_points,
        parameters=MappingProxyType(parameters),
        jobs=MappingProxyType(dict(data.jobs)),
        file=file,
        text=text,
        folder=folder,
    )


def _parameters(document: Document[ManifestFile], problems: list[Problem]) -> Iterable[tuple[str, Parameter]]:
    for name, entry in document.data.parameters.items():
        place = document.at("parameters", name, "default")
        if type_of(entry.default) != entry.type:
            message = f"{entry.default!r} is no default of type {entry.type}, which is {EXAMPLES[entry.type]}"
            problems.append(Problem(place, message))
            continue
        try:
            default = catalogue_text(entry.default)
        except ValueError as error:
            problems.append(Problem(place, str(error)))
            continue
        yield name, Parameter(name, entry.type, default, entry.title)


def _references(
    name: str, document: Document[ManifestFile], documents: Mapping[str, Document[ManifestFile]]
) -> Iterable[Problem]:
    python = document.data.engine == PYTHON
    for key, others in (("after", document.data.after), ("before", document.data.before)):
        for index, other in enumerate(others):
            place = document.at(key, index)
            if other == name:
                yield Problem(place, "a rule base has no order relative to itself")
            elif other not in documents:
                known = suggestion(other, (found for found in documents if found != name))
                yield Problem(place, f"there is no rule base {other!r}; {known}")
            elif python != (documents[other].data.engine == PYTHON) and python == (key == "after"):
                late = other if python else name
                yield Problem(
                    place,
                    f"rule bases in Python come before all others, and {late!r} is none; remove it here",
                )


def order(rule_bases: Mapping[str, RuleBase]) -> tuple[RuleBase, ...]:
    """The rule bases in the order of a server's chain: Python first, by `after` and `before`, else by name.

    What they name and is not among them does not matter. Raises InventoryError for a circle.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter({name: () for name in rule_bases})
    for name, rule_base in rule_bases.items():
        sorter.add(name, *(other for other in rule_base.after if other in rule_bases))
        for other in rule_base.before:
            if other in rule_bases:
                sorter.add(other, name)
    try:
        sorter.prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        place = Place(str(rule_bases[circle[0]].folder / MANIFEST))
        way = " before ".join(circle)
        raise InventoryError(
            [Problem(place, f"'after' and 'before' go round in a circle: {way}; remove one of them")]
        ) from error
    ordered: list[RuleBase] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()])
        first = ready.pop(0)
        ordered.append(rule_bases[first])
        sorter.done(first)
    # What they say of each other cannot contradict this: `load_rule_bases` has seen to it.
    return tuple(sorted(ordered, key=lambda rule_base: rule_base.engine != PYTHON))


def effective(
    platform: Platform, rule_bases: Mapping[str, RuleBase], zone: Zone
) -> Mapping[str, tuple[RuleBase, ...]]:
    """What each server of a zone should run, in the order of its chain, by the host's name.

    Raises InventoryError where `policies/rules.yml` names a rule base that is not among `rule_bases`.
    """
    used = [use.name for use in platform.rules.rule_bases.values() if zone.name in use.zones]
    if missing := [name for name in used if name not in rule_bases]:
        place = Place(str(platform.root / "policies" / "rules.yml"))
        known = enumeration(rule_bases)
        raise InventoryError(
            [Problem(place, f"there is no rule base {name!r}; known: {known}") for name in missing]
        )
    ordered = order({name: rule_bases[name] for name in used})
    return MappingProxyType(
        {
            host: tuple(
                rule_base
                for rule_base in ordered
                if rule_base.servers == "all"
                or (rule_base.servers == "provider") == (host == zone.catalog_provider)
            )
            for host in zone.servers
        }
    )
