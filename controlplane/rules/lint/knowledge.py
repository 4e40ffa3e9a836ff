"""What the engine of iRODS 5.0.2 knows: calls, policy enforcement points and session variables.

The facts are in `facts.json`, taken from upstream's source: microservices from reAction.hpp,
irods_rule_language.cpp and plugins/microservices; functions from functions.cpp; static policy enforcement
points from the calls of applyRule and from core.re.template; dynamic ones from apiTable.hpp, plugins/api,
db_plugin.cpp and the plugins for resources and networks; session variables from core.dvm.template;
names of errors from rodsErrorTable.h.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

PHASES = ("pre", "post", "except", "finally")
"""When a dynamic policy enforcement point is called."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a call takes: the least and the most arguments (None: any number), and which of them it sets."""

    least: int
    most: int | None
    sets: frozenset[int] = frozenset()

    def takes(self, count: int) -> bool:
        """Whether a call may have so many arguments."""
        return self.least <= count and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        if self.most is None:
            return f"{self.least} or more"
        return f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The facts about one version of iRODS."""

    microservices: Mapping[str, int]
    functions: Mapping[str, Signature]
    core_rules: Mapping[str, int]
    static_points: Mapping[str, frozenset[int]]
    dynamic_points: Mapping[str, frozenset[int]]
    session_variables: frozenset[str]
    errors: frozenset[str]
    """Names that stand for error codes."""

    def takes(self, name: str) -> list[Signature]:
        """The ways in which what the engine has by a name may be called; none for what it has not."""
        found = [self.functions[name]] if name in self.functions else []
        counts = set(self.static_points.get(name, ()))
        if name in self.core_rules:
            counts.add(self.core_rules[name])
        if name in self.microservices:
            counts.add(self.microservices[name])
        if name in self.errors:
            counts.add(0)
        return found + [Signature(count, count) for count in sorted(counts)]

    def point(self, name: str) -> frozenset[int] | None:
        """The numbers of parameters that a policy enforcement point may have, or None for no known one."""
        if name in self.static_points:
            return self.static_points[name]
        operation, _, phase = name.removeprefix("pep_").rpartition("_")
        return self.dynamic_points.get(operation) if phase in PHASES and name.startswith("pep_") else None

    def points(self) -> list[str]:
        """The names of all policy enforcement points."""
        dynamic = [f"pep_{name}_{phase}" for name in self.dynamic_points for phase in PHASES]
        return [*self.static_points, *dynamic]


def looks_like_point(name: str) -> bool:
    """Whether a name says that servers call the rule."""
    return name.startswith("pep_") or (name.startswith("ac") and name[2:3].isupper())


@cache
def knowledge() -> Knowledge:
    """The facts about iRODS 5.0.2."""
    facts = json.loads(files(__package__).joinpath("facts.json").read_text(encoding="utf-8"))
    return Knowledge(
        microservices=facts["microservices"],
        functions={
            name: Signature(entry["least"], entry["most"], frozenset(entry["sets"]))
            for name, entry in facts["functions"].items()
        },
        core_rules=facts["core_rules"],
        static_points={name: frozenset(counts) for name, counts in facts["static_points"].items()},
        dynamic_points={name: frozenset(counts) for name, counts in facts["dynamic_points"].items()},
        session_variables=frozenset(facts["session_variables"]),
        errors=frozenset(facts["errors"]),
    )
