"""A rule base's own tests, and how they are read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import irods.exception

from controlplane.model import InventoryError, Problem
from controlplane.model.cases_file import REFUSED, SUCCESS, CasesFile, StepEntry
from controlplane.model.problems import suggestion
from controlplane.model.read import read_document
from controlplane.rules.manifest import RuleBase


@dataclass(frozen=True)
class Case:
    """A test of a rule base."""

    name: str
    title: str
    gate: bool
    steps: tuple[StepEntry, ...]

    @property
    def refuses(self) -> bool:
        """Whether it shows that something is refused."""
        return any(step.expect != SUCCESS for step in self.steps)


def load_cases(rule_base: RuleBase) -> Mapping[str, Case]:
    """The tests of a rule base by name.

    Raises InventoryError, a BadInputError, with everything that is wrong in the file.
    """
    problems: list[Problem] = []
    document = read_document(CasesFile, rule_base.cases, problems)
    if document:
        for name, entry in document.data.cases.items():
            for index, step in enumerate(entry.steps):
                place = document.at("cases", name, "steps", index, "expect")
                problems.extend(Problem(place, message) for message in _unknown_error(step.expect))
        gates = [entry for entry in document.data.cases.values() if entry.gate]
        refusing = [any(step.expect != SUCCESS for step in entry.steps) for entry in gates]
        if document.complete and not (any(refusing) and not all(refusing)):
            message = "a rule base needs a gate case that is allowed throughout and one that is refused"
            problems.append(Problem(document.at("cases"), message))
    if problems or document is None:
        raise InventoryError(problems)
    return MappingProxyType(
        {
            name: Case(name, entry.title, entry.gate, entry.steps)
            for name, entry in document.data.cases.items()
        }
    )


def _unknown_error(name: str) -> Iterator[str]:
    if name in (SUCCESS, REFUSED):
        return
    if code_of(name) is None:
        known = (found for found in dir(irods.exception) if found.isupper() and code_of(found) is not None)
        yield f"there is no iRODS error {name!r}; {suggestion(name, known)}"


def code_of(name: str) -> int | None:
    """The code of an iRODS error, or None for a name that is none."""
    code = getattr(getattr(irods.exception, name, None), "code", None)
    return code if isinstance(code, int) else None
