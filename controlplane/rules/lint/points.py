"""Checks of policy enforcement points and of the session variables that some of them have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from controlplane.rules.language import ast
from controlplane.rules.language.ast import Place
from controlplane.rules.lint.finding import Finding
from controlplane.rules.lint.knowledge import knowledge, looks_like_point
from controlplane.rules.lint.source import Definition, Source

DELIVERED = ("ac[^ ]*", "msi[^ ]*", "[^ ]*pep_[^ ]*_(pre|post|except|finally)")
"""What servers deliver to the engine: regexes_for_supported_peps, as setup and our role write it."""


def check_points(source: Source) -> Iterator[Finding]:
    """Unknown points (R201), wrong numbers of parameters (R202), points that are not delivered (R206)."""
    facts = knowledge()
    for definition in source.definitions():
        name, count = definition.head.name, len(definition.head.parameters)
        if not looks_like_point(name) or facts.core_rules.get(name) == count:
            continue
        counts = facts.point(name)
        if counts is None:
            yield _unknown(source, definition)
        elif count not in counts:
            takes = " or ".join(str(number) for number in sorted(counts))
            text = f"{name} gets {takes} parameter{'' if takes == '1' else 's'}, and here are {count}"
            yield source.finding(definition, "R202", text)


def check_session_variables(source: Source) -> Iterator[Finding]:
    """Session variables that no server sets (R203)."""
    known = knowledge().session_variables
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Variable) and node.name.startswith("$") and node.name[1:] not in known:
            near = get_close_matches(node.name[1:], sorted(known), n=1)
            hint = f"did you mean ${near[0]}?" if near else "local variables begin with *"
            yield source.finding(node, "R203", f"there is no session variable {node.name}; {hint}")


def check_manifest_points(source: Source, points: Iterable[str], manifest: str) -> Iterator[Finding]:
    """Points of the manifest that the file does not define (R204), and the other way round (R205)."""
    named = list(points)
    defined: dict[str, Definition] = {}
    for definition in source.definitions():
        if looks_like_point(definition.head.name):
            defined.setdefault(definition.head.name, definition)
    for name in named:
        if name not in defined:
            text = f"{source.file} defines no {name}: remove it here, or write the rule"
            yield Finding(manifest, Place(1, 1), "R204", text)
    for name, definition in defined.items():
        if name not in named:
            text = f"add {name} to policy_enforcement_points of the manifest"
            yield source.finding(definition, "R205", text)


def _unknown(source: Source, definition: Definition) -> Finding:
    name = definition.head.name
    if not any(re.fullmatch(pattern, name) for pattern in DELIVERED):
        text = f"servers do not deliver {name}: its name must end with _pre, _post, _except or _finally"
        return source.finding(definition, "R206", text)
    near = get_close_matches(name, knowledge().points(), n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else "a rule of ours begins with bic"
    return source.finding(definition, "R201", f"there is no policy enforcement point {name}; {hint}")
