"""Whether anything may have changed, in one small request."""

from collections.abc import Iterator

from controlplane.model import Platform
from controlplane.systems.authentik import calls
from controlplane.systems.authentik.client import Client, endpoint

TIMEOUT = 10.0
"""Seconds to wait for an answer."""


def newest_changes(platform: Platform) -> Iterator[str]:
    """A text that is another one when people, groups or roles may have changed. Raises BicError."""
    if platform.identity is not None:
        with Client(endpoint(platform.identity, TIMEOUT), connections=1) as client:
            yield calls.newest_change(client)
