"""The parser of the rule language."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from trees import FILES

from controlplane.rules.language import RuleSyntaxError, ast, parse, parse_client_rule
from controlplane.rules.language.ast import Place
from controlplane.rules.language.write import write

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Trees are large: to make failing ones smaller, or to show them, takes minutes."""


def _body(text: str) -> ast.Expression:
    """The first statement of a rule."""
    rule = parse(f"r {{ {text} }}").items[0]
    assert isinstance(rule, ast.Rule)
    return rule.alternatives[0].body.statements[0].action


def _refused_at(reader: Callable[[str], object], text: str) -> Place | None:
    try:
        reader(text)
    except RuleSyntaxError as error:
        return error.place
    return None


def _shape(node: ast.Node) -> object:
    """A tree as nested tuples of operators and names."""
    match node:
        case ast.Binary(operator, left, right):
            return _shape(left), operator, _shape(right)
        case ast.Assignment(target, value):
            return _shape(target), "=", _shape(value)
        case ast.Unary(operator, operand):
            return operator, _shape(operand)
        case ast.Variable(name) | ast.Number(name) | ast.Call(name, ()):
            return name
        case ast.Call(name, arguments):
            return name, *map(_shape, arguments)
    return type(node).__name__


# A failing example is asserted by its text alone: to print its tree takes minutes. That the tree is written
# as the same text again follows.
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(FILES.map(lambda found: (write(found), found)).map(lambda pair: (pair[0], parse(pair[0]) == pair[1])))
def test_what_is_read_is_the_tree_that_was_written(read):
    text, same = read
    assert same, text


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text(alphabet="ab*$ (){};:|=+-/\"'`,.@#<>!%^&?\n1~_\\", max_size=60))
def test_any_text_is_read_or_refused(text):
    for reader in (parse, parse_client_rule):
        place = _refused_at(reader, text)
        if place:
            assert 1 <= place.line <= text.count("\n") + 1
            assert 1 <= place.column <= len(text) + 1


@pytest.mark.parametrize(
    "piece",
    ["a(", "{", '"', "(", "*x ++ ", "a|", "/a ", "#", "if (a) {} else ", "!", "`", "x: ", "a|b|c(", "f(a,"],
)
def test_long_text_takes_work_in_proportion(piece):
    def calls(count: int) -> int:
        """Of Python's functions and of C's: unlike seconds, they do not depend on the machine."""
        made = 0

        def count_one(frame, event, argument):
            nonlocal made
            made += 1

        sys.setprofile(count_one)
        try:
            _refused_at(parse, "r { " + piece * count)
        finally:
            sys.setprofile(None)
        return made

    calls(10)
    # Ten times the text; quadratic work would be a hundred times as much.
    assert calls(4_000) < 12 * calls(400)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("1 + 2 * 3", ("1", "+", ("2", "*", "3"))),
        ("1 - 2 - 3", (("1", "-", "2"), "-", "3")),
        ("*a = *b ++ 'c'", ("*a", "=", ("*b", "++", "String"))),
        ("*a && *b || *c", (("*a", "&&", "*b"), "||", "*c")),
        ("*a == 1 && ! *b", (("*a", "==", "1"), "&&", ("!", "*b"))),
        ("-*x ^ 2", (("-", "*x"), "^", "2")),
        ("log(*x) + 1", (("log", "*x"), "+", "1")),
        ('*a like regex "b"', ("*a", "like regex", "String")),
        ('*a not like "b"', ("*a", "not like", "String")),
        ("*row.COLL_NAME ++ *b", (("*row", ".", "COLL_NAME"), "++", "*b")),
        ("f(*a, *b) < 3", (("f", "*a", "*b"), "<", "3")),
        ("*a * *b", ("*a", "*", "*b")),
        ("*p = /zone/home", ("*p", "=", "Path")),
        ("*a / *b", ("*a", "/", "*b")),
    ],
)
def test_operators_bind_as_the_engine_binds_them(text, shape):
    assert _shape(_body(text)) == shape


def test_statements_need_no_semicolon_between_them():
    rule = parse("r { *x = 1 *y = 2 foo }").items[0]
    assert len(rule.alternatives[0].body.statements) == 3


def test_a_star_before_a_letter_begins_a_variable():
    with pytest.raises(RuleSyntaxError, match=r"1:13: \*b does not fit here"):
        parse("r { *x = (*a*b); }")


def test_strings_hold_variables_unless_they_are_escaped():
    assert _body(r'"a *b\*c $d\n"').parts == (
        "a ",
        ast.Variable("*b"),
        "*c ",
        ast.Variable("$d"),
        "\n",
    )
    assert _body("``a *b``").parts == ("a *b",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r { foo(1 }", "1:11: } does not fit here, expected ) or ,"),
        ("r { *x = ; }", "1:10: ; does not fit here, expected an expression"),
        ('r { foo("a); }', '1:9: the string that begins here has no closing "'),
        ("r { foo;", "1:9: the file ends here"),
        ("r {\n  if (*a) { b } else c\n}", "2:22: c does not fit here, expected {"),
        ("r { foreach (a in *b) { } }", "1:14: a does not fit here, expected a local variable"),
        ("r { *x = then; }", "1:10: then is a word of the language and does not fit here"),
        ("r { on (*a) { b } c }", "1:19: c does not fit here, expected }, on or or"),
        ("r { select A where B not like 'c' }", "1:22: in a query the engine does not read not like"),
        ("r { select A where B = 1 || = 2 && = 3 }", "1:33: && after ||"),
        ("r { foo;; }", "1:9: ; does not fit here"),
        ("x", "1:2: the file ends here"),
        (f"r {{ {'(' * 200}1{')' * 200} }}", "nested"),
        (f'r {{ "{"a" * 1022}" }}', "1:5: this string has 1,022 bytes"),
    ],
)
def test_errors_say_where_and_what(text, message):
    with pytest.raises(RuleSyntaxError) as caught:
        parse(text)
    assert message in str(caught.value)


def test_a_string_may_be_as_long_as_the_engine_reads():
    assert parse(f'r {{ "{"a" * 1021}" }}')


def test_a_clients_rule_has_lines_for_irule():
    found = parse_client_rule('{ writeLine("stdout", *a); }\nINPUT *a="x"\nOUTPUT ruleExecOut\n')
    assert [item.head.name for item in found.items] == ["rule"]
    for lines in ("INPUT null\nOUTPUT ruleExecOut", "input null\noutput ruleExecOut"):
        assert parse_client_rule(f"mine {{foo;}}\n{lines}").items


def test_the_corpus_of_correct_files_is_read():
    for file in sorted((Path(__file__).parent / "corpus").glob("clean-*.re")):
        assert parse(file.read_text()).items
