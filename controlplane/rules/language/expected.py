"""What could have stood in a place, in words."""

from __future__ import annotations

from collections.abc import Iterable

KEYWORDS = frozenset(
    {
        "in",
        "let",
        "match",
        "with",
        "for",
        "forExec",
        "while",
        "whileExec",
        "foreach",
        "forEachExec",
        "if",
        "ifExec",
        "then",
        "else",
        "data",
        "constructor",
        "on",
        "or",
        "oron",
    }
)
"""Words that the engine reads as no name (parser.cpp: keywords)."""

_SIGNS = {
    "OPEN": "(",
    "CLOSE": ")",
    "OPEN_SET": "{",
    "CLOSE_SET": "}",
    "SEMICOLON": ";",
    "COMMA": ",",
    "ASSIGN": "=",
    "VBAR": "|",
    "COLON": ":",
    "ARROW": "->",
    "__ANON_0": ":::",
    "__ANON_1": "=>",
    "THEN": "then",
    "ELSE": "else",
    "WITH": "with",
    "IN": "in",
    "WHERE": "where",
}
_OPERATORS = frozenset({"STAR", "SLASH", "PERCENT", "OP_EQUAL", "OP_CONCAT", "OP_AND"})
_EXPRESSION = frozenset({"LOCAL", "STRING", "NAME"})
"""Terminals that can only all stand where an expression begins."""


def expected(terminals: Iterable[str]) -> str:
    """What the grammar's terminals stand for, as "expected …", in the order of usefulness."""
    accepted = set(terminals)
    found: list[str] = []
    signs = [sign for name, sign in _SIGNS.items() if name in accepted]
    if accepted >= _EXPRESSION:
        # An expression begins with many of the signs; only what ends the place is worth naming.
        found.append("a statement" if "SEMICOLON" in accepted or "CLOSE_SET" in accepted else "an expression")
        signs = [sign for sign in signs if sign in (")", "}", ";")]
    elif "BETWEEN" in accepted:
        return "expected a comparison, as = or like"
    elif "TYPE_PREFIX" in accepted:
        return "expected a type"
    elif accepted & _OPERATORS:
        found.append("an operator")
        signs = [sign for sign in signs if sign not in ("(", "=", ":", "{")]
    elif "OLD_ARGUMENT" in accepted:
        found.append("an argument")
    elif "DATA" in accepted:
        return "expected a rule or a function"
    elif accepted & {"NAME", "TNAME"}:
        found.append("a name")
    elif "ON" in accepted:
        found += ["on", "or"]
    elif "LOCAL" in accepted:
        found.append("a local variable")
    elif "STRING" in accepted:
        found.append("a string")
    words = [*signs, *found]
    if not words:
        return "which the engine refuses"
    return "expected " + (words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}")
