"""Checks of rule bases in Python, from their syntax tree: nothing of them is run.

The engine (irods_rule_engine_plugin-python) calls a function of a policy enforcement point's name with three
arguments. It is asked before the one of the rule language, where a mistake counts for more: an exception
refuses the operation, and one at the import of the module everything that is asked of the server.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from controlplane.rules.language.ast import Place
from controlplane.rules.lint.finding import Finding
from controlplane.rules.lint.knowledge import knowledge, looks_like_point
from controlplane.rules.lint.names import Defined
from controlplane.rules.lint.parameters import READER, Declared
from controlplane.rules.lint.points import DELIVERED

SUFFIX = ".py"
PARAMETERS = ("rule_args", "callback", "rei")
"""What every function of a policy enforcement point gets, in this order."""

THERE = frozenset((*sys.stdlib_module_names, "irods_types", "irods_errors"))
"""What can be imported on every server: the standard library, and what the engine brings."""

_QUIET = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class PythonSource:
    """A rule base in Python that could be read."""

    file: str
    text: str
    tree: ast.Module

    def finding(self, node: ast.stmt | ast.expr, code: str, text: str) -> Finding:
        """A finding where a node begins."""
        return Finding(self.file, Place(node.lineno, node.col_offset + 1), code, text)

    def functions(self) -> Iterator[Function]:
        """The functions of the module, without those of classes and other functions."""
        return (node for node in self.tree.body if isinstance(node, Function))

    def calls(self) -> Iterator[tuple[ast.Call, str]]:
        """What is called through `callback`, and its name."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Call(ast.Attribute(ast.Name("callback"), name)):
                    yield node, name


def read(file: str, text: str) -> PythonSource | Finding:
    """A file's syntax tree, or where it is no Python."""
    try:
        return PythonSource(file, text, ast.parse(text, file))
    except SyntaxError as error:
        return Finding(file, Place(error.lineno or 1, max(error.offset or 1, 1)), "R001", error.msg)
    except ValueError as error:
        # Such as a byte 0 in the text.
        return Finding(file, Place(1, 1), "R001", str(error))


def check(source: PythonSource, defined: Defined) -> Iterator[Finding]:
    """What is wrong in a file by itself; `defined` are the rules of the rule bases in the rule language."""
    yield from _points(source)
    yield from _calls(source, defined)
    yield from _imports(source)
    yield from _effects(source)


def check_manifest(
    name: str, source: PythonSource, points: Iterable[str], declared: Declared, manifest: str
) -> Iterator[Finding]:
    """Where a file and its manifest differ: points (R204, R205) and parameters (R501, R502, R503)."""
    named = list(points)
    functions = {node.name: node for node in source.functions() if looks_like_point(node.name)}
    for point in named:
        if point not in functions:
            text = f"{source.file} has no function {point}: remove it here, or write the function"
            yield Finding(manifest, Place(1, 1), "R204", text)
    for point, node in functions.items():
        if point not in named:
            text = f"add {point} to policy_enforcement_points of the manifest"
            yield source.finding(node, "R205", text)
    yield from _parameters(name, source, declared, manifest)


def _points(source: PythonSource) -> Iterator[Finding]:
    """Unknown points (R201), wrong parameters (R202), points not delivered (R206), and twice (R401)."""
    facts, seen = knowledge(), set[str]()
    for node in source.functions():
        name = node.name
        if not looks_like_point(name):
            continue
        if name in seen:
            yield source.finding(node, "R401", f"this {name} replaces the one before: remove one of them")
        seen.add(name)
        if not _takes_three(node):
            text = f"{name} has to be def {name}({', '.join(PARAMETERS)}): the engine gives it these three"
            yield source.finding(node, "R202", text)
        if facts.point(name) is None and name not in facts.core_rules:
            if any(re.fullmatch(pattern, name) for pattern in DELIVERED):
                near = get_close_matches(name, facts.points(), n=1, cutoff=0.6)
                hint = f"did you mean {near[0]}?" if near else "call a function of ours otherwise"
                yield source.finding(node, "R201", f"there is no policy enforcement point {name}; {hint}")
            else:
                text = (
                    f"servers do not deliver {name}: its name must end with _pre, _post, _except or _finally"
                )
                yield source.finding(node, "R206", text)


def _takes_three(node: Function) -> bool:
    given = node.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args)]
    return (
        isinstance(node, ast.FunctionDef)
        and [name.lstrip("_") for name in names] == list(PARAMETERS)
        and not (given.vararg or given.kwonlyargs or given.kwarg or given.defaults)
    )


def _calls(source: PythonSource, defined: Defined) -> Iterator[Finding]:
    """What is called and is not there (R101), and wrong numbers of arguments (R102)."""
    facts = knowledge()
    for call, name in source.calls():
        counts = set(defined.get(name, ()))
        for known in (facts.microservices, facts.core_rules):
            counts.update([known[name]] if name in known else [])
        counts.update(facts.static_points.get(name, ()))
        if name == "writeLine":
            counts.add(2)
        if not counts:
            known_names = [*defined, *facts.microservices, *facts.core_rules]
            near = get_close_matches(name, known_names, n=1, cutoff=0.6)
            hint = (
                f"did you mean {near[0]}?"
                if near
                else "it is no rule of these rule bases and no microservice"
            )
            yield source.finding(call, "R101", f"there is no {name}; {hint}")
        elif call.keywords:
            yield source.finding(call, "R102", f"{name} takes no arguments by name: give them in their order")
        elif len(call.args) not in counts and not any(isinstance(part, ast.Starred) for part in call.args):
            takes = " or ".join(map(str, sorted(counts)))
            text = f"{name} takes {takes} arguments, and here are {len(call.args)}"
            yield source.finding(call, "R102", text)


def _imports(source: PythonSource) -> Iterator[Finding]:
    """Modules that servers need not have (R601)."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Import(names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module, _, level):
                modules = [module or "."] if level == 0 else ["." * level]
            case _:
                continue
        for module in modules:
            if module.partition(".")[0] not in THERE:
                text = f"servers need not have {module}: do with the standard library and irods_types"
                yield source.finding(node, "R601", text)


def _effects(source: PythonSource) -> Iterator[Finding]:
    """What happens at the import already (R602): definitions and constants are no matter, calls are."""
    for node in source.tree.body:
        if isinstance(node, _QUIET) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            continue
        call = next((part for part in ast.walk(node) if isinstance(part, ast.Call) and not _pure(part)), None)
        if not isinstance(node, ast.Assign | ast.AnnAssign) or call is not None:
            text = "this is done in every agent, for each new connection: move it into a function"
            yield source.finding(call or node, "R602", text)


def _pure(call: ast.Call) -> bool:
    """Whether a call only makes a value: of a type of Python's own, or a pattern."""
    match call.func:
        case ast.Name(name):
            return name in ("dict", "frozenset", "list", "range", "set", "sorted", "tuple")
        case ast.Attribute(ast.Name("re"), "compile"):
            return True
        case ast.Attribute(ast.Constant(), _):
            return True
    return False


def _parameters(name: str, source: PythonSource, declared: Declared, manifest: str) -> Iterator[Finding]:
    """Parameters of the manifest and of `callback.bicParameter`, also through a function of the file."""
    read_here: set[str] = set()
    for node, base, parameter, default in _reads(source):
        if base == name:
            read_here.add(parameter)
        known: Mapping[str, str] = declared.get(base, {})
        if parameter not in known:
            where = (
                f"declare it in the manifest of {base}"
                if base in declared
                else f"there is no rule base {base}"
            )
            text = f"no manifest declares the parameter {parameter} of {base}: {where}"
            yield source.finding(node, "R501", text)
        elif default != known[parameter]:
            text = (
                f"the default of {parameter} is {default!r} here and {known[parameter]!r} in the manifest of"
                f" {base}: write the same in both"
            )
            yield source.finding(node, "R503", text)
    for parameter in declared[name]:
        if parameter not in read_here:
            text = f"{source.file} never reads the parameter {parameter}: remove it, or read it with {READER}"
            yield Finding(manifest, Place(1, 1), "R502", text)


def _reads(source: PythonSource) -> Iterator[tuple[ast.Call, str, str, str]]:
    """The calls that read a parameter: where, the rule base, the parameter and its default.

    A function that hands its own arguments on to the reader is a reader too.
    """
    for call, called in source.calls():
        if called == READER and (texts := _texts(call.args[:3])):
            yield call, *texts
    for function in source.functions():
        arguments = [argument.arg for argument in function.args.args]
        for inner in ast.walk(function):
            match inner:
                case ast.Call(ast.Attribute(ast.Name("callback"), called), given) if called == READER:
                    yield from _through(source, function.name, arguments, given[:3])


def _through(
    source: PythonSource, function: str, arguments: list[str], given: list[ast.expr]
) -> Iterator[tuple[ast.Call, str, str, str]]:
    if _texts(given):
        return
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(ast.Name(name), values) if name == function and len(values) == len(arguments):
                known = dict(zip(arguments, values, strict=True))
                put = [known.get(part.id, part) if isinstance(part, ast.Name) else part for part in given]
                if texts := _texts(put):
                    yield node, *texts


def _texts(nodes: list[ast.expr]) -> tuple[str, str, str] | None:
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return (texts[0], texts[1], texts[2]) if len(texts) == len(nodes) == 3 else None
