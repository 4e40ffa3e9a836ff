"""The systems that the control plane knows, one folder each.

A system takes part by the modules that its folder has:

- `system.py` with `systems(platform, roster)`: what is planned and applied (`reconcile.port.System`), with
  the people whom the roster knows, or telling it;
- `changes.py` with `newest_changes(platform)`: texts that change when people may have;
- `access.py` with `reaches(platform, path)` and `standings(platform, account)`, what `bic access` shows, and
  `known.py` with `known_people(platform)`, who is behind an account;
- `probes.py` with `probes(platform)`: what `bic health` asks (`health.port.Probe`);
- `journeys.py` with `stages(platform)`: its part of the ways of synthetic data and people
  (`health.journeys.port.Stage`);
- `metrics.py` with `collectors(platform)`: what `bic exporter` offers (`exporter.port.Collector`), and the
  `exporter.families.Family` of each metric as a constant.

So nothing outside a system's folder names it.
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from controlplane.membership.roster import Roster
from controlplane.model import Platform
from controlplane.reconcile.port import System


def planned_systems(platform: Platform) -> list[System]:
    """The systems that are planned and applied, which share one reading of who is on the platform."""
    return list(contributions(platform, "system", "systems", Roster(platform)))


def contributions(platform: Platform, module: str, function: str, *shared: object) -> Iterator[Any]:
    """What `function` in the module `module` of every system's folder gives for `platform`.

    `shared` is handed to each of them.
    """
    for found in modules(module):
        yield from getattr(found, function)(platform, *shared)


def modules(name: str) -> Iterator[ModuleType]:
    """The module of this name of every system that has one."""
    for folder in sorted(iter_modules(__path__), key=lambda info: info.name):
        path = f"{__name__}.{folder.name}.{name}"
        if folder.ispkg and find_spec(path):
            yield import_module(path)
