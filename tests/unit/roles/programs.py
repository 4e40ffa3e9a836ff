"""Loads the programs of roles, which have no suffix, as modules, and lets them die."""

import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load(program: Path) -> ModuleType:
    """A program as a module."""
    name = program.name.replace("-", "_")
    loader = importlib.machinery.SourceFileLoader(name, str(program))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


class Killed(BaseException):
    """The program ends here."""


def die_at(patch: pytest.MonkeyPatch, point: int, *functions: tuple[object, str]) -> None:
    """Let a program die before call number `point`, from 0 on, of these functions: holders and names."""
    left = iter(range(point))

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if next(left, None) is None:
                raise Killed(name)
            return real(*given, **named)

        return call

    for holder, name in functions:
        patch.setattr(holder, name, wrapped(name, getattr(holder, name)))
