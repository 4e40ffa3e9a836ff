"""Syntax trees of all kinds, for tests that write and read them."""

from hypothesis import strategies as st

from controlplane.rules.language import ast

NAMES = st.from_regex(r"[a-z]{1,3}_[A-Za-z0-9]{0,3}", fullmatch=True)
LOCALS = st.builds(ast.Variable, st.from_regex(r"\*[a-zA-Z_][a-z0-9_]{0,3}", fullmatch=True))
VARIABLES = LOCALS | st.builds(ast.Variable, st.from_regex(r"\$[a-zA-Z]{1,4}", fullmatch=True))
INTERPOLATED = st.builds(ast.Variable, st.from_regex(r"[*$][a-zA-Z][a-z0-9_]{0,3}", fullmatch=True))
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=6)
TYPES = st.sampled_from(["int", "list string", "`KeyValPair_PI`", "int * string", "( X )", "forall X , X"])
FUNCTION_TYPES = TYPES | st.sampled_from(["int -> string", "int * f string -> ?", "string * -> int"])
OPERATORS = st.sampled_from(
    ["%%", "||", "&&", "==", "!=", "<=", ">=", "<", ">", "++", "+", "-", "*", "/", "%", "^", "^^", "."]
) | st.sampled_from(["like", "not like", "like regex"])


def _parts(found):
    """Parts as reading gives them: no text beside text, and no letter that an escape would change."""
    parts = []
    for part in found:
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        elif isinstance(part, str) and parts and part[0] in "ntr0":
            parts.append(f" {part}")
        else:
            parts.append(part)
    return tuple(parts) or ("",)


PARTS = st.lists(TEXT | INTERPOLATED, max_size=4).map(_parts)
STRINGS = st.builds(ast.String, PARTS)
LEAVES = (
    VARIABLES
    | STRINGS
    | st.builds(ast.Path, PARTS.map(lambda parts: _parts(("/", *parts))))
    | st.builds(ast.Number, st.from_regex(r"[0-9]{1,3}(\.[0-9]{0,2})?", fullmatch=True))
    | st.builds(ast.Boolean, st.booleans())
    | st.builds(ast.Call, NAMES)
)


def _several(strategy, least=0):
    return st.lists(strategy, min_size=least, max_size=3).map(tuple)


def _blocks(expressions):
    statements = st.builds(ast.Statement, expressions, st.none() | expressions)
    return st.builds(ast.Block, _several(statements))


def _queries(operands):
    columns = st.builds(
        ast.Column, st.from_regex(r"[A-Z]{2,4}_ID", fullmatch=True), st.sampled_from(["", "count"])
    )
    plain = st.builds(
        ast.Comparison,
        st.sampled_from(["=", "<>", "<", ">", "<=", ">=", "in", "like", "not like"]),
        st.tuples(operands),
    )
    comparisons = plain | st.builds(ast.Comparison, st.just("between"), st.tuples(operands, operands))
    conditions = st.builds(ast.Condition, columns, st.tuples(comparisons)) | st.builds(
        ast.Condition, columns, st.tuples(comparisons, comparisons), st.sampled_from(["||", "&&"])
    )
    return st.builds(ast.Query, _several(columns, 1), _several(conditions))


def _larger(expressions):
    blocks = _blocks(expressions)
    choices = st.builds(ast.Choice, expressions, expressions, expressions)
    return (
        st.builds(ast.Call, NAMES, _several(expressions))
        | st.builds(ast.Application, expressions, _several(expressions))
        | _several(expressions).filter(lambda items: len(items) != 1).map(ast.Tuple)
        | st.builds(ast.Unary, st.sampled_from(["-", "!", "floor", "log"]), expressions)
        | st.builds(ast.Binary, OPERATORS, expressions, expressions)
        | st.builds(ast.Assignment, expressions, expressions)
        | st.builds(ast.Typed, expressions, TYPES)
        | blocks
        | st.builds(ast.If, expressions, blocks, st.none() | blocks | choices)
        | st.builds(ast.If, expressions, blocks, st.builds(ast.If, expressions, blocks))
        | choices
        | st.builds(ast.While, expressions, blocks)
        | st.builds(ast.For, expressions, expressions, expressions, blocks)
        | st.builds(ast.Foreach, LOCALS, st.none() | expressions, blocks)
        | st.builds(ast.Delay, expressions, blocks)
        | st.builds(ast.Remote, expressions, expressions, blocks)
        | st.builds(ast.Let, expressions, expressions, expressions)
        | st.builds(ast.Match, expressions, _several(st.builds(ast.Case, expressions, expressions), 1))
        | _queries(expressions)
    )


EXPRESSIONS = st.recursive(LEAVES, _larger, max_leaves=6)
BLOCKS = _blocks(EXPRESSIONS)
HEADS = st.builds(ast.Head, NAMES, _several(EXPRESSIONS), st.sampled_from(["", "int", "list int -> string"]))
METADATA = _several(st.builds(ast.Metadata, TEXT, TEXT, st.just("") | TEXT))
ALTERNATIVES = st.builds(ast.Alternative, st.just("on"), EXPRESSIONS, BLOCKS, METADATA) | st.builds(
    ast.Alternative, st.just("or"), st.none(), BLOCKS, METADATA
)
ONE_BODY = st.builds(ast.Alternative, st.just(""), st.none(), BLOCKS, METADATA)
CONSTRUCTORS = st.builds(ast.Constructor, NAMES, FUNCTION_TYPES)
OLD_ARGUMENTS = STRINGS | LOCALS
OLD_CALLS = st.builds(ast.Call, NAMES, _several(OLD_ARGUMENTS))
OLD_TERMS = VARIABLES | st.builds(ast.Number, st.sampled_from(["1", "2.5"]))


def _old_conditions(conditions):
    compared = st.builds(
        ast.Binary, st.sampled_from(["==", "!=", "like", "not like"]), conditions, OLD_ARGUMENTS
    )
    # What stands right of an operator is no call.
    rest = OLD_TERMS | st.builds(ast.Binary, st.sampled_from(["+", "<", "&&"]), OLD_TERMS, OLD_TERMS)
    return compared | st.builds(
        ast.Binary, st.sampled_from(["&&", "%%", "<", ">=", "+", "^"]), conditions, rest
    )


OLD_CONDITIONS = st.recursive(OLD_CALLS | OLD_TERMS, _old_conditions, max_leaves=4)
ITEMS = (
    st.builds(ast.Rule, HEADS, st.tuples(ONE_BODY) | _several(ALTERNATIVES, 1))
    | st.builds(ast.Function, HEADS, EXPRESSIONS, st.none() | EXPRESSIONS, METADATA)
    | st.builds(
        ast.OldRule,
        HEADS,
        st.none() | OLD_CONDITIONS,
        _several(OLD_CALLS, 1),
        _several(OLD_CALLS, 1),
        st.sampled_from(["", "12"]),
    )
    | st.builds(ast.DataType, st.builds(ast.Head, NAMES), _several(CONSTRUCTORS))
    | CONSTRUCTORS
    | st.builds(ast.Extern, NAMES, FUNCTION_TYPES)
    | st.builds(ast.Directive, st.just("include"), TEXT)
)
FILES = st.builds(ast.RuleFile, _several(ITEMS))
