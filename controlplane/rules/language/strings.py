"""Strings and paths as the engine reads them: escapes, and variables whose values are put in."""

from __future__ import annotations

import re

from controlplane.rules.language import ast
from controlplane.rules.language.ast import Place

LONGEST_STRING = 1021
"""Bytes of a string between its quotes (reconstants.hpp: MAX_TOKEN_TEXT_LEN, less both quotes)."""

_VARIABLE = r"(?P<variable>[*$][A-Za-z]\w*)"
_PART = re.compile(rf"\\(?P<escaped>.)|{_VARIABLE}|(?P<text>[^\\*$]+|.)", re.ASCII | re.DOTALL)
_PLAIN_PART = re.compile(rf"(?P<escaped>(?!))|{_VARIABLE}|(?P<text>[^*$]+|.)", re.ASCII | re.DOTALL)
_QUOTED, _BARE = '"*$\\', "*$\\),; "
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_WRITTEN = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\0": r"\0"}


def split(text: str, place: Place, *, escapes: bool = True) -> tuple[str | ast.Variable, ...]:
    """The inside of a string that begins at a place: text with its escapes resolved, and variables."""
    parts: list[str | ast.Variable] = []
    begin = 0
    for match in (_PART if escapes else _PLAIN_PART).finditer(text):
        place, begin = _moved(place, text[begin : match.start()]), match.start()
        if variable := match["variable"]:
            parts.append(ast.Variable(variable, place=place))
            continue
        escaped = match["escaped"]
        piece = match["text"] if escaped is None else _ESCAPES.get(escaped, escaped)
        if parts and isinstance(parts[-1], str):
            parts[-1] += piece
        else:
            parts.append(piece)
    return tuple(parts)


def quoted(parts: tuple[str | ast.Variable, ...]) -> str:
    """A string in double quotes that is read as these parts."""
    return f'"{_written(parts, special=_QUOTED)}"'


def bare(parts: tuple[str | ast.Variable, ...]) -> str:
    """A path without quotes that is read as these parts."""
    return _written(parts, special=_BARE)


def _written(parts: tuple[str | ast.Variable, ...], special: str) -> str:
    written = ""
    for number, part in enumerate(parts):
        if isinstance(part, ast.Variable):
            written += part.name
            continue
        signs = [_WRITTEN.get(sign) or (f"\\{sign}" if sign in special else sign) for sign in part]
        # A letter right after a variable would be read as more of its name.
        if number and re.match(r"\w", part, re.ASCII):
            signs[0] = f"\\{signs[0]}"
        written += "".join(signs)
    return written


def _moved(place: Place, text: str) -> Place:
    """The place after a text that begins at a place."""
    newline = text.rfind("\n")
    column = place.column + len(text) if newline < 0 else len(text) - newline
    return Place(place.line + text.count("\n"), column)
