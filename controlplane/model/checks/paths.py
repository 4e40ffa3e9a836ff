"""Folders of one host that must not lie in each other."""

from collections.abc import Iterator

from controlplane.model.checks.spots import Spot
from controlplane.model.problems import Problem


class Folders:
    """Folders of one kind on one host; each is compared with those before it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._given: dict[str, Spot] = {}
        self._around: dict[str, str] = {}
        """Every folder around a given one, and the first given one that lies in it."""

    def add(self, path: str, spot: Spot, where: str) -> Iterator[Problem]:
        """Take in a plain absolute path; yields its overlap with an earlier one. `where` names the host."""
        around = [path[:end] for end, character in enumerate(path) if character == "/" and end]
        candidates = [path, *reversed(around), self._around.get(path)]
        other = next((found for found in candidates if found in self._given), None)
        if other is not None:
            yield spot.problem(
                f"the {self._what} {path} overlaps {other} {where}, given at {self._given[other]}"
            )
        self._given.setdefault(path, spot)
        for folder in around:
            self._around.setdefault(folder, path)
