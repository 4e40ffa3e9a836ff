"""Watches the calls that the control plane makes, and lets some of them go wrong."""

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import Ice
import pytest

from controlplane.systems.omero.connection import Connection

Watch = Callable[[str, Callable[[], Any]], Any]
"""Told the name of a call and how to make it, with its arguments as `args`; gives its answer or raises."""

READS = frozenset(
    {
        *("getAdminService", "getQueryService", "getSessionService", "getLdapService", "getConfigService"),
        *(
            "projection",
            "submit",
            "getResponse",
            "close",
            "getVersion",
            "getExperimenter",
            "getDefaultGroup",
            "getMemberOfGroupIds",
        ),
    }
)
"""Calls that change nothing."""


class _Watched:
    """A proxy of the library, each of whose calls is watched; proxies that they return are as well."""

    def __init__(self, proxy: Any, watch: Watch) -> None:
        self._proxy = proxy
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            answer = self._watch(name, partial(getattr(self._proxy, name), *arguments))
            return _Watched(answer, self._watch) if isinstance(answer, Ice.ObjectPrx) else answer

        return call


def watch_calls(monkeypatch: pytest.MonkeyPatch, watch: Watch) -> None:
    """Let all calls of connections that the control plane makes from now on be watched."""
    create = Connection.__init__

    def made(self: Connection, *arguments: Any) -> None:
        create(self, *arguments)
        self._session = _Watched(self._session, watch)

    monkeypatch.setattr(Connection, "__init__", made)


class Calls:
    """Counts calls; from several threads."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, name: str, call: Callable[[], Any]) -> Any:
        self.count(name)
        return call()

    def count(self, name: str) -> int:
        """Count one call and say how many of its name there were."""
        with self._lock:
            self.made[name] += 1
            return self.made[name]

    @property
    def writes(self) -> int:
        return sum(count for name, count in self.made.items() if name not in READS)
