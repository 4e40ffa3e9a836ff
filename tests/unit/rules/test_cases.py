"""`cases.yml`: how it is read, what is wrong with it, and how a step is judged and named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.model import InventoryError
from controlplane.model.cases_file import StepEntry
from controlplane.rules.cases import code_of, load_cases
from controlplane.rules.jobs import Queued, differences, job_of
from controlplane.rules.manifest import RuleBase, load_rule_bases
from controlplane.rules.run_cases import describe

RULES = Path(__file__).parents[3] / "rules"

Write = Callable[[str], RuleBase]

CASES = """\
cases:
  allowed:
    title: Data go in
    gate: true
    steps:
      - {put: image.tif}
  refused:
    title: Data stay
    gate: true
    steps:
      - {put: raw/image.tif}
      - {who: other, remove: raw/image.tif, expect: CAT_NO_ACCESS_PERMISSION, within: 5s}
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A rule base with this text in its `cases.yml`."""

    def make(text: str) -> RuleBase:
        (tmp_path / "cases.yml").write_text(text, "utf-8")
        return replace(load_rule_bases(RULES)["common"], folder=tmp_path)

    return make


def problems(rule_base: RuleBase) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        load_cases(rule_base)
    return [str(problem).removeprefix(f"{rule_base.folder}/") for problem in caught.value.problems]


def test_cases_are_read_with_their_steps(write: Write) -> None:
    found = load_cases(write(CASES))
    assert {name: (case.gate, case.refuses) for name, case in found.items()} == {
        "allowed": (True, False),
        "refused": (True, True),
    }
    step = found["refused"].steps[1]
    assert (step.who, step.operation, step.within) == ("other", "remove", 5)
    assert describe(step) == "other remove raw/image.tif"


def test_all_that_is_wrong_is_told_with_its_place(write: Write) -> None:
    text = (
        CASES
        + """\
  wrong:
    title: Wrong
    steps:
      - {put: /absolute}
      - {get: a, put: a}
      - {get: a, expect: CAT_NO_ACCES_PERMISSION}
      - {get: a, expect: refused}
      - {job: bicChecksumsVerify}
      - {fetch: a}
"""
    )
    found = problems(write(text))
    assert [line.partition(" ")[0] for line in found] == [
        f"cases.yml:{line}:" for line in ("16:15", "17:9", "18:26", "19:9", "20:9", "21:10")
    ]
    assert "'/absolute' is not a path below the case's collection" in found[0]
    assert "a step has exactly one operation, one of: connect, mkdir" in found[1]
    assert (
        "there is no iRODS error 'CAT_NO_ACCES_PERMISSION'; did you mean 'CAT_NO_ACCESS_PERMISSION'?"
        in found[2]
    )
    assert "'refused' is for 'connect'" in found[3]
    assert "'job' is for administrators; add 'who: admin'" in found[4]
    assert "unknown key 'fetch'" in found[5]


@pytest.mark.parametrize("missing", ["allowed", "refused"])
def test_a_gate_needs_what_is_allowed_and_what_is_refused(write: Write, missing: str) -> None:
    text = CASES.replace(f"  {missing}:\n    title: Data", f"  {missing}:\n    title: No gate for data")
    part = text.index(f"  {missing}:")
    text = text[:part] + text[part:].replace("    gate: true\n", "", 1)
    (problem,) = problems(write(text))
    assert "needs a gate case that is allowed throughout and one that is refused" in problem


@pytest.mark.parametrize("name", sorted(load_rule_bases(RULES)))
def test_the_shipped_rule_bases_have_cases_and_gates(name: str) -> None:
    cases = load_cases(load_rule_bases(RULES)[name])
    gates = [case for case in cases.values() if case.gate]
    assert {case.refuses for case in gates} == {True, False}
    # Gates run on zones in production: there nobody becomes a curator, and nothing runs that takes long.
    for case in gates:
        assert not [step for step in case.steps if step.who == "curator" or step.job or step.within]


def test_errors_have_the_codes_of_the_client_library() -> None:
    assert code_of("CAT_NO_ACCESS_PERMISSION") == -818000
    assert code_of("iRODSException") is None
    assert code_of("nothing") is None


def test_a_step_says_what_it_does() -> None:
    step = StepEntry.model_validate({"rename": {"path": "a", "to": "b"}})
    assert describe(step) == "user rename a"


@pytest.mark.parametrize(
    ("rule", "job"),
    [
        ("bicChecksumsVerify", "bicChecksumsVerify"),
        (" { bicChecksumsVerify; } ", "bicChecksumsVerify"),
        ("bicChecksumsVerify();\n", "bicChecksumsVerify"),
        ("bicReplicationMake(*PATH);", None),
        ("msiGetIcatTime(*A, 'unix'); bicChecksumsVerify;", None),
        ("nop;", None),
    ],
)
def test_a_job_is_a_rule_that_is_nothing_but_its_name(rule: str, job: str | None) -> None:
    assert job_of(rule) == job


def test_of_two_entries_of_a_job_one_stays() -> None:
    wanted = {"bicOne": 300, "bicTwo": 60}
    queued = [Queued("bicOne", "2", 300), Queued("bicOne", "1", 300), Queued("bicOld", "3", 60)]
    gone, missing = differences(wanted, queued)
    assert [entry.number for entry in gone] == ["3", "2"]
    assert missing == ("bicTwo",)
