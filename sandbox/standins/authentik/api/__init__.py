"""The REST API, by subject."""

from ..http import Route
from . import groups, users


def routes() -> list[Route]:
    """Return all paths; where several match, the first counts."""
    return [*users.routes(), *groups.routes()]


__all__ = ["routes"]
