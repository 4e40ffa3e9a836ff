"""Reading rule files: `parse` gives the syntax tree, or the first error with its place."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from re import ASCII, MULTILINE, compile

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from controlplane.rules.language import ast
from controlplane.rules.language.ast import Place
from controlplane.rules.language.build import RefusedError, build
from controlplane.rules.language.expected import KEYWORDS, expected

DEEPEST = 100
"""How deep expressions and blocks may nest. The engine's parser keeps its place in arrays of 1,024 entries,
takes several of them for each level, and never checks (parser.hpp: stackTopStack)."""

_NESTING = frozenset(
    {"group", "arguments", "block", "unary", "if_block", "if_expression", "let", "match", "typed"}
    | {"old_condition", "old_binary"}
)
"""The rules of the grammar that hold others of them; a chain of operators is flat to the engine."""

_WORD = compile(
    r"[*$]?[A-Za-z_~]\w*|\d+|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
    r"|:::|\+\+|&&|\|\||[<>=!]=|=>|->|%%|.",
    ASCII,
)
_CLIENT_LINES = compile(r"^[ \t]*(?:INPUT|OUTPUT|input|output)\b.*$", ASCII | MULTILINE)
_CLIENT_VARIABLE = compile(r"\*[A-Za-z_]\w*", ASCII)


class RuleSyntaxError(Exception):
    """A rule file that the engine would refuse: what is wrong, and where; line and column count from 1."""

    def __init__(self, text: str, place: Place) -> None:
        super().__init__(f"{place.line}:{place.column}: {text}")
        self.text, self.place = text, place


def parse(text: str) -> ast.RuleFile:
    """Read a rule base (`.re`). Raises `RuleSyntaxError`."""
    return _parse(text, "start")


def parse_client_rule(text: str) -> ast.RuleFile:
    """Read a client's rule (`.r`), whose lines INPUT and OUTPUT, or in small letters, are for irule.

    Raises `RuleSyntaxError`.
    """
    return _parse(_CLIENT_LINES.sub(lambda match: " " * len(match[0]), text), "client")


def client_variables(text: str) -> frozenset[str]:
    """The variables that irule gives to a client's rule and takes from it."""
    return frozenset(name for line in _CLIENT_LINES.findall(text) for name in _CLIENT_VARIABLE.findall(line))


def _parse(text: str, start: str) -> ast.RuleFile:
    try:
        tree = _parser().parse(text, start=start)
        _check_depth(tree)
        return build(tree)
    except RefusedError as error:
        raise RuleSyntaxError(error.text, error.place) from None
    except UnexpectedInput as error:
        raise _syntax_error(error, text) from None


@cache
def _parser() -> Lark:
    grammar = files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        parser="lalr",
        start=["start", "client"],
        lexer="contextual",
        g_regex_flags=ASCII,
        propagate_positions=True,
    )


def _check_depth(tree: Tree[Token]) -> None:
    """Refuse what nests deeper than the engine can hold."""
    waiting = [(tree, 0)]
    while waiting:
        part, depth = waiting.pop()
        depth += part.data in _NESTING
        if depth > DEEPEST:
            raise RefusedError(
                f"this is nested more than {DEEPEST} deep, which the engine does not survive:"
                " put parts of it into rules of their own",
                Place(part.meta.line, part.meta.column),
            )
        waiting += [(child, depth) for child in part.children if isinstance(child, Tree)]


def _syntax_error(error: UnexpectedInput, text: str) -> RuleSyntaxError:
    if isinstance(error, UnexpectedToken):
        accepted = error.accepts or error.expected
        if error.token.type == "$END":
            place = Place(text.count("\n") + 1, len(text) - text.rfind("\n"))
            return RuleSyntaxError(f"the file ends here, {expected(accepted)}", place)
        return _unexpected(text, error.token.start_pos or 0, accepted)
    if isinstance(error, UnexpectedCharacters):
        return _unexpected(text, error.pos_in_stream or 0, error.allowed or ())
    raise error


def _unexpected(text: str, position: int, accepted: Iterable[str]) -> RuleSyntaxError:
    found = _WORD.match(text, position)
    word = found[0] if found else ""
    place = Place(text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position))
    if word in ("'", '"', "`"):
        reason = f"the string that begins here has no closing {word}"
    elif word in KEYWORDS:
        reason = f"{word} is a word of the language and does not fit here, {expected(accepted)}"
    else:
        reason = f"{word} does not fit here, {expected(accepted)}"
    return RuleSyntaxError(reason, place)
