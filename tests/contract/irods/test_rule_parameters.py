"""The parameters of rule bases in a zone: what is planned, written, mended and left alone."""

from collections.abc import Iterator

import pytest
from facility_site import Site, described
from irods.meta import iRODSMeta
from irods.models import User
from zone_under_test import open_session

from controlplane.state import Action
from controlplane.systems.irods import calls
from controlplane.systems.irods.resources import POLICY_GROUP

CURATORS = "bic:rule:raw-data:curators"


@pytest.fixture
def rules(site: Site) -> Iterator[Site]:
    """A site that is settled, with two rule bases, one of which has parameters."""
    write(site, "raw-data: {parameters: {curators: keepers, grace: 60}}", "require-tls: {}")
    site.settle()
    yield site
    write(site)
    site.settle()
    with open_session(site.server) as session:
        assert not calls.rows(session, (User.id,), (User.name == POLICY_GROUP,)), "the group was left behind"


def write(site: Site, *lines: str) -> None:
    """Put rule bases in force, or no policy at all."""
    file = site.folder / "policies" / "rules.yml"
    if not lines:
        file.unlink()
        return
    file.parent.mkdir(exist_ok=True)
    file.write_text("rule_bases:\n" + "".join(f"  {line}\n" for line in lines), "utf-8")


def parameters(site: Site) -> list[tuple[str, str, str]]:
    with open_session(site.server) as session:
        found = session.metadata.get(User, POLICY_GROUP)
        return sorted((m.name, m.value, m.units) for m in found if m.name.startswith("bic:rule:"))


def test_values_are_written_with_our_mark_and_then_nothing_is_left_to_do(rules: Site) -> None:
    assert parameters(rules) == [
        (CURATORS, "keepers", rules.id),
        ("bic:rule:raw-data:grace", "60", rules.id),
    ]
    assert not rules.plan().changes


def test_a_change_is_an_update_and_a_value_that_goes_is_a_deletion(rules: Site) -> None:
    write(rules, "raw-data: {parameters: {curators: others}}")
    assert described(rules.plan()) == [
        ("update", "raw-data:curators", ("value",)),
        ("delete", "raw-data:grace", ("mark", "value")),
    ]
    rules.settle()
    assert parameters(rules) == [(CURATORS, "others", rules.id)]


def test_a_value_changed_by_hand_is_drift_and_mended(rules: Site) -> None:
    with open_session(rules.server) as session:
        calls.set_mark(session, calls.ACCOUNT, POLICY_GROUP, (CURATORS, "everybody", rules.id))
    (change,) = rules.plan().changes
    assert (change.action, change.key.name) == (Action.UPDATE, "raw-data:curators")
    assert [(item.before, item.after) for item in change.fields] == [(("everybody",), ("keepers",))]
    rules.settle()
    assert (CURATORS, "keepers", rules.id) in parameters(rules)


def test_a_second_value_beside_ours_is_taken_away(rules: Site) -> None:
    with open_session(rules.server) as session:
        session.users.get(POLICY_GROUP).metadata.add(iRODSMeta(CURATORS, "everybody", "by hand"))
    (change,) = rules.plan().changes
    assert [(item.before, item.after) for item in change.fields] == [(("everybody", "keepers"), ("keepers",))]
    rules.settle()
    assert (CURATORS, "keepers", rules.id) in parameters(rules)
    assert len(parameters(rules)) == 2


def test_what_others_wrote_is_left_alone(rules: Site) -> None:
    foreign = ("bic:rule:quotas:enforced", "false", "by hand")
    with open_session(rules.server) as session:
        session.users.get(POLICY_GROUP).metadata.add(iRODSMeta(*foreign))
    assert not rules.plan().changes
    write(
        rules,
        "quotas: {parameters: {enforced: true}}",
        "raw-data: {parameters: {curators: keepers, grace: 60}}",
    )
    plan = rules.plan()
    assert not plan.changes
    assert [conflict.key.name for conflict in plan.conflicts] == ["quotas:enforced"]
    assert foreign in parameters(rules)
