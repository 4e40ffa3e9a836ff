"""The REST API, by subject."""

from ..http import Route
from . import access, applications, bindings, connections, groups, operations, server, tokens, users


def routes() -> list[Route]:
    """Return all paths; where several match, the first counts."""
    subjects = (server, users, groups, tokens, access, applications, bindings, connections, operations)
    return [found for subject in subjects for found in subject.routes()]


__all__ = ["routes"]
