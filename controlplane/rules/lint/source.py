"""A rule file as the checks see it, and what the rules of several files do to their arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from controlplane.rules.language import ast
from controlplane.rules.lint.finding import Finding
from controlplane.rules.lint.knowledge import knowledge

Definition = ast.Rule | ast.Function | ast.OldRule


@dataclass(frozen=True, slots=True)
class Source:
    """A rule file that could be read."""

    file: str
    """Its path as people are shown it."""
    text: str
    tree: ast.RuleFile
    given: frozenset[str] = frozenset()
    """Variables that come from and go to a client."""

    def definitions(self) -> Iterator[Definition]:
        """Its rules and functions in their order."""
        return (item for item in self.tree.items if isinstance(item, Definition))

    def finding(self, node: ast.Node, code: str, text: str) -> Finding:
        """A finding where a node begins."""
        return Finding(self.file, node.place, code, text)


@dataclass(frozen=True, slots=True)
class Body:
    """Statements or an expression with what they are run for: one variable scope."""

    definition: Definition
    condition: ast.Expression | None
    action: ast.Expression

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the variables that are given when it is called."""
        return tuple(
            node.name
            for parameter in self.definition.head.parameters
            for node in ast.walk(parameter)
            if isinstance(node, ast.Variable)
        )

    def nodes(self) -> Iterator[ast.Node]:
        """All nodes, those of the condition first."""
        if self.condition is not None:
            yield from ast.walk(self.condition)
        yield from ast.walk(self.action)


def bodies(definition: Definition) -> Iterator[Body]:
    """The bodies of a rule or function, each with variables of its own; none of a rule with bars."""
    if isinstance(definition, ast.Rule):
        for alternative in definition.alternatives:
            yield Body(definition, alternative.condition, alternative.body)
    elif isinstance(definition, ast.Function):
        yield Body(definition, None, definition.body)


@dataclass(frozen=True, slots=True)
class Use:
    """What happens to a variable in one place."""

    variable: ast.Variable
    reads: bool
    sets: bool
    assigned: bool = False
    """It is set by `=`, and for no other purpose."""
    again: bool = False
    """It is set from its own value."""


Outputs = Mapping[tuple[str, int], frozenset[int]]
"""Which arguments a rule sets, by its name and number of parameters."""


def uses(body: Body, outputs: Outputs) -> Iterator[Use]:
    """What a body does with its variables."""
    waiting: list[tuple[ast.Node, bool]] = [(body.action, False)]
    if body.condition is not None:
        waiting.append((body.condition, False))
    while waiting:
        node, pattern = waiting.pop()
        match node:
            case ast.Variable():
                yield Use(node, reads=not pattern, sets=pattern, assigned=pattern)
            case ast.Assignment(ast.Variable(name) as variable, value) if _mentions(value, name):
                yield Use(variable, reads=True, sets=True, again=True)
                waiting.append((value, False))
            case ast.Assignment(target) | ast.Let(target) | ast.Case(target):
                waiting += [(part, part is target) for part in ast.children(node)]
            case ast.Binary(".", left, right) if isinstance(left, ast.Variable):
                # To set a key changes what the variable holds, and makes it where there is none.
                yield Use(left, reads=True, sets=pattern)
                waiting.append((right, False))
            case ast.Foreach(variable, collection, inner):
                yield Use(variable, reads=collection is None, sets=True)
                waiting += [(part, False) for part in (collection, inner) if part is not None]
            case ast.Call(_, arguments) if not pattern:
                yield from _given(node, outputs)
                waiting += [(part, False) for part in arguments if not isinstance(part, ast.Variable)]
            case _:
                waiting += [(part, pattern) for part in ast.children(node)]


def _given(call: ast.Call, outputs: Outputs) -> Iterator[Use]:
    """What a call does with the variables among its arguments."""
    count = len(call.arguments)
    for index, argument in enumerate(call.arguments):
        if isinstance(argument, ast.Variable):
            yield Use(argument, reads=True, sets=_sets(call.name, count, index, outputs))


def _mentions(node: ast.Expression, name: str) -> bool:
    return any(isinstance(part, ast.Variable) and part.name == name for part in ast.walk(node))


def _sets(name: str, count: int, index: int, outputs: Outputs) -> bool:
    if (name, count) in outputs:
        return index in outputs[name, count]
    signature = knowledge().functions.get(name)
    # What is not known may set everything, as every microservice may.
    return signature is None or index in signature.sets


def outputs_of(sources: Iterable[Source]) -> Outputs:
    """Which of their arguments the rules of some files set, through each other too."""
    definitions = [definition for source in sources for definition in source.definitions()]
    found: dict[tuple[str, int], frozenset[int]] = {}
    for definition in definitions:
        everything = frozenset(range(len(definition.head.parameters)))
        found[_key(definition)] = everything if isinstance(definition, ast.OldRule) else frozenset()
    changed = True
    while changed:
        changed = False
        for definition in definitions:
            known = found[_key(definition)]
            new = known | _set_parameters(definition, found)
            if new != known:
                found[_key(definition)] = new
                changed = True
    return found


def _key(definition: Definition) -> tuple[str, int]:
    return definition.head.name, len(definition.head.parameters)


def _set_parameters(definition: Definition, outputs: Outputs) -> frozenset[int]:
    names = {
        parameter.name: index
        for index, parameter in enumerate(definition.head.parameters)
        if isinstance(parameter, ast.Variable)
    }
    return frozenset(
        names[use.variable.name]
        for body in bodies(definition)
        for use in uses(body, outputs)
        if use.sets and use.variable.name in names
    )
