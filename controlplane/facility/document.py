"""A YAML file that is edited in place: every character outside the edit stays as it is.

The file is understood by ruamel, which says where each value begins and ends; an edit replaces, inserts or
removes just that text. So comments, order, quotes, alignment and line ends of everything else are never
rewritten. After each edit the text is read again, and the edit is refused when it does not say exactly what
was meant.
"""

import copy
from collections.abc import Sequence
from typing import cast

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from controlplane.errors import BadInputError
from controlplane.facility.text import entry_lines, flow, item_lines
from controlplane.model.source import Data, Key, Route

_NULL = "tag:yaml.org,2002:null"


class LayoutError(BadInputError):
    """A file that is laid out in a way that is not edited here; a person can edit it as text."""


class Document:
    """One YAML file's text, immutable; edits return a new document."""

    def __init__(self, text: str, shown: str) -> None:
        """Understand `text`; `shown` is the file's name in messages.

        Raises LayoutError when the text is not a YAML mapping.
        """
        self.text = text
        self.shown = shown
        # Without the byte order mark, which ruamel does not count.
        self._shift = 1 if text.startswith("\ufeff") else 0
        self._newline = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
        try:
            root = YAML(typ="safe", pure=True).compose(text[self._shift :])
        except YAMLError as error:
            raise LayoutError(f"{shown}: this is not valid YAML, so it cannot be edited here") from error
        if not isinstance(root, MappingNode) or root.flow_style:
            raise LayoutError(f"{shown}: this is not a list of keys and values, one to a line")
        self._root = root

    @property
    def data(self) -> Data:
        """What the file says, scalars as text."""
        return _plain(self._root)

    def at(self, route: Route) -> Data:
        """The value at `route`, scalars as text; None when there is none."""
        node = self._find(route)
        return _plain(node) if node else None

    def set(self, route: Route, value: Data, order: Sequence[str] = ()) -> "Document":
        """The document with `value` at `route`; the mapping around it must be there.

        A new key comes after the last of those keys that precede it in `order`, or at the end.
        """
        expected = _changed(self.data, route, value)
        node = self._find(route)
        if node is None:
            edited = self._inserted(route, value, order)
        elif isinstance(node, MappingNode) and not node.flow_style and isinstance(value, dict):
            return self._merged(route, node, value)
        elif not isinstance(node, CollectionNode) or node.flow_style:
            edited = self._replaced(route, node, flow(value))
        else:
            raise self._refused(node)
        return self._checked(edited, expected)

    def append(self, route: Route, value: Data, order: Sequence[str] = ()) -> "Document":
        """The document with `value` as the last item of the list at `route`, which may be made for it."""
        node = self._find(route)
        if node is None or (isinstance(node, ScalarNode) and node.tag == _NULL):
            return self.set(route, [value], order)
        if not isinstance(node, SequenceNode):
            raise self._refused(node)
        expected = _appended(self.data, route, value)
        if not node.flow_style:
            lines = item_lines(value, node.start_mark.column)
            return self._checked(self._with_lines(self._line_after(node), lines), expected)
        if node.value:
            edited = self._spliced(self._end(node.value[-1]), self._end(node.value[-1]), f", {flow(value)}")
            return self._checked(edited, expected)
        if isinstance(value, dict) and self._starts_line(self._key(route)):
            # An empty list gets room: its items below the key.
            lines = item_lines(value, self._key(route).start_mark.column + 2)
            start = self._key_end(route)
            edited = self._spliced(start, self._end(node), self._newline + self._newline.join(lines))
        else:
            edited = self._replaced(route, node, flow([value]))
        return self._checked(edited, expected)

    def remove(self, route: Route) -> "Document":
        """The document without the key or list item at `route`; what would be empty then goes with its key.

        Comments right above it are taken for its own, unless it is the first and they may be about all.
        """
        parent = self._find(route[:-1])
        if isinstance(parent, CollectionNode) and len(parent.value) == 1 and len(route) > 1:
            return self.remove(route[:-1])
        expected = _removed(self.data, route)
        parts = self._parts(parent)
        position = self._position(parent, route[-1])
        start, end = parts[position]
        if isinstance(parent, CollectionNode) and parent.flow_style:
            if position:
                start = parts[position - 1][1]
            elif len(parts) > 1:
                end = parts[1][0]
            return self._checked(self._spliced(start, end, ""), expected)
        first_in_line = not self._before(start).strip(" -" if isinstance(parent, SequenceNode) else " ")
        if not first_in_line and position + 1 < len(parts):
            return self._checked(self._spliced(start, parts[position + 1][0], ""), expected)
        begin = self._line_start(start)
        if position:
            begin = self._with_comments_above(begin, self._line_end(parts[position - 1][1]))
        return self._checked(self.text[:begin] + self.text[self._line_end(end) :], expected)

    def _merged(self, route: Route, node: MappingNode, value: dict[str, Data]) -> "Document":
        """Each key of a block mapping by itself, so that comments between them stay."""
        document = self
        old = cast(dict[str, Data], _plain(node))
        for key, item in value.items():
            if key not in old or not _same(old[key], item):
                document = document.set((*route, key), item, tuple(value))
        for key in old:
            if key not in value:
                document = document.remove((*route, key))
        return document

    def _inserted(self, route: Route, value: Data, order: Sequence[str]) -> str:
        parent = self._find(route[:-1])
        key = str(route[-1])
        if not isinstance(parent, MappingNode):
            raise self._refused(parent or self._root)
        earlier = order[: order.index(key)] if key in order else ()
        names = [str(node.value) for node, _ in parent.value]
        after = max((names.index(name) for name in earlier if name in names), default=len(names) - 1)
        if parent.flow_style:
            at = self._end(parent.value[after][1]) if names else self._start(parent) + 1
            return self._spliced(at, at, f"{', ' if names else ''}{flow({key: value})[1:-1]}")
        column = parent.value[0][0].start_mark.column
        return self._with_lines(self._line_after(parent.value[after][1]), entry_lines(key, value, column))

    def _replaced(self, route: Route, node: Node, text: str) -> str:
        start, end = self._start(node), self._content_end(node)
        if start == end:  # A key without a value: ruamel places the value at the next token.
            start = end = self._key_end(route)
            text = f" {text}"
        return self._spliced(start, end, text)

    def _spliced(self, start: int, end: int, text: str) -> str:
        return self.text[:start] + text + self.text[end:]

    def _with_lines(self, at: int, lines: Sequence[str]) -> str:
        head = self.text[:at]
        if head and not head.endswith("\n"):
            head += self._newline
        return head + "".join(line + self._newline for line in lines) + self.text[at:]

    def _checked(self, text: str, expected: Data) -> "Document":
        try:
            edited = Document(text, self.shown)
        except LayoutError:
            edited = None
        if edited is None or not _same(edited.data, expected):
            raise LayoutError(
                f"{self.shown}: the file is laid out in a way that cannot be edited here; edit it as text"
            )
        return edited

    def _refused(self, node: Node) -> LayoutError:
        place = f"{self.shown}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
        return LayoutError(f"{place}: this part cannot be replaced as a whole; edit the file as text")

    def _find(self, route: Route) -> Node | None:
        node: Node = self._root
        for step in route:
            if isinstance(node, MappingNode):
                found = next((value for key, value in node.value if key.value == step), None)
            else:
                inside = isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value)
                found = node.value[step] if inside else None
            if found is None:
                return None
            node = found
        return node

    def _key(self, route: Route) -> Node:
        parent = self._find(route[:-1])
        if not isinstance(parent, MappingNode):
            return self._root
        return cast(Node, next(key for key, _ in parent.value if key.value == route[-1]))

    def _key_end(self, route: Route) -> int:
        """The offset after the colon of a key."""
        return self.text.index(":", self._end(self._key(route))) + 1

    def _parts(self, node: Node | None) -> list[tuple[int, int]]:
        """Begin and end of each entry of a collection; in block lists without the dash."""
        if isinstance(node, MappingNode):
            return [(self._start(key), self._content_end(value)) for key, value in node.value]
        if isinstance(node, SequenceNode):
            return [(self._start(item), self._content_end(item)) for item in node.value]
        raise self._refused(node or self._root)

    def _position(self, node: Node | None, step: Key) -> int:
        if isinstance(node, MappingNode):
            return [key.value for key, _ in node.value].index(step)
        return int(step)

    def _start(self, node: Node) -> int:
        return int(node.start_mark.index) + self._shift

    def _end(self, node: Node) -> int:
        return int(node.end_mark.index) + self._shift

    def _content_end(self, node: Node) -> int:
        """Where a node's own text ends; the mark of a block collection also covers comments after it."""
        if isinstance(node, CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            return self._content_end(last[1] if isinstance(last, tuple) else last)
        end = self._end(node)
        # A block scalar ends where the next line begins.
        return len(self.text[:end].rstrip()) if end > self._start(node) else end

    def _line_after(self, node: Node) -> int:
        return self._line_end(self._content_end(node))

    def _line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def _line_end(self, at: int) -> int:
        return (self.text.find("\n", at) + 1) or len(self.text)

    def _before(self, at: int) -> str:
        return self.text[self._line_start(at) : at]

    def _starts_line(self, node: Node) -> bool:
        return not self._before(self._start(node)).strip(" -")

    def _with_comments_above(self, begin: int, floor: int) -> int:
        """Where the comment lines begin that stand right above the line at `begin`, not before `floor`."""
        while begin > floor:
            above = self._line_start(begin - 1)
            if above < floor or not self.text[above:begin].lstrip().startswith("#"):
                break
            begin = above
        return begin


def _plain(node: Node) -> Data:
    if isinstance(node, MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    if isinstance(node, SequenceNode):
        return [_plain(item) for item in node.value]
    return None if node.tag == _NULL else str(node.value)


def _same(one: Data, other: Data) -> bool:
    """Whether two values are equal when scalars are compared as the text that YAML shows."""
    return _as_text(one) == _as_text(other)


def _as_text(value: Data) -> Data:
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _container(data: Data, route: Route) -> dict[str, Data] | list[Data]:
    for step in route:
        data = cast(dict[Key, Data], data)[step]
    return cast("dict[str, Data] | list[Data]", data)


def _changed(data: Data, route: Route, value: Data) -> Data:
    made = copy.deepcopy(data)
    cast(dict[Key, Data], _container(made, route[:-1]))[route[-1]] = value
    return made


def _appended(data: Data, route: Route, value: Data) -> Data:
    made = copy.deepcopy(data)
    cast(list[Data], _container(made, route)).append(value)
    return made


def _removed(data: Data, route: Route) -> Data:
    made = copy.deepcopy(data)
    del cast(dict[Key, Data], _container(made, route[:-1]))[route[-1]]
    return made
