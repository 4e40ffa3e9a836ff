"""The role's modules as Ansible loads them."""

import importlib
import importlib.util
import sys
from types import ModuleType

from role_rendering import ROLE


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
