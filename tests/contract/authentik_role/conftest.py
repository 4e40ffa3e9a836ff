"""A server with the role's blueprints, and the role's modules as Ansible loads them."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "harness"))

from rendering import GIVEN, ROLE, render

from sandbox.standins.authentik import launcher


def load(kind: str, name: str) -> ModuleType:
    """One of the role's modules; what it imports from `ansible.module_utils` is the role's own."""
    qualified = f"ansible.module_utils.{name}" if kind == "module_utils" else f"authentik_role_{name}"
    if qualified in sys.modules:
        return sys.modules[qualified]
    importlib.import_module("ansible.module_utils")
    specification = importlib.util.spec_from_file_location(qualified, ROLE / kind / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[qualified] = module
    specification.loader.exec_module(module)
    return module


for utility in ("authentik_api", "authentik_entries"):
    load("module_utils", utility)


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the blueprints; `secrets` is beside its parent."""
    return render(tmp_path_factory.mktemp("role"), GIVEN)


@pytest.fixture(scope="session")
def server(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[launcher.Running]:
    """A server that reads the blueprints."""
    with launcher.running(tmp_path_factory.mktemp("authentik"), blueprints=rendered.parent) as running:
        yield running
