"""What a server should run: files named by their content, and the list of rule bases of its rule engine."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from controlplane.errors import BadInputError
from controlplane.model.manifest_file import Engine
from controlplane.rules.manifest import PYTHON, SUFFIXES, RuleBase

FOUNDATION = ("bic-tls", "core")
"""Rule bases that every server has from its role, behind ours."""

LONGEST_NAME = 63
"""Characters of a rule base's name that the rule engine reads (NAME_LEN in `parse_irbSet` of iRODS 5.0.2)."""

_OURS = re.compile(r"bic(?:-([a-z0-9-]+)-|_([a-z0-9_]+)_)[0-9a-f]{12}")


@dataclass(frozen=True)
class RuleFile:
    """The file of a rule base on a server."""

    rule_base: str
    version: str
    text: str
    engine: Engine = "irods_rule_language"

    @property
    def name(self) -> str:
        """The name by which a server's configuration refers to it: it changes with the text.

        A module of Python has no hyphen in its name, and what is in the rule language always has.
        """
        name = f"bic-{self.rule_base}-{hashlib.sha256(self.text.encode()).hexdigest()[:12]}"
        return name.replace("-", "_") if self.engine == PYTHON else name


@dataclass(frozen=True)
class Release:
    """What one server should run."""

    files: tuple[RuleFile, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The whole list for the rule engines, in the order in which rules are looked for."""
        return (*(file.name for file in self.files), *FOUNDATION)


def release(chain: Iterable[RuleBase]) -> Release:
    """The release for a server's effective chain. Raises BadInputError for what cannot be rolled out."""
    files = []
    for rule_base in chain:
        file = RuleFile(rule_base.name, rule_base.version, rule_base.text, rule_base.engine)
        if len(file.name) > LONGEST_NAME:
            most = LONGEST_NAME - len(file.name) + len(rule_base.name)
            raise BadInputError(
                f"{rule_base.folder}: a rule base's name has at most {most} letters, as its file's name on "
                f"the servers has at most {LONGEST_NAME}"
            )
        files.append(file)
    return Release(tuple(files))


def releases(effective: Mapping[str, Iterable[RuleBase]]) -> Mapping[str, Release]:
    """The releases for the servers of a zone, by host. Raises BadInputError."""
    return MappingProxyType({server: release(chain) for server, chain in effective.items()})


def rule_base_of(name: str) -> str:
    """The rule base whose file has this name on a server, or the name itself where it is none of ours."""
    ours = _OURS.fullmatch(name)
    return (ours.group(1) or ours.group(2).replace("_", "-")) if ours else name


def suffix_of(name: str) -> str:
    """The ending of the file that has this name on a server."""
    ours = _OURS.fullmatch(name)
    return SUFFIXES["python" if ours and ours.group(2) else "irods_rule_language"]
