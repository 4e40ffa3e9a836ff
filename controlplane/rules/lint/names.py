"""Checks of what is called: that it is there, and takes so many arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from controlplane.rules.language import ast
from controlplane.rules.language.ast import Place
from controlplane.rules.lint.finding import Finding
from controlplane.rules.lint.knowledge import Signature, knowledge, looks_like_point
from controlplane.rules.lint.source import Source

OURS = "bic"
"""How the names of rules begin that we make up."""

Defined = Mapping[str, frozenset[int]]
"""The numbers of parameters with which rules are defined, by name."""


def defined_in(sources: Iterable[Source]) -> Defined:
    """The rules and functions of some files."""
    found: dict[str, set[int]] = {}
    for source in sources:
        for definition in source.definitions():
            found.setdefault(definition.head.name, set()).add(len(definition.head.parameters))
    return {name: frozenset(counts) for name, counts in found.items()}


def constructors_in(sources: Iterable[Source]) -> frozenset[str]:
    """The names of constructors and of functions that are defined elsewhere, which types describe."""
    return frozenset(
        node.name
        for source in sources
        for item in source.tree.items
        for node in (item, *ast.children(item))
        if isinstance(node, ast.Constructor | ast.Extern)
    )


def calls(source: Source) -> Iterator[ast.Call]:
    """All calls of a file; neither the keys of key-value pairs nor patterns look like one and are none."""
    waiting: list[tuple[ast.Node, bool]] = [(source.tree, False)]
    while waiting:
        node, pattern = waiting.pop()
        match node:
            case ast.Head(_, parameters):
                waiting += [(parameter, True) for parameter in reversed(parameters)]
                continue
            case ast.Assignment(target, value) | ast.Let(target, value) | ast.Case(target, value):
                rest = [(node.body, False)] if isinstance(node, ast.Let) else []
                waiting += [*rest, (value, False), (target, True)]
                continue
            case ast.Binary(".", left, ast.Call(_, ())):
                waiting.append((left, pattern))
                continue
            case ast.Call() if not pattern:
                yield node
        waiting += [(part, pattern) for part in reversed(tuple(ast.children(node)))]


def check_calls(source: Source, defined: Defined, constructors: frozenset[str]) -> Iterator[Finding]:
    """What is called and is not there (R101), and wrong numbers of arguments (R102)."""
    facts = knowledge()
    for call in calls(source):
        name, count = call.name, len(call.arguments)
        if name in constructors:
            continue
        # A rule with another number of parameters does not hide what the engine has by its name.
        ways = [Signature(number, number) for number in sorted(defined.get(name, ()))] + facts.takes(name)
        if not ways:
            known = [*defined, *constructors, *facts.core_rules, *facts.functions, *facts.microservices]
            yield source.finding(call, "R101", f"there is no {name}; {_near(name, known)}")
        elif not any(way.takes(count) for way in ways):
            takes = " or ".join(dict.fromkeys(str(way) for way in ways))
            noun = "argument" if takes == "1" else "arguments"
            given = "1 is given" if count == 1 else f"{count} are given"
            yield source.finding(call, "R102", f"{name} takes {takes} {noun}, and here {given}")


def check_our_names(source: Source) -> Iterator[Finding]:
    """Rules and functions that could be taken for somebody else's (R103)."""
    for definition in source.definitions():
        name = definition.head.name
        if not name.startswith(OURS) and not looks_like_point(name):
            better = f"{OURS}{name[:1].upper()}{name[1:]}"
            yield source.finding(definition, "R103", f"{name} is a name of ours: call it {better}")


def check_jobs(source: Source, jobs: Iterable[str], manifest: str) -> Iterator[Finding]:
    """Jobs of the manifest that are no rules of the file without parameters (R105)."""
    defined = defined_in([source])
    for job in jobs:
        if 0 not in defined.get(job, ()):
            text = f"{source.file} defines no rule {job} without parameters; {_near(job, defined)}"
            yield Finding(manifest, Place(1, 1), "R105", text)


def _near(name: str, known: Iterable[str]) -> str:
    found = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {found[0]}?" if found else "it is no rule of these rule bases and no microservice"
