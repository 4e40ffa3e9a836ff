"""How the stand-in carries out the rule language: values, operators, control, failures, recoveries."""

import pytest

from sandbox.standins.irods import rules
from sandbox.standins.irods.errors import IrodsError
from sandbox.standins.irods.rulescope import Scope


def written(body: str, **variables: object) -> str:
    """What the actions of a client's rule write; further rules may stand before the first line."""
    scope = Scope(variables)  # type: ignore[arg-type]
    return rules.execute(rules.RuleBase(), f"@external rule {{ {body} }}", scope).stdout


def written_with(source: str, body: str) -> str:
    found = rules.execute(rules.RuleBase(tuple(rules.parse(source))), f"@external rule {{ {body} }}", Scope())
    return found.stdout


def code(source: str, body: str) -> int:
    with pytest.raises(IrodsError) as error:
        written_with(source, body)
    return error.value.code


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("1 + 2 * 3", "7"),
        ("7 / 2", "3.500000"),
        ("6 / 2", "3"),
        ("7 % 4", "3"),
        ("-3 + 1", "-2"),
        ("2 ^ 10", "1024"),
        ("1 - 2 - 3", "-4"),
        ('"a" ++ 1 ++ 2.5', "a12.500000"),
        ('"a" == "a" && 1 < 2', "true"),
        ("true || 1 / 0 == 1", "true"),
        ("!(1 == 2)", "true"),
        ('"/z/home/x.tif" like "*.tif"', "true"),
        ('"a.tif" like "*.t?f"', "false"),
        ('"a.tif" not like "*.png"', "true"),
        ('"abc" like regex "[a-c]+"', "true"),
        ('"abcd" not like regex "[a-c]+"', "true"),
        ("str(3) ++ type(3.0)", "3double"),
        ('int("12x") + double("1.5")', "13.500000"),
        ('int("3000000000")', "-1294967296"),
        ('bool("1")', "true"),
        ('size(split("/a//b/", "/"))', "2"),
        ('elem(list("x", "y"), 1)', "y"),
        ('hd(tl(list("x", "y")))', "y"),
        ('substr("abcdef", 1, 3)', "bc"),
        ('triml("a/b/c", "/") ++ trimr("a/b/c", "/")', "b/ca/b"),
        ('strlen("häh")', "4"),
        ("max(1, 2.5)", "2.500000"),
        ('timestrf(datetimef("2026-11-23", "%Y-%m-%d"), "%d.%m.%Y")', "23.11.2026"),
        ("list(1, 2)", "[1,2]"),
        (r"'it\'s \*x \\n'", "it's *x \\n"),
    ],
)
def test_expressions(expression, shown):
    assert written(f'writeLine("stdout", {expression});') == f"{shown}\n"


def test_strings_take_up_variables():
    assert written('*a = 1; writeLine("stdout", "x*a.y $userNameClient 3*4");', userNameClient="ada") == (
        "x1.y ada 3*4\n"
    )


def test_control_structures():
    body = """
        for (*i = 0; *i < 10; *i = *i + 1) { if (*i == 2) { break; } else { writeString("stdout", *i); } }
        *n = 3;
        while (*n > 0) { *n = *n - 1; }
        foreach (*x in list("a", "b")) { writeString("stdout", *x); }
        *l = list("c");
        foreach (*l) { writeString("stdout", *l); }
        if (*n == 1) { } else if (*n == 0) { writeString("stdout", "!"); }
        *kv.one = "1"; *kv."t wo" = "2";
        foreach (*k in *kv) { writeString("stdout", *k ++ "=" ++ *kv."*k"); }
        writeLine("stdout", size(*l));
    """
    assert written(body) == "01abc!one=1t wo=21\n"


def test_parameters_go_both_ways():
    assert written_with("f(*a, *b) { *b = *a ++ *a; }", 'f("x", *y); writeLine("stdout", *y);') == "xx\n"


def test_functions():
    source = "twice(*x) = *x ++ *x\nclass(*x) = if *x > 9 then 'big' else 'small'"
    assert written_with(source, 'writeLine("stdout", twice(class(10)) ++ class(1));') == "bigbigsmall\n"


def test_the_next_rule_of_a_name_is_tried_when_one_fails_or_does_not_apply():
    source = """
        f(*x) { on (*x == "other") { writeLine("stdout", "wrong"); } }
        f(*x) { writeLine("stdout", "first"); fail(-7); }
        f(*x) { writeLine("stdout", "second"); }
        f(*x) { writeLine("stdout", "third"); }
        f(*x, *y) { writeLine("stdout", "two"); }
    """
    assert written_with(source, 'f("x");') == "first\nsecond\n"


def test_the_last_failure_is_the_rules():
    assert code("f { fail(-7); }\nf { fail(-8); }", "f;") == -8
    assert code("f { on (1 == 2) { nop; } }", "f;") == -1101000
    assert code("f(*x) { nop; }", "f;") == -1097000


def test_cut_tries_no_other():
    assert code("f { cut; fail(-7); }\nf { nop; }", "f;") == -1089000


def test_recoveries_run_backwards():
    source = """
        undo(*x) { writeLine("stdout", "undo *x"); }
        f { writeLine("stdout", "1") ::: undo("1"); writeLine("stdout", "2") ::: undo("2"); fail(-3); }
    """
    assert written_with(source, "*c = errorcode(f); writeLine('stdout', *c);") == (
        "1\n2\nundo 2\nundo 1\n-3\n"
    )


def test_errors_can_be_asked_for():
    body = """
        *a = errorcode(fail(-1));
        *b = errormsg(failmsg(-2, "no luck"), *text);
        *c = errorcode({ *z = 1; fail(-3); });
        *d = errorcode(*missing.key);
        writeLine("stdout", "*a *b *text *c *d");
    """
    assert written(body) == "-1 -2 no luck -3 -1211000\n"


def test_succeed_ends_a_rule():
    assert written_with("f { succeed; fail(-1); }", "f; writeLine('stdout', 'on');") == "on\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("*x = *y;", -1211000),
        ("*x = $noSuchThing;", -1213000),
        ("*x = 1 / 0;", -1206000),
        ('*x = "1" + 1;', -1230000),
        ('*x = "1" == 1;', -1230000),
        ("if (1) { nop; }", -1230000),
        ("*kv.a = 'b'; *x = *kv.c;", -313000),
        ("fail;", -1091000),
        ("msiNoSuchThing;", -1097000),
        ('msiSplitPath("/a/b");', -323000),
        ('*x = substr("ab", 1, 5);', -1205000),
        ("foreach (*x in select NO_SUCH_COLUMN) { nop; }", -1232000),
        ("foreach (*x in select DATA_ID where DATA_ID = '1' and DATA_ID = '2') { nop; }", -1232000),
        ('msiGetValByKey("text", "a", *v);', -323000),
    ],
)
def test_mistakes_have_the_engines_own_codes(body, expected):
    assert code("", body) == expected


def test_key_value_microservices():
    body = """
        msiString2KeyValPair("a=1%b=2", *kv);
        msiAddKeyVal(*kv, "c", "3");
        msiGetValByKey(*kv, "b", *v);
        msiSplitPath("/z/home/x.tif", *coll, *name);
        msi_json_parse('{"a": {"b": ["x", 5]}}', 30, *handle);
        msi_json_value(*handle, "/a/b/1", *five);
        writeLine("stdout", "*kv *v *coll *name *five");
    """
    assert written(body) == "KeyValue[3]:a=1;b=2;c=3; 2 /z/home x.tif 5\n"
