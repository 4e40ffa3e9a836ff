"""Checks of variables, parameters and statements within one rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from controlplane.rules.language import ast
from controlplane.rules.lint.finding import Finding
from controlplane.rules.lint.knowledge import looks_like_point
from controlplane.rules.lint.source import Body, Definition, Outputs, Source, Use, bodies, uses

UNUSED = "*_"
"""How the names of variables begin that are not used on purpose."""

_NAME = re.compile(r"\*[A-Za-z_]\w*", re.ASCII)

_ENDINGS = frozenset({"fail", "failmsg", "succeed", "break"})


def check_variables(source: Source, outputs: Outputs) -> Iterator[Finding]:
    """Variables that are never set (R301) or never read (R302), and unused parameters (R303)."""
    for definition in source.definitions():
        used: set[str] = set()
        for body in bodies(definition):
            found = [use for use in uses(body, outputs) if use.variable.name.startswith("*")]
            used.update(use.variable.name for use in found)
            yield from _body(source, body, found)
        if isinstance(definition, ast.OldRule) or looks_like_point(definition.head.name):
            continue
        yield from _parameters(source, definition, used)


def _body(source: Source, body: Body, found: list[Use]) -> Iterator[Finding]:
    given = {*body.parameters, *source.given, *_evaluated(body)}
    known = given | {use.variable.name for use in found if use.sets and not use.again}
    read = {use.variable.name for use in found if use.reads}
    for use in _first(use for use in found if use.variable.name not in known):
        near = get_close_matches(use.variable.name, sorted(known), n=1)
        hint = f"did you mean {near[0]}?" if near else "set it before, or take it as a parameter"
        yield source.finding(use.variable, "R301", f"nothing sets {use.variable.name}; {hint}")
    for use in _first(use for use in found if use.assigned):
        name = use.variable.name
        if name not in read and name not in given and not name.startswith(UNUSED):
            text = f"{name} is never read: remove it, or call it {UNUSED}{name[1:]}"
            yield source.finding(use.variable, "R302", text)


def _evaluated(body: Body) -> Iterator[str]:
    """The variables that texts for `eval` name: what happens to them there is not looked at."""
    for call in body.nodes():
        if isinstance(call, ast.Call) and call.name == "eval":
            for node in ast.walk(call):
                for part in node.parts if isinstance(node, ast.String) else ():
                    if isinstance(part, str):
                        yield from _NAME.findall(part)


def _parameters(source: Source, definition: Definition, used: set[str]) -> Iterator[Finding]:
    for parameter in definition.head.parameters:
        if isinstance(parameter, ast.Variable) and parameter.name not in used:
            name = parameter.name
            if not name.startswith(UNUSED):
                text = f"{definition.head.name} does not use {name}: remove it, or call it {UNUSED}{name[1:]}"
                yield source.finding(parameter, "R303", text)


def _first(found: Iterator[Use]) -> Iterator[Use]:
    """The first use of each variable in the file."""
    seen: set[str] = set()
    for use in sorted(found, key=lambda use: use.variable.place):
        if use.variable.name not in seen:
            seen.add(use.variable.name)
            yield use


def check_reached(source: Source) -> Iterator[Finding]:
    """Statements after one that ends the rule or the loop (R304)."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Block):
            continue
        for statement, following in zip(node.statements, node.statements[1:], strict=False):
            action = statement.action
            if isinstance(action, ast.Call) and action.name in _ENDINGS:
                text = f"this is never reached, because of {action.name} before it: remove it, or move it up"
                yield source.finding(following, "R304", text)
                break
