"""What can still be checked of a file that has mistakes: its data without the parts that are wrong.

So an unknown reference in one part of a file is reported together with a misspelt key in another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from controlplane.model.problems import Place
from controlplane.model.source import Data, Key, Places, Route, Source
from controlplane.model.types import FileModel
from controlplane.model.validate import fields_of, model_at

Model = TypeVar("Model", bound=FileModel)

# Texts for people, to which nothing refers: a part is not left out because one of them is wrong.
_ONLY_SHOWN = frozenset({"title", "institution", "city"})
_STAND_IN = "-"

# Leaving out a part can make another one wrong, such as a mapping that is empty now.
_ROUNDS = 5


@dataclass(frozen=True)
class Remains(Generic[Model]):
    """The data that are left, where they stand, and the names that were left out."""

    data: Model
    source: Places
    dropped: frozenset[str]


def what_is_left(model: type[Model], source: Source) -> Remains[Model] | None:
    """The file as an instance of `model` without its mistakes; None where nothing of use is left."""
    cut = _Cut(source)
    for _ in range(_ROUNDS):
        try:
            data = model.model_validate(cut.data)
        except ValidationError as error:
            if not all(cut.leave_out(model, detail) for detail in error.errors(include_url=False)):
                return None
            cut.apply()
        else:
            return Remains(data, cut, frozenset(cut.names))
    return None


@dataclass
class _Cut:
    """A file's data without some parts, and the way from what is left to where it was."""

    source: Source
    data: Data = field(init=False)
    names: set[str] = field(default_factory=set)
    _removed: set[Route] = field(default_factory=set)
    _replaced: set[Route] = field(default_factory=set)
    _kept: dict[Route, list[int]] = field(default_factory=dict)
    """For each list, by its original route, the original indexes of the items that are left."""

    def __post_init__(self) -> None:
        self.data = self.source.data

    def at(self, *path: Key) -> Place:
        """As in `Places`."""
        return self.source.at(*self._original(path))

    def key(self, *path: Key) -> Place:
        """As in `Places`."""
        return self.source.key(*self._original(path))

    def leave_out(self, model: type[FileModel], detail: ErrorDetails) -> bool:
        """Mark the smallest part that can be missing around a mistake; False where it is the whole file."""
        route: Route = tuple(detail["loc"])
        if route[-1:] == ("[key]",):
            route = route[:-1]
        elif route and route[-1] in _ONLY_SHOWN and detail["type"] != "extra_forbidden":
            self._replaced.add(self._original(route))
            return True
        elif detail["type"] == "missing":
            route = route[:-1]
        while route and not _can_be_missing(model, route):
            route = route[:-1]
        if route:
            original = self._original(route)
            self._removed.add(original)
            self.names.update(_names(self.source.data, original))
        return bool(route)

    def apply(self) -> None:
        """Make `data` anew from the source, without what is marked."""
        self._kept.clear()
        self.data = self._copy(self.source.data, ())

    def _copy(self, data: Data, route: Route) -> Data:
        if isinstance(data, dict):
            kept: dict[str, Data] = {
                key: self._copy(value, (*route, key))
                for key, value in data.items()
                if (*route, key) not in self._removed
            }
            shown = {place[-1]: _STAND_IN for place in self._replaced if place[:-1] == route}
            return {**kept, **{str(key): text for key, text in shown.items()}}
        if isinstance(data, list):
            indexes = [index for index in range(len(data)) if (*route, index) not in self._removed]
            self._kept[route] = indexes
            return [self._copy(data[index], (*route, index)) for index in indexes]
        return data

    def _original(self, path: Sequence[Key]) -> Route:
        route: Route = ()
        for step in path:
            indexes = self._kept.get(route)
            inside = isinstance(step, int) and indexes is not None and step < len(indexes)
            route = (*route, indexes[step] if inside else step)  # type: ignore[index]
        return route


def _can_be_missing(model: type[FileModel], route: Route) -> bool:
    if isinstance(route[-1], int):
        return True
    around = model_at(model, route[:-1])
    wanted = fields_of(around).get(route[-1]) if around else None
    return wanted is None or not wanted.is_required()


def _names(data: Data, route: Route) -> Iterator[str]:
    """All text in a part of a file, the last key on the way to it included."""
    part: Data = data
    for step in route:
        if isinstance(part, dict) and isinstance(step, str):
            part = part.get(step)
        elif isinstance(part, list) and isinstance(step, int) and step < len(part):
            part = part[step]
        else:
            return
    if isinstance(route[-1], str):
        yield route[-1]
    yield from _texts(part)


def _texts(data: Data) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, list):
        for item in data:
            yield from _texts(item)
    elif isinstance(data, dict):
        yield from data
        for value in data.values():
            yield from _texts(value)
