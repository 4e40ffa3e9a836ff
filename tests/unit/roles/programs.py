"""Loads the programs of roles, which have no suffix, as modules."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType


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
