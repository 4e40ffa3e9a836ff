"""Inventory files as text, laid out as a person would: one line for what is small."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WIDTH = 110
"""Characters of a line that holds a mapping or a list."""

# Text that YAML reads as itself, in and outside of brackets. All else is quoted.
_PLAIN = re.compile(
    r"[^\W\d_][\w./@'°-]*(?: [\w./@'°-]+)*"
    r"|/[\w./-]+"  # paths
    r"|\d+(?:\.\d+){3}"  # addresses
    r"|\d+ [A-Za-z]+"  # sizes
)
_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def yaml_text(document: Mapping[str, Any]) -> str:
    """A mapping of mappings, lists, texts and whole numbers as YAML."""
    return "\n".join(_mapping(document, "")) + "\n"


def _mapping(mapping: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in mapping.items():
        room = WIDTH - len(indent) - len(key) - 2
        if (line := _line(value)) is not None and len(line) <= room:
            yield f"{indent}{key}: {line}"
        elif isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _mapping(value, indent + "  ")
        else:
            yield f"{indent}{key}:"
            yield from _list(value, indent + "  ")


def _list(items: Sequence[Any], indent: str) -> Iterator[str]:
    for item in items:
        if (line := _line(item)) is not None and len(line) <= WIDTH - len(indent) - 2:
            yield f"{indent}- {line}"
        else:
            first, *rest = _mapping(item, indent + "  ")
            yield f"{indent}- {first.lstrip()}"
            yield from rest


def _line(value: Any, depth: int = 0) -> str | None:  # noqa: ANN401 - whatever a file holds
    """The value on one line, or None for what is too deep to be read there."""
    if isinstance(value, str):
        return _scalar(value)
    if not isinstance(value, (Mapping, Sequence)):
        return json.dumps(value)
    if depth == 2 or (depth == 1 and isinstance(value, Mapping)):
        return None
    if isinstance(value, Mapping):
        parts = [(key, _line(item, depth + 1)) for key, item in value.items()]
        if any(part is None for _, part in parts):
            return None
        return "{" + ", ".join(f"{key}: {part}" for key, part in parts) + "}"
    items = [_line(item, depth + 1) for item in value]
    return None if None in items else "[" + ", ".join(item for item in items if item is not None) + "]"


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    return json.dumps(text, ensure_ascii=False)
