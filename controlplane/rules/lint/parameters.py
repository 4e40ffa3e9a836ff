"""Checks of the parameters that a rule base reads from the catalogue.

A rule reads one by `bicParameter("<rule base>", "<parameter>", "<default>", *VALUE)`, which the rule base
`common` defines: the value in the catalogue, else the default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from controlplane.rules.language import ast
from controlplane.rules.language.ast import Place
from controlplane.rules.lint.finding import Finding
from controlplane.rules.lint.names import calls
from controlplane.rules.lint.source import Source

READER = "bicParameter"

Declared = Mapping[str, Mapping[str, str]]
"""The defaults of the parameters of all rule bases, by rule base and name, as the catalogue keeps them."""


def check_parameters(name: str, source: Source, declared: Declared, manifest: str) -> Iterator[Finding]:
    """Undeclared parameters (R501), unread ones (R502), and defaults that differ (R503)."""
    read: set[str] = set()
    for call in calls(source):
        if call.name != READER or len(call.arguments) != 4:
            continue
        texts = [_literal(argument) for argument in call.arguments[:3]]
        base, parameter, default = texts
        if base is None or parameter is None:
            continue
        if base == name:
            read.add(parameter)
        known = declared.get(base, {})
        if parameter not in known:
            where = (
                f"declare it in the manifest of {base}"
                if base in declared
                else f"there is no rule base {base}"
            )
            yield source.finding(
                call, "R501", f"no manifest declares the parameter {parameter} of {base}: {where}"
            )
        elif default is not None and default != known[parameter]:
            text = (
                f"the default of {parameter} is {default!r} here and {known[parameter]!r} in the manifest of"
                f" {base}: write the same in both"
            )
            yield source.finding(call, "R503", text)
    for parameter in declared[name]:
        if parameter not in read:
            text = f"{source.file} never reads the parameter {parameter}: remove it, or read it with {READER}"
            yield Finding(manifest, Place(1, 1), "R502", text)


def _literal(node: ast.Expression) -> str | None:
    """The text of a string without variables, or of a number."""
    if isinstance(node, ast.Number):
        return node.text
    if isinstance(node, ast.String) and all(isinstance(part, str) for part in node.parts):
        return node.text
    return None
