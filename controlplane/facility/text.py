"""Plain data as YAML text in the house style: what a line can hold on one line, the rest in blocks.

The text is laid out for people: mappings of plain values are written `{key: value}`, quotes appear only where
YAML would otherwise read something else.
"""

import json
import re
from collections.abc import Mapping, Sequence

from ruamel.yaml import YAML

from controlplane.model.source import Data

WIDTH = 120
"""Columns that a line may have before a mapping is written over several."""

_PLAIN = re.compile(r"[\w/]([\w ./@()'\u2019&+-]*[\w./@()'\u2019&+-])?")
# Plain text in YAML 1.2, but something else to a reader of YAML 1.1.
_AMBIGUOUS = re.compile(r"y|n|yes|no|on|off|[\d._+-]*", re.IGNORECASE)
_ADDRESS = re.compile(r"\d+(\.\d+){3}")
_TEXT_TAG = "tag:yaml.org,2002:str"


def scalar(value: str | float | bool | None) -> str:
    """A single value as YAML reads it back, on one line."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _is_plain(value):
        return value
    # YAML's double-quoted strings understand JSON's escapes, but not its pairs for characters above U+FFFF.
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in quoted)


def flow(value: Data) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar(value)


def mapping_lines(value: Mapping[str, Data], indent: int = 0) -> list[str]:
    """The lines of a block mapping whose keys begin in column `indent`."""
    return [line for key, item in value.items() for line in entry_lines(key, item, indent)]


def entry_lines(key: str, value: Data, indent: int) -> list[str]:
    """The lines of one key of a block mapping, its list or mapping below it."""
    head = " " * indent + f"{scalar(key)}:"
    if isinstance(value, list) and value and not _fits_as_words(head, value):
        # Items of one list look alike.
        alike = all(_on_one_line(item, indent + 2) for item in value)
        return [head, *(line for item in value for line in item_lines(item, indent + 2, one_line=alike))]
    if isinstance(value, dict) and value and not _fits(head, value):
        return [head, *mapping_lines(value, indent + 2)]
    return [f"{head} {flow(value)}"]


def item_lines(value: Data, indent: int, *, one_line: bool = True) -> list[str]:
    """The lines of one item of a block list whose dashes stand in column `indent`; one line where it fits."""
    head = " " * indent + "-"
    if isinstance(value, dict) and value and not (one_line and _on_one_line(value, indent)):
        lines = mapping_lines(value, indent + 2)
        return [f"{head} {lines[0].lstrip()}", *lines[1:]]
    return [f"{head} {flow(value)}"]


def _is_plain(value: str) -> bool:
    if not _PLAIN.fullmatch(value):
        return False
    if _AMBIGUOUS.fullmatch(value) and not _ADDRESS.fullmatch(value):
        return False
    return bool(YAML(typ="safe", pure=True).compose(value).tag == _TEXT_TAG)


def _on_one_line(item: Data, indent: int) -> bool:
    return not isinstance(item, dict) or _fits(" " * indent + "-", item)


def _fits(head: str, value: Mapping[str, Data]) -> bool:
    """Whether a mapping reads well on one line: only single values in it, and short."""
    flat = not any(isinstance(item, (dict, list)) for item in value.values())
    return flat and len(head) + 1 + len(flow(dict(value))) <= WIDTH


def _fits_as_words(head: str, value: Sequence[Data]) -> bool:
    flat = not any(isinstance(item, (dict, list)) for item in value)
    return flat and len(head) + 1 + len(flow(list(value))) <= WIDTH
