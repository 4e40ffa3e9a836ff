"""The lint of rule bases: each check on files with seeded mistakes, and on what iRODS ships."""

import json
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controlplane.cli.main import app
from controlplane.rules.lint import CODES, lint_file, lint_rule_bases
from controlplane.rules.manifest import Parameter, RuleBase

CORPUS = Path(__file__).parent / "corpus"
CLONE = Path(__file__).parents[3]
SHIPPED = "/etc/irods/core.re", "/var/lib/irods/packaging/core.re.template"
FOLDER = "BIC_IRODS_RULES"
"""Names a folder with rule files of iRODS, where it is not installed."""


def _seeded(text):
    """The codes that the comments of a file name, by line."""
    return sorted(
        (number, code)
        for number, line in enumerate(text.split("\n"), 1)
        if (match := re.search(r"# finds (.*)$", line))
        for code in match[1].split()
    )


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*.re")), ids=lambda file: file.stem)
def test_exactly_the_seeded_mistakes_are_found(file):
    text = file.read_text()
    seeded = _seeded(text)
    assert bool(seeded) is not file.name.startswith("clean-")
    found = lint_file(file.name, text)
    if file.name == "suppressed.re":
        # What is wrong with a comment cannot be marked in the comment.
        found = [finding for finding in found if finding.code != "R901"]
    assert sorted((finding.place.line, finding.code) for finding in found) == seeded


def test_comments_that_hide_nothing_are_found():
    found = lint_file("suppressed.re", (CORPUS / "suppressed.re").read_text())
    wrong = [(finding.place.line, finding.text.split(":")[0]) for finding in found if finding.code == "R901"]
    assert wrong == [
        (6, "say what is hidden and why"),
        (8, "there is no code R999; bic rules lint knows R001 to R901"),
        (10, "there is no R101 here"),
    ]


def _shipped():
    folder = os.environ.get(FOLDER)
    if folder:
        return sorted(Path(folder).rglob("*.re*"))
    return [Path(file) for file in SHIPPED if Path(file).is_file()]


def test_what_irods_ships_has_no_findings():
    files = _shipped()
    if not files:
        pytest.skip(f"iRODS is not installed, and {FOLDER} names no folder with its rule files")
    for file in files:
        assert lint_file(str(file), file.read_text()) == []


def _rule_base(name, text, points=(), parameters=(), jobs=()):
    return RuleBase(
        name=name,
        version="1.0.0",
        title=name,
        owner="ops",
        engine="irods_rule_language",
        servers="all",
        after=(),
        before=(),
        policy_enforcement_points=tuple(points),
        parameters={key: Parameter(key, "string", default, key) for key, default in parameters},
        file=Path(f"rules/{name}/{name}.re"),
        text=text,
        folder=Path(f"rules/{name}"),
        jobs=dict.fromkeys(jobs, 60),
    )


def _lint(*rule_bases, chain=None):
    by_name = {rule_base.name: rule_base for rule_base in rule_bases}
    chains = {"one": list(rule_bases if chain is None else [by_name[name] for name in chain])}
    shown = {name: str(rule_base.file) for name, rule_base in by_name.items()}
    return [
        (finding.file.rpartition("/")[2], finding.place.line, finding.code)
        for finding in lint_rule_bases(by_name, chains, shown)
    ]


PUT = "pep_api_data_obj_put_pre"
PUT_HEAD = f"{PUT}(*INSTANCE, *COMM, *INPUT, *BUFFER, *PORTAL)"
END = _rule_base("end", f"{PUT_HEAD} {{ }}", [PUT])


def _refusing(body, name="first"):
    return _rule_base(name, f"{PUT_HEAD} {{\n  {body}\n}}", [PUT])


def test_a_refusal_by_a_condition_and_a_code_leaves_the_rest_to_others():
    assert _lint(_refusing("on (*INPUT.obj_path == '/a') { -818000; }"), END) == []


def test_a_rule_without_a_condition_hides_those_of_later_rule_bases():
    assert _lint(_refusing("nop;"), END) == [("end.re", 1, "R401")]


def test_a_rule_with_a_condition_that_consents_hides_them_when_it_holds():
    consents = _refusing("on (*INPUT.obj_path == '/a') { writeLine('serverLog', 'yes'); }")
    refuses = _refusing("on (*INPUT.obj_path == '/b') { -818000; }", name="second")
    assert _lint(consents, refuses, END) == [("first.re", 2, "R404")]
    assert _lint(refuses, consents, END) == [], "the last rule does nothing that could be missed"


def test_what_a_rule_base_does_to_its_own_rules_is_its_affair():
    both = (
        "on (*INPUT.obj_path == '/a') { writeLine('serverLog', 'yes'); } on (*INPUT.obj_path == '/b') { -1; }"
    )
    assert _lint(_refusing(both), END) == []


def test_a_rule_that_fails_hands_the_decision_to_the_next():
    assert _lint(_refusing("on (*INPUT.obj_path == '/a') { fail(-1); }"), END) == [("first.re", 2, "R402")]
    inner = "on (true) { if (*INPUT.obj_path == '/a') { failmsg(-1, 'no'); } -1; }"
    assert _lint(_refusing(inner), END) == [("first.re", 2, "R402")]


def test_a_rule_fails_through_those_that_it_calls():
    body = "on (*INPUT.obj_path == '/a') { bicOuter(*INPUT); -1; }"
    help_ = "bicOuter(*I) { bicInner(*I); }\nbicInner(*I) { if (*I.obj_path == '/a') { fail(-1); } }"
    helper = _rule_base("help", help_)
    assert _lint(_refusing(body), helper, END) == [("first.re", 2, "R402")]
    asked = "on (errorcode(bicOuter(*INPUT)) != 0) { -1; }"
    assert _lint(_refusing(asked), helper, END) == []


def test_a_rule_that_fails_after_cut_decides():
    assert _lint(_refusing("on (*INPUT.obj_path == '/a') { cut; fail(-1); }"), END) == []


def test_core_decides_after_the_last_of_ours():
    text = "acSetNumThreads { on ($userNameClient == 'a') { fail(-1); } }"
    assert _lint(_rule_base("one", text, ["acSetNumThreads"])) == [("one.re", 1, "R402")]


def test_a_point_needs_a_rule_without_a_condition():
    assert _lint(_refusing("on (*INPUT.obj_path == '/a') { -818000; }")) == [("first.re", 2, "R403")]
    text = "acSetNumThreads { on ($userNameClient == 'a') { -1; } }"
    assert _lint(_rule_base("one", text, ["acSetNumThreads"])) == [], "core.re has one without"


def test_rule_bases_that_are_on_no_server_together_do_not_matter_to_each_other():
    assert _lint(_refusing("nop;"), END, chain=["end"]) == []


def test_points_and_manifests_agree():
    found = _lint(_rule_base("one", f"{PUT_HEAD} {{ }}", ["pep_api_data_obj_get_pre"]))
    assert found == [("manifest.yml", 1, "R204"), ("one.re", 1, "R205")]


def test_jobs_of_the_manifest_are_defined():
    text = "bicJob { nop; }\nbicOther(*A) { writeLine('serverLog', *A); }"
    assert _lint(_rule_base("one", text, jobs=["bicJob"])) == []
    found = _lint(_rule_base("one", text, jobs=["bicJbo", "bicOther"]))
    assert found == [("manifest.yml", 1, "R105"), ("manifest.yml", 1, "R105")]


def test_names_of_ours_begin_with_bic():
    assert _lint(_rule_base("one", "helper(*A) { writeLine('serverLog', *A); }")) == [("one.re", 1, "R103")]


def test_what_is_called_must_be_on_the_same_server():
    one = _rule_base("one", "bicOne(*A) {\n  bicTwo(*A);\n}")
    two = _rule_base("two", "bicTwo(*A) { writeLine('serverLog', *A); }")
    assert _lint(one, two) == []
    assert _lint(one, two, chain=["one"]) == [("one.re", 2, "R104")]


READER = _rule_base("common", "bicParameter(*B, *N, *D, *V) { *V = *D; writeLine('serverLog', '*B *N'); }")


@pytest.mark.parametrize(
    ("call", "codes"),
    [
        ("bicParameter('one', 'limit', '5', *V);", []),
        ("bicParameter('one', 'limt', '5', *V);", ["R501", "R502"]),
        ("bicParameter('two', 'limit', '5', *V);", ["R501", "R502"]),
        ("bicParameter('one', 'limit', '6', *V);", ["R503"]),
        ("*V = 1;", ["R502"]),
    ],
)
def test_parameters_are_those_of_the_manifest(call, codes):
    text = f"bicOne {{ {call} writeLine('serverLog', *V); }}"
    one = _rule_base("one", text, parameters=[("limit", "5")])
    assert sorted(code for _, _, code in _lint(one, READER)) == codes


def test_what_an_unreadable_file_defines_is_not_missed_elsewhere():
    one = _rule_base("one", "bicOne(*A) { bicTwo(*A); }")
    two = _rule_base("two", "bicTwo(*A) {")
    assert _lint(one, two) == [("two.re", 1, "R001")]


def test_a_clients_rule_gets_variables_from_irule():
    text = "mine {\n  *OUT = *IN ++ *OTHER;\n}\nINPUT *IN='x'\nOUTPUT *OUT, ruleExecOut\n"
    assert [(finding.place, finding.code) for finding in lint_file("mine.r", text)] == [((2, 17), "R301")]


def test_what_a_text_for_eval_names_may_be_set_there():
    text = 'mine { *A = "check"; eval("*A(\\*RES)"); writeLine("stdout", *RES); }'
    assert lint_file("mine.re", text) == []
    without = text.replace("eval", "writeString").replace('("*A', '("stdout", "*A')
    assert [finding.code for finding in lint_file("mine.re", without)] == ["R301"]


def test_functions_that_stand_for_statements_are_known():
    text = (
        'mine { assign(*A, 3); writeLine("stdout", *A); }\nold(*A)||whileExec(*A<3, assign(*A,*A+1), nop)|nop'
    )
    assert [finding.code for finding in lint_file("mine.re", text)] == ["R002"]


def test_names_of_errors_are_numbers_and_a_rule_does_not_hide_a_microservice():
    text = "bicOne { *A = 'b'; msiSleep('1', '0'); if (*A == 'c') { fail(SYS_NOT_SUPPORTED); } }"
    text += "\nmsiSleep { nop; }"
    assert lint_file("one.re", text) == []


def test_every_code_is_seeded_somewhere():
    files = [Path(__file__), Path(__file__).with_name("test_lint_python.py"), *CORPUS.glob("*.re")]
    here = "".join(file.read_text() for file in files)
    assert [code for code in CODES if code not in here] == []


def test_the_shipped_rule_bases_are_clean():
    result = CliRunner().invoke(
        app, ["-i", str(CLONE / "inventories/sandbox"), "rules", "lint", "--strict", "--json"]
    )
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])


def test_the_command_shows_the_line_and_answers_by_its_exit_code(tmp_path):
    wrong, odd = tmp_path / "wrong.re", tmp_path / "odd.re"
    wrong.write_text("bicOne(*A) {\n\twriteLne('serverLog', *A);\n}\n")
    odd.write_text("bicOne(*A) { nop; }\n")
    run = CliRunner()
    result = run.invoke(app, ["rules", "lint", str(wrong)])
    assert result.exit_code == 2
    assert result.stdout.splitlines() == [
        f"{wrong}:2:2: error R101: there is no writeLne; did you mean writeLine?",
        "     writeLne('serverLog', *A);",
        "     ^",
        "1 error, 0 warnings in 1 rule file",
    ]
    result = run.invoke(app, ["rules", "lint", str(odd)])
    assert (result.exit_code, "warning R303" in result.stdout) == (0, True)
    assert run.invoke(app, ["rules", "lint", "--strict", str(odd)]).exit_code == 2
    result = run.invoke(app, ["rules", "lint", "--json", str(odd)])
    assert [finding["code"] for finding in json.loads(result.stdout)] == ["R303"]


def test_a_file_that_is_not_there_is_named(tmp_path):
    result = CliRunner().invoke(app, ["rules", "lint", str(tmp_path / "none.re")])
    assert "none.re: cannot be read" in str(result.exception)


def test_the_documentation_has_all_codes():
    page = (CLONE / "docs/rules-lint.md").read_text()
    written = re.findall(r"^\| (R\d+) \| (\w+) \| (.*)\. \| (.*) \|$", page, re.MULTILINE)
    assert written == [(code, entry.severity, entry.title, entry.why) for code, entry in CODES.items()]
