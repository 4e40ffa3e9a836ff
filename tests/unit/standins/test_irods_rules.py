"""The rule engine of the iRODS stand-in: what rule bases say, and what happens when they are broken."""

from pathlib import Path

import pytest

from sandbox.standins.irods import policy, rules
from sandbox.standins.irods.errors import IrodsError
from sandbox.standins.irods.rulelang import RuleSyntaxError, parse
from sandbox.standins.irods.rulescope import Scope
from sandbox.standins.irods.rulevalues import RuleError

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
    assert loaded.negotiation(Scope()) == "CS_NEG_REQUIRE"
    assert loaded.default_resource(Scope()) == "labResc"
    assert loaded.enforces_quotas(Scope())


def test_first_rule_base_in_order_wins(tmp_path):
    own = 'acPreConnect(*OUT) { *OUT="CS_NEG_DONT_CARE"; }'
    assert base(tmp_path, policy=own, core=UPSTREAM_LIKE).negotiation(Scope()) == "CS_NEG_DONT_CARE"


def test_rules_may_call_each_other(tmp_path):
    source = 'acPreConnect(*OUT) { demand(*OUT); }\ndemand(*WHAT) { *WHAT = "CS_NEG_" ++ "REQUIRE"; }'
    assert base(tmp_path, core=source).negotiation(Scope()) == "CS_NEG_REQUIRE"


def test_nothing_said_means_the_policy_that_is_built_in(tmp_path):
    loaded = base(tmp_path, core="")
    assert loaded.negotiation(Scope()) == "CS_NEG_REFUSE"
    assert loaded.default_resource(Scope()) == "demoResc"
    assert not loaded.enforces_quotas(Scope())


def test_a_connection_is_refused_when_the_rule_about_it_fails(tmp_path):
    with pytest.raises(RuleError) as error:
        base(tmp_path, core="acPreConnect(*OUT) { fail(-5); }").negotiation(Scope())
    assert error.value.code == -5


def test_a_failing_quota_policy_means_none(tmp_path):
    logged = []
    assert not base(tmp_path, core="acRescQuotaPolicy { fail; }").enforces_quotas(Scope(log=logged.append))
    assert logged == ["acRescQuotaPolicy failed: -1091000 fail action encountered"]


@pytest.mark.parametrize(
    "broken", ["acX {", "acX }", 'acX { "unterminated; }', "acX { a(; }", "acX { = 1; }", "}"]
)
def test_one_broken_rule_base_drops_all_rules(tmp_path, broken):
    (tmp_path / "core.re").write_text(UPSTREAM_LIKE)
    (tmp_path / "own.re").write_text(broken)
    loaded, problems = rules.load(tmp_path, ["core", "own"])
    assert len(problems) == 1
    assert problems[0].startswith("parseRuleSet: error parsing rule.\nline 0, col ")
    assert ", rule base own\n" in problems[0]
    assert not loaded.initialized
    assert loaded.negotiation(Scope()) == "CS_NEG_REFUSE"


def test_missing_rule_base_is_a_problem(tmp_path):
    loaded, problems = rules.load(tmp_path, ["core"])
    assert loaded.rules == ()
    assert "core.re" in problems[0]


def test_place_of_a_syntax_error():
    with pytest.raises(RuleSyntaxError) as error:
        parse("good { a; }\nbad { b( }\n")
    assert "line 1, col 10\nbad { b( }\n          ^" in str(error.value)


def test_what_is_not_carried_out_is_said_for_each_rule_base(tmp_path):
    (tmp_path / "core.re").write_text("acX { }")
    (tmp_path / "own.re").write_text(
        "pep_api_data_obj_open_pre(*I, *C, *D) { help(*D); }\n"
        'help(*D) { *x = *D.obj_path; msiExecCmd("x", $colour); foreach (*r in select NO_SUCH) { nop; } }'
    )
    assert rules.unsupported(tmp_path, ["core", "own"], policy.served()) == [
        "STAND-IN: of the rule base core, these rules are not carried out: "
        "acX (no such policy enforcement point here)",
        "STAND-IN: of the rule base own, these rules are not carried out: "
        "help (unknown column: NO_SUCH, unknown session variable: $colour, unknown: msiExecCmd)",
    ]


def test_client_rule_writes_lines():
    effects = rules.execute(
        rules.RuleBase(), "@external rule { writeLine('stdout', 'a' ++ \"b\"); }", Scope()
    )
    assert effects.stdout == "ab\n"


def test_client_rule_gets_its_variables():
    source = '@external rule { writeLine("stdout", "*who is *age"); }'
    effects = rules.execute(rules.RuleBase(), source, Scope(), {"*who": "'Ada'", "*age": "30 + 6"})
    assert effects.stdout == "Ada is 36\n"


def test_client_rule_may_not_do_what_is_unknown():
    with pytest.raises(IrodsError) as error:
        rules.execute(rules.RuleBase(), '@external rule { msiExecCmd("x", "", "", "", "", *o); }', Scope())
    assert error.value.code == -1097000


def test_an_engine_without_rules_does_nothing_for_clients_either():
    broken = rules.RuleBase((), initialized=False)
    assert rules.execute(broken, "@external rule { writeLine('stdout', 'a'); }", Scope()).stdout == ""


def test_rules_that_never_end_are_stopped(tmp_path):
    loaded = base(tmp_path, core="a { b; }\nb { a; }")
    with pytest.raises(IrodsError):
        rules.execute(loaded, "@external rule { a; }", Scope())


def test_a_loop_without_end_ends_with_its_client():
    alive = iter([True, True, False])
    with pytest.raises(IrodsError) as error:
        rules.execute(
            rules.RuleBase(), "@external rule { while (true) { nop; } }", Scope(alive=lambda: next(alive))
        )
    assert error.value.code == -162000
