"""The rule engine of the iRODS stand-in: what rule bases say, and what happens when they are broken."""

from pathlib import Path

import pytest

from sandbox.standins.irods import rules
from sandbox.standins.irods.errors import IrodsError
from sandbox.standins.irods.rulelang import RuleSyntaxError, parse

UPSTREAM_LIKE = """
# A comment with { and }.
acPreConnect(*OUT) { *OUT="CS_NEG_REQUIRE"; }
acCreateUser {
  acPreProcForCreateUser;
  acCreateUserF1; }
acCreateUserF1 {
 ON($otherUserName == "anonymous") {
  msiCreateUser  :::  msiRollback;
  msiCommit;  }  }
acDelete(*parColl,*childColl) {
  *status=errormsg(msiDeleteCollByAdmin(*parColl,*childColl),*msg);
  if(*status!=0 && *status!=-808000) {
    failmsg(*status,*msg) }}
withAlternatives(*var) {
    on(*var == "status") {
        succeed;
    }
    or {
        failmsg(-1, "Update $*var not allowed!");
    }
}
loop { foreach (*x in list("a", 'b')) { writeLine("serverLog", "x" ++ *x); }
       for (*i=0;*i<3;*i=*i+1) { f(*i); } }
twice(*x) = *x ++ *x
acSetRescSchemeForCreate {msiSetDefaultResc("labResc","null"); }
acRescQuotaPolicy {msiSetRescQuotaPolicy("on"); }
"""


def base(tmp_path: Path, **sources: str) -> rules.RuleBase:
    for name, source in sources.items():
        (tmp_path / f"{name}.re").write_text(source)
    loaded, problems = rules.load(tmp_path, list(sources))
    assert problems == []
    return loaded


def test_policies_are_read(tmp_path):
    loaded = base(tmp_path, core=UPSTREAM_LIKE)
    assert loaded.negotiation == "CS_NEG_REQUIRE"
    assert loaded.default_resource == "labResc"
    assert loaded.enforces_quotas


def test_first_rule_base_in_order_wins(tmp_path):
    own = 'acPreConnect(*OUT) { *OUT="CS_NEG_DONT_CARE"; }'
    assert base(tmp_path, policy=own, core=UPSTREAM_LIKE).negotiation == "CS_NEG_DONT_CARE"


def test_rules_may_call_each_other(tmp_path):
    source = 'acPreConnect(*OUT) { demand(*OUT); }\ndemand(*WHAT) { *WHAT = "CS_NEG_" ++ "REQUIRE"; }'
    assert base(tmp_path, core=source).negotiation == "CS_NEG_REQUIRE"


def test_conditions_decide(tmp_path):
    either = 'if (*x == 1) { *OUT = "CS_NEG_REQUIRE"; } else { *OUT = "CS_NEG_REFUSE"; }'
    source = f"acPreConnect(*OUT) {{ *x = 1; {either} }}"
    assert base(tmp_path, core=source).negotiation == "CS_NEG_REQUIRE"


def test_nothing_said_means_the_default_policy(tmp_path):
    loaded = base(tmp_path, core="")
    assert (loaded.negotiation, loaded.default_resource, loaded.enforces_quotas) == (
        "CS_NEG_DONT_CARE",
        "demoResc",
        False,
    )


@pytest.mark.parametrize(
    "broken", ["acX {", "acX }", 'acX { "unterminated; }', "acX { a(; }", "acX { a b; }", "}"]
)
def test_one_broken_rule_base_drops_all_rules(tmp_path, broken):
    (tmp_path / "core.re").write_text(UPSTREAM_LIKE)
    (tmp_path / "own.re").write_text(broken)
    loaded, problems = rules.load(tmp_path, ["core", "own"])
    assert len(problems) == 1
    assert "own.re" in problems[0]
    assert "parseRuleSet: error parsing rule" in problems[0]
    assert loaded.negotiation == "CS_NEG_DONT_CARE"


def test_missing_rule_base_is_a_problem(tmp_path):
    loaded, problems = rules.load(tmp_path, ["core"])
    assert loaded.rules == ()
    assert "core.re" in problems[0]


def test_place_of_a_syntax_error():
    with pytest.raises(RuleSyntaxError) as error:
        parse("good { a; }\nbad { b( }\n")
    assert "line 1, col 10\nbad { b( }\n          ^" in str(error.value)


def test_client_rule_writes_lines():
    effects = rules.execute(rules.RuleBase(), "@external rule { writeLine('stdout', 'a' ++ \"b\"); }")
    assert effects.stdout == "ab\n"


def test_client_rule_may_not_do_what_is_unknown():
    with pytest.raises(IrodsError) as error:
        rules.execute(rules.RuleBase(), '@external rule { msiExecCmd("x", "", "", "", "", *out); }')
    assert error.value.code == -1220000


def test_rules_that_never_end_are_stopped(tmp_path):
    loaded = base(tmp_path, core="a { b; }\nb { a; }")
    with pytest.raises(IrodsError):
        rules.execute(loaded, "@external rule { a; }")
