"""The lint of rule bases in Python: each check on a text with a seeded mistake, and on one without."""

from pathlib import Path
from textwrap import dedent

import pytest
from typer.testing import CliRunner

from controlplane.cli.main import app
from controlplane.rules.lint import lint_file, lint_rule_bases
from controlplane.rules.manifest import Parameter, RuleBase

PUT = "pep_api_data_obj_put_pre"
HEAD = f"def {PUT}(rule_args, callback, rei):\n"


def found(text):
    return [
        (finding.place.line, finding.place.column, finding.code)
        for finding in lint_file("one.py", dedent(text))
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(:\n", (1, 7, "R001")),
        ("def f():\n  x = 1\n y = 2\n", (3, 7, "R001")),
        ("A = 'a\0b'\n", (1, 1, "R001")),
        (f"def {PUT}(rule_args, callback):\n    pass\n", (1, 1, "R202")),
        (f"def {PUT}(*arguments):\n    pass\n", (1, 1, "R202")),
        (f"def {PUT}(callback, rule_args, rei):\n    pass\n", (1, 1, "R202")),
        (f"def {PUT}(rule_args, callback, rei=None):\n    pass\n", (1, 1, "R202")),
        (f"async def {PUT}(rule_args, callback, rei):\n    pass\n", (1, 1, "R202")),
        ("def pep_api_data_obj_putt_pre(rule_args, callback, rei):\n    pass\n", (1, 1, "R201")),
        ("def pep_api_data_obj_put_before(rule_args, callback, rei):\n    pass\n", (1, 1, "R206")),
        (f"{HEAD}    callback.msiGetSystemTyme('', '')\n", (2, 5, "R101")),
        (f"{HEAD}    callback.msiGetSystemTime('')\n", (2, 5, "R102")),
        (f"{HEAD}    callback.msiGetSystemTime('', kind='')\n", (2, 5, "R102")),
        ("import requests\n", (1, 1, "R601")),
        (f"{HEAD}    from genquery import Query\n", (2, 5, "R601")),
        ("from . import other\n", (1, 1, "R601")),
        ("A = open('/etc/hostname').read()\n", (1, 5, "R602")),
        ("print('imported')\n", (1, 1, "R602")),
        ("import os\nif os.sep == '/':\n    A = 1\n", (2, 1, "R602")),
        (f"{HEAD}    pass\n\n\n{HEAD}    return -1\n", (5, 1, "R401")),
        ("A = 1  # lint: ignore R601: nothing is there\n", (1, 8, "R901")),
    ],
)
def test_a_mistake_is_found_where_it_is(text, expected):
    assert found(text) == [expected]


def test_what_is_right_has_no_findings():
    text = '''
        """What it does."""

        import re
        from os import path

        import irods_errors
        import irods_types

        WORDS = frozenset(("a", "b"))
        PATTERN = re.compile("x")
        LONG: int = 3 * 60
        PARTS = "a b".split()


        class Helper:
            """A class."""


        def helper(callback, words):
            callback.msiGetSystemTime(*words)
            callback.writeLine("serverLog", path.sep)
            return irods_errors.RULE_ENGINE_CONTINUE, irods_types


        def acPreConnect(_rule_args, callback, _rei):
            return helper(callback, ["", ""])


        def pep_api_data_obj_put_post(rule_args, callback, rei):
            return None
        '''
    assert found(text) == []


def test_a_comment_hides_what_is_meant():
    assert found("import requests  # lint: ignore R601: our servers have it\n") == []


def rule_base(name, text, points=(), parameters=(), engine="python"):
    suffix = ".py" if engine == "python" else ".re"
    return RuleBase(
        name=name,
        version="1.0.0",
        title=name,
        owner="ops",
        engine=engine,
        servers="all",
        after=(),
        before=(),
        policy_enforcement_points=tuple(points),
        parameters={key: Parameter(key, "string", default, key) for key, default in parameters},
        file=Path(f"rules/{name}/{name}{suffix}"),
        text=text,
        folder=Path(f"rules/{name}"),
        jobs={},
    )


def lint(*rule_bases, chain=None):
    by_name = {one.name: one for one in rule_bases}
    shown = {name: str(one.file) for name, one in by_name.items()}
    chains = {"icat": [by_name[name] for name in (by_name if chain is None else chain)]}
    return [
        (finding.file.rpartition("/")[2], finding.place.line, finding.code)
        for finding in lint_rule_bases(by_name, chains, shown)
    ]


COMMON = rule_base(
    "common", "bicParameter(*BASE, *NAME, *DEFAULT, *VALUE) {\n  *VALUE = *DEFAULT ++ *BASE ++ *NAME;\n}\n",
    engine="irods_rule_language",
)  # fmt: skip


def test_points_and_manifests_agree():
    one = rule_base("one", f"{HEAD}    pass\n")
    assert lint(one) == [("one.py", 1, "R205")]
    other = rule_base("one", f"{HEAD}    pass\n", [PUT, "pep_api_data_obj_open_pre"])
    assert lint(other) == [("manifest.yml", 1, "R204")]


def test_what_is_called_in_the_rule_language_must_be_on_the_same_server():
    one = rule_base(
        "one", "def f(callback):\n    callback.bicParameter('one', 'a', '1', '')\n", [], [("a", "1")]
    )
    assert lint(one, COMMON) == []
    assert lint(one, COMMON, chain=["one"]) == [("one.py", 2, "R104")]
    assert lint(one) == [("one.py", 2, "R101")]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("callback.bicParameter('one', 'a', '1', '')", []),
        ("read(callback, 'a', '1')", []),
        ("read(callback, 'a', '2')", [("one.py", 4, "R503")]),
        ("read(callback, 'b', '1')", [("manifest.yml", 1, "R502"), ("one.py", 4, "R501")]),
        ("callback.bicParameter('two', 'a', '1', '')", [("manifest.yml", 1, "R502"), ("one.py", 4, "R501")]),
        ("1", [("manifest.yml", 1, "R502")]),
    ],
)
def test_parameters_are_those_of_the_manifest(call, expected):
    text = (
        "def read(callback, name, default):\n"
        "    return callback.bicParameter('one', name, default, '')['arguments'][3]\n"
        f"def f(callback):\n    return {call}\n"
    )
    assert lint(rule_base("one", text, [], [("a", "1")]), COMMON) == expected


def test_a_syntax_error_hides_nothing_of_others():
    assert lint(rule_base("one", "def f(:\n"), rule_base("two", "import requests\n")) == [
        ("one.py", 1, "R001"),
        ("two.py", 1, "R601"),
    ]


def test_the_command_reads_single_files(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import requests\n")
    result = CliRunner().invoke(app, ["rules", "lint", str(wrong)])
    assert result.exit_code == 2
    assert f"{wrong}:1:1: error R601: servers need not have requests" in result.stdout
