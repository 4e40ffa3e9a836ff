"""YAML files as plain data in which every key and value knows its place."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from controlplane.model.problems import Place, Problem, shorten

_TAG_PREFIX = "tag:yaml.org,2002:"

Key = str | int
Route = tuple[Key, ...]
"""The way from a file's top to a value: keys of mappings and indexes of lists."""

Data = dict[str, "Data"] | list["Data"] | str | int | float | bool | None
"""What JSON can say; dates stay text."""


class Places(Protocol):
    """Where the parts of one file stand."""

    def at(self, *path: Key) -> Place:
        """The place of the value at `path`, or of the nearest thing around it that exists."""
        ...

    def key(self, *path: Key) -> Place:
        """The place of the key at `path`; of the value where there is no key, as in lists."""
        ...


@dataclass(frozen=True)
class Source:
    """The data of one file, and where each part of it stands."""

    file: str
    data: Data
    values: dict[Route, Place]
    keys: dict[Route, Place]

    def at(self, *path: Key) -> Place:
        """The place of the value at `path`, or of the nearest thing around it that exists."""
        return self._nearest(self.values, path)

    def key(self, *path: Key) -> Place:
        """The place of the key at `path`; of the value where there is no key, as in lists."""
        return self.keys.get(path) or self.at(*path)

    def _nearest(self, places: dict[Route, Place], path: Route) -> Place:
        for length in range(len(path), -1, -1):
            if place := places.get(path[:length]):
                return place
        return Place(self.file)


@dataclass(frozen=True)
class LazySource:
    """The places in a file that was read without them: it is read again when the first one is asked for."""

    path: Path
    shown: str

    @cached_property
    def _source(self) -> Places:
        problems: list[Problem] = []
        text = read_text(self.path, self.shown, problems)
        # A file that has changed meanwhile may not be readable any more: then it is named as a whole.
        found = parse(text, self.shown, problems) if text is not None else None
        return found or Source(self.shown, None, {}, {})

    def at(self, *path: Key) -> Place:
        """As in `Places`."""
        return self._source.at(*path)

    def key(self, *path: Key) -> Place:
        """As in `Places`."""
        return self._source.key(*path)


def read_text(path: Path, shown: str, problems: list[Problem]) -> str | None:
    """The text of a file, or None after adding to `problems` why it cannot be had.

    `shown` is the file's name in messages.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        column = error.start - (error.object.rfind(b"\n", 0, error.start) + 1) + 1
        problems.append(Problem(Place(shown, line, column), "this is not UTF-8 text; save the file as UTF-8"))
    except OSError as error:
        problems.append(Problem(Place(shown), f"cannot be read: {error.strerror}"))
    return None


def parse(text: str, shown: str, problems: list[Problem]) -> Source | None:
    """A YAML file's data with the places of its parts.

    What is wrong is added to `problems`; None is returned when the file could not be understood at all.
    """
    reader = YAML(typ="safe", pure=True)
    try:
        root = reader.compose(text)
        if root is None:
            problems.append(Problem(Place(shown, 1, 1), "the file is empty"))
            return None
        return _Builder(shown, reader, problems).build(root)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(shown, mark.line + 1, mark.column + 1) if mark else Place(shown)
        message = error.problem or error.context or "the text cannot be understood"
        problems.append(Problem(place, f"this is not valid YAML: {message}"))
    except ReaderError as error:
        before = text[: error.position]
        place = Place(shown, before.count("\n") + 1, len(before) - before.rfind("\n"))
        problems.append(Problem(place, f"character U+{ord(text[error.position]):04X} is not allowed in YAML"))
    except RecursionError:
        problems.append(Problem(Place(shown, 1, 1), "the values are nested too deeply to be an inventory"))
    return None


class _Builder:
    """Turns one file's YAML nodes into a `Source`."""

    def __init__(self, shown: str, reader: YAML, problems: list[Problem]) -> None:
        self.shown = shown
        self.reader = reader
        self.problems = problems
        self.values: dict[Route, Place] = {}
        self.keys: dict[Route, Place] = {}
        self.seen: set[int] = set()

    def build(self, root: Node) -> Source:
        return Source(self.shown, self._value(root, ()), self.values, self.keys)

    def _place(self, node: Node) -> Place:
        return Place(self.shown, node.start_mark.line + 1, node.start_mark.column + 1)

    def _value(self, node: Node, path: Route) -> Data:
        place = self._place(node)
        self.values[path] = place
        if id(node) in self.seen:
            # An alias would make one line of text stand for any amount of data, or for itself.
            self.problems.append(Problem(place, "aliases (*name) are not supported; write the value out"))
            return None
        self.seen.add(id(node))
        if isinstance(node, MappingNode):
            return {key: self._value(value, (*path, key)) for key, value in self._items(node, path)}
        if isinstance(node, SequenceNode):
            return [self._value(value, (*path, index)) for index, value in enumerate(node.value)]
        return self._scalar(node, place)

    def _items(self, node: MappingNode, path: Route) -> Iterator[tuple[str, Node]]:
        for key_node, value in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, ScalarNode) or self._kind(key_node) != "str":
                shown = f"{shorten(key_node.value)} is not text; " if isinstance(key_node, ScalarNode) else ""
                self.problems.append(Problem(place, f"{shown}a key must be text: put it in quotes"))
                continue
            key = str(key_node.value)
            if earlier := self.keys.get((*path, key)):
                self.problems.append(Problem(place, f"the key {shorten(key)} is already given at {earlier}"))
                continue
            self.keys[(*path, key)] = place
            yield key, value

    @staticmethod
    def _kind(node: Node) -> str:
        return str(node.tag).removeprefix(_TAG_PREFIX)

    def _scalar(self, node: Node, place: Place) -> Data:
        kind = self._kind(node)
        text = str(node.value)
        if kind in ("str", "timestamp"):
            if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
                self.problems.append(Problem(place, "the text holds half of a character (a lone surrogate)"))
                return None
            return text
        if kind in ("int", "float", "bool", "null"):
            try:
                value: Data = self.reader.constructor.construct_object(node)
            except ValueError:
                self.problems.append(
                    Problem(place, f"{shorten(text)} is not a number; quote it if it is text")
                )
                return None
            return value
        self.problems.append(Problem(place, f"the tag {node.tag} is not supported here; write plain text"))
        return None
