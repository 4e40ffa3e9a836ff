"""Checks of what rules of one name do to each other along the chain of a server.

Within one instance of the engine (arithmetics.cpp: execRule): the rules of a name are taken in the order of
the rule bases and of the file. One with another number of parameters is passed over; so is one whose
condition does not hold or fails, and one that fails itself, unless it came by `cut`. The first that succeeds
ends the search, and where it ends with a negative integer, the operation is refused with that code. When none
is left, the last error is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from controlplane.rules.language import ast
from controlplane.rules.lint.finding import Finding
from controlplane.rules.lint.knowledge import knowledge, looks_like_point
from controlplane.rules.lint.source import Definition, Source

_FAILURES = frozenset({"fail", "failmsg"})
_NOTHING = frozenset({"nop", "succeed"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One body of a rule as the engine meets it."""

    source: Source
    node: ast.Node
    conditional: bool
    refuses: bool
    """It ends with a negative integer or by failing."""
    falls: ast.Call | None
    """Where it fails without `cut` before, so that the next rule is taken."""
    idle: bool = False
    """It does nothing: it is there as the answer where no other rule is."""


def check_chain(chain: Sequence[Source], on: str) -> Iterator[Finding]:
    """Rules that hide each other (R401, R404), lost refusals (R402), points without an answer (R403).

    `on` names the servers whose chain this is.
    """
    failing = _failing(chain)
    entries: dict[tuple[str, int], list[Entry]] = {}
    for source in chain:
        for definition in source.definitions():
            key = definition.head.name, len(definition.head.parameters)
            entries.setdefault(key, []).extend(_entries(source, definition, failing))
    for (name, count), found in entries.items():
        in_core = knowledge().core_rules.get(name) == count
        yield from _hidden(name, found)
        if looks_like_point(name):
            yield from _lost(name, found, in_core)
            if not in_core and all(entry.conditional for entry in found):
                text = (
                    f"where no condition holds, {name} answers with an error and the operation is refused"
                    f" (on {on}): let the last rule of the chain for it be one without a condition"
                )
                yield found[-1].source.finding(found[-1].node, "R403", text)


def _hidden(name: str, found: Sequence[Entry]) -> Iterator[Finding]:
    for number, entry in enumerate(found[:-1]):
        later = found[number + 1]
        if not entry.conditional:
            yield later.source.finding(
                later.node,
                "R401",
                f"{name} here is only tried when the one without a condition in {_at(entry)} fails:"
                " give that one a condition, or remove one of them",
            )
            return
    if not looks_like_point(name):
        return
    for number, entry in enumerate(found):
        others = (other for other in found[number + 1 :] if other.source is not entry.source)
        hidden = next((other for other in others if not other.idle), None)
        if hidden and not entry.refuses:
            yield entry.source.finding(
                entry.node,
                "R404",
                f"when this condition holds, {name} in {_at(hidden)} is not tried:"
                " only what refuses may come first",
            )


def _lost(name: str, found: Sequence[Entry], in_core: bool) -> Iterator[Finding]:
    for number, entry in enumerate(found):
        if entry.falls is None or (number == len(found) - 1 and not in_core):
            continue
        later = _at(found[number + 1]) if number + 1 < len(found) else "core.re"
        text = (
            f"after this {name} in {later} decides, and may allow what is refused here:"
            " refuse by a condition and a negative code as the last statement"
        )
        yield entry.source.finding(entry.falls, "R402", text)


def _at(entry: Entry) -> str:
    return f"{entry.source.file}:{entry.node.place.line}"


def _entries(source: Source, definition: Definition, failing: Set[str]) -> Iterator[Entry]:
    patterns = any(not isinstance(parameter, ast.Variable) for parameter in definition.head.parameters)
    match definition:
        case ast.Rule(_, alternatives):
            for alternative in alternatives:
                conditional = patterns or alternative.condition is not None
                # A rule of one body is known by its name, alternatives by their own place.
                node = alternative if alternative.keyword else definition
                body = alternative.body
                yield Entry(source, node, conditional, _refuses(body), _falls(body, failing), _idle(body))
        case ast.Function():
            yield Entry(source, definition, patterns, _negative(definition.body), None)
        case ast.OldRule():
            conditional = patterns or definition.condition is not None
            fails = next((call for call in definition.actions if call.name in _FAILURES), None)
            yield Entry(source, definition, conditional, fails is not None, fails)


def _negative(node: ast.Expression) -> bool:
    return isinstance(node, ast.Unary) and node.operator == "-"


def _refuses(body: ast.Block) -> bool:
    actions = [statement.action for statement in body.statements]
    if any(isinstance(action, ast.Call) and action.name in _FAILURES for action in actions):
        return True
    return bool(actions) and _negative(actions[-1])


def _idle(body: ast.Block) -> bool:
    return all(
        isinstance(statement.action, ast.Call) and statement.action.name in _NOTHING
        for statement in body.statements
    )


def _failing(chain: Sequence[Source]) -> Set[str]:
    """The names of rules that fail by themselves or through others, and of what fails."""
    blocks = [
        (definition.head.name, alternative.body)
        for source in chain
        for definition in source.definitions()
        if isinstance(definition, ast.Rule)
        for alternative in definition.alternatives
    ]
    found = set(_FAILURES)
    known = 0
    while known < len(found):
        known = len(found)
        found.update(name for name, block in blocks if name not in found and _falls(block, found))
    return found


def _falls(body: ast.Block, failing: Set[str]) -> ast.Call | None:
    """The first call that fails the rule, or may do so, without `cut` before it in its block."""
    waiting: list[ast.Node] = [body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Block):
            parts: list[ast.Node] = []
            for statement in node.statements:
                if isinstance(statement.action, ast.Call) and statement.action.name == "cut":
                    break
                parts.append(statement.action)
            waiting += reversed(parts)
        elif isinstance(node, ast.Call) and node.name in failing:
            return node
        elif isinstance(node, ast.If | ast.While | ast.For | ast.Foreach):
            waiting += reversed(tuple(ast.children(node)))
    return None
