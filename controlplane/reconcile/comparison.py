"""Comparing systems with the inventory, without a plan."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from controlplane.errors import BicError
from controlplane.reconcile.port import System
from controlplane.reconcile.run import SYSTEMS_AT_ONCE, Watch
from controlplane.reconcile.schedule import unexpected
from controlplane.state import Drift, Scope, compare


@dataclass(frozen=True)
class Compared:
    """How far a system is from the inventory, or why that is not known."""

    system: System
    seconds: float
    drift: Drift | None = None
    error: str = ""


def compare_all(systems: Iterable[System], watch: Watch, scope: Scope) -> list[Compared]:
    """Read every system in the scope and compare it, several at the same time.

    All connections are closed afterwards. Whatever goes wrong with one system is its error.
    """

    def one(system: System) -> Compared:
        begun = time.monotonic()
        drift, problem = None, ""
        try:
            desired = system.desired()
            drift = compare(desired, system.observe(watch(f"reading {system.title}")), scope)
        except BicError as error:
            problem = str(error)
        except Exception as error:
            problem = unexpected(error)
        finally:
            system.close()
        return Compared(system, time.monotonic() - begun, drift, problem)

    chosen = [system for system in systems if scope.has_system(system.id)]
    with ThreadPoolExecutor(SYSTEMS_AT_ONCE, thread_name_prefix="compare") as pool:
        return list(pool.map(one, chosen))
