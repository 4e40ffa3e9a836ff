"""Rules in Python, as irods_rule_engine_plugin-python 5.0 runs them for iRODS 5.0.2.

The engine knows one module, `core.py` beside the server's configuration. Its functions are rules: they get a
list of arguments, which they may change, the way to other rules and microservices, and what surrounds them.
An integer that one returns is the outcome. An exception fails the rule, with the code of the microservice
that raised it or -1, and is logged; one while `core.py` is imported fails each question for any rule.

Two things are otherwise here: the module is imported when the rule language is read, where each agent of the
real server imports it when it first asks, and all connections share it.
"""

import ast
import importlib
import re
import sys
import threading
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from . import peps
from .errors import Code
from .rulescope import MICROSERVICES, Arguments, Scope
from .rulevalues import RuleError
from .rulevalues import text as written
from .structures import Chars, connection

CONTINUE = 5_000_000
"""What a rule returns for the next engine to be asked too (RULE_ENGINE_CONTINUE)."""

_CORE = "core"
_CODE = re.compile(r"\[iRods__Error__Code:(-?\d+)\]")
# Modules are imported by changing what is the whole process's.
_importing = threading.Lock()

Call = Callable[[str, Arguments, Scope], int]
"""Carries out a rule of any engine, or a microservice."""


@dataclass(frozen=True)
class PythonRules:
    """The module `core`, or why it could not be imported."""

    module: ModuleType | None
    failure: str = ""
    sources: dict[str, str] = field(default_factory=dict)
    """The texts of the modules that it imported from the folder, its own among them, by name."""

    def has(self, name: str) -> bool:
        """Return whether there is a rule of a name, or a failure to answer with."""
        return self.module is None or hasattr(self.module, name)

    def run(self, name: str, arguments: list[Any], scope: Scope, call: Call) -> int:
        """Carry out a rule; texts that it puts into its arguments stay there. Raises `RuleError`."""
        if self.module is None:
            scope.exception(self.failure)
            raise RuleError(Code.RULE_ENGINE_ERROR, f"core.py: {self.failure}")
        given = list(arguments)
        try:
            result = getattr(self.module, name)(given, Callback(scope, call), _surroundings(scope))
        except Exception as error:
            told = traceback.format_exc()
            scope.exception(told)
            code = _CODE.search(told)
            raise RuleError(int(code[1]) if code else -1, f"{name}: {error}") from error
        for position, value in enumerate(given[: len(arguments)]):
            if isinstance(value, str):
                arguments[position] = value
        return int(result) if isinstance(result, int) else 0

    def unsupported(self, known: Collection[str], points: Collection[str]) -> list[str]:
        """Return a line for each module with rules that the stand-in does not carry out, and why not."""
        lines = []
        for name, source in self.sources.items():
            reasons = sorted(_reasons(ast.parse(source), {*known, *MICROSERVICES}, points))
            if reasons:
                lines.append(f"STAND-IN: of the module {name}, this is not carried out: {'; '.join(reasons)}")
        return lines


def load(directory: Path) -> PythonRules:
    """Import `core.py` of a directory anew, with all that it imports from there."""
    path = directory / f"{_CORE}.py"
    ours = {found.stem for found in directory.glob("*.py")} | {"irods_types", "irods_errors"}
    with _importing:
        kept = {name: sys.modules.pop(name) for name in ours & sys.modules.keys()}
        writes_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        sys.path.append(str(directory))
        importlib.invalidate_caches()
        try:
            sys.modules |= {"irods_types": ModuleType("irods_types"), "irods_errors": _errors()}
            module = _import(path)
            imported = [name for name in ours & sys.modules.keys() if (directory / f"{name}.py").is_file()]
            sources = {name: (directory / f"{name}.py").read_text(encoding="utf-8") for name in imported}
        except Exception:
            return PythonRules(None, traceback.format_exc())
        finally:
            sys.path.remove(str(directory))
            sys.dont_write_bytecode = writes_none
            for name in ours & sys.modules.keys():
                del sys.modules[name]
            sys.modules |= kept
    # The engine gives these two to the module, whether it imports them or not.
    vars(module).update(irods_types=ModuleType("irods_types"), irods_errors=_errors())
    return PythonRules(module, sources=sources)


def _import(path: Path) -> ModuleType:
    """Import a module by its file: its name may be another's too, of whoever runs the stand-in."""
    if not path.is_file():
        raise ModuleNotFoundError(f"No module named {path.stem!r}", name=path.stem)
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules[path.stem] = module
    exec(compile(path.read_bytes(), str(path), "exec"), vars(module))  # noqa: S102 - as the engine does
    return module


class Callback:
    """What a rule in Python calls others by: an attribute for each rule and microservice."""

    def __init__(self, scope: Scope, call: Call) -> None:
        self._scope, self._call = scope, call

    def __getattr__(self, name: str) -> Callable[..., dict[str, object]]:
        """Return what carries out a rule or microservice, and raises `RuntimeError` with its code."""

        def carry_out(*words: Any) -> dict[str, object]:  # noqa: ANN401 - as the rule says
            arguments: Arguments = list(words)
            try:
                code, message = self._call(name, arguments, self._scope), ""
            except RuleError as error:
                code, message = error.code, error.message
            if code < 0 and code != Code.CAT_NO_ROWS_FOUND:
                raise RuntimeError(f"[iRods__Error__Code:{code}] {message}")
            # Texts stay texts on the way: the engine hands over std::string.
            back = [
                written(value) if isinstance(word, str) and value is not None else value
                for word, value in zip(words, arguments, strict=True)
            ]
            return {"code": code, "status": code >= 0, "arguments": back}

        return carry_out


def _surroundings(scope: Scope) -> SimpleNamespace:
    """Return what a rule gets as `rei`: of it, the connection."""
    given = {name: str(scope.variables.get(name, "")) for name in ("userNameClient", "rodsZoneClient")}
    proxy = {name: str(scope.variables.get(name, "")) for name in ("userNameProxy", "rodsZoneProxy")}
    return SimpleNamespace(
        rsComm=connection(
            (given["userNameClient"], given["rodsZoneClient"]),
            (proxy["userNameProxy"], proxy["rodsZoneProxy"]),
            str(scope.variables.get("clientAddr", "")),
        ),
        status=0,
        ruleName=Chars(""),
    )


def _errors() -> ModuleType:
    """Return the module of the names that stand for codes: those that the stand-in knows."""
    module = ModuleType("irods_errors")
    vars(module).update({code.name: int(code) for code in Code}, RULE_ENGINE_CONTINUE=CONTINUE)
    return module


def _reasons(tree: ast.Module, known: Collection[str], points: Collection[str]) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith(("pep_", "ac")):
            if node.name not in points:
                found.add(f"{node.name} (no such policy enforcement point here)")
            elif node.name.startswith("pep_") and not peps.has_structures(node.name):
                found.add(f"{node.name} (its input has no structure here)")
        match node:
            case ast.Call(ast.Attribute(ast.Name("callback"), name)) if name not in known:
                found.add(f"callback.{name} (unknown)")
    return found
