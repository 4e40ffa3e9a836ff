"""Data of teams that left: kept, until a rule of the inventory lets them go."""

from datetime import date

import pytest
from facility_site import ROOTS, TODAY, Site, described
from zone_under_test import open_session

from controlplane.state import Action, Plan
from controlplane.systems.irods import apply, calls
from controlplane.systems.irods.client import IrodsError

RULE = """offboarded:
  - {{facility: {id}, team: roots, delete_data_from: {day}, reason: the project ended}}
"""
DUE = date(2026, 11, 30)


def leave_with_data(site: Site) -> str:
    """Let a team leave that has data, and a rule about them; return its home."""
    site.settle()
    home = site.home(f"{site.id}-roots")
    with open_session(site.server) as session:
        calls.set_access(session, home, (site.server.user, site.server.zone), "own")
        session.collections.create(f"{home}/deep/deeper")
        for name, size in (("one", 600), ("deep/two", 400), ("deep/deeper/three", 1048)):
            with session.data_objects.open(f"{home}/{name}", "w") as file:
                file.write(b"x" * size)
        # Data that not even the administrator has access to.
        calls.set_access(session, home, (site.server.user, site.server.zone), "null")
    site.edit(ROOTS, "")
    (site.folder / "policies").mkdir()
    (site.folder / "policies" / "retention.yml").write_text(RULE.format(id=site.id, day=DUE), "utf-8")
    return home


def due_plan(site: Site) -> Plan:
    """The plan that destroys, after the one that ends access."""
    plan = site.plan(today=DUE)
    assert described(plan) == [("update", f"{site.id}-roots", ("acl", "members"))]
    assert site.apply(plan).ok
    return site.plan(today=DUE)


def test_data_are_deleted_when_the_rule_says_so_and_not_a_day_before(site: Site) -> None:
    home = leave_with_data(site)
    assert site.apply(site.plan(today=TODAY)).ok
    early = site.plan(today=date(2026, 11, 29))
    assert early.changes == ()
    assert [note.reason for note in early.kept if note.key.name == f"{site.id}-roots"] == [
        "its home collection holds data"
    ]
    plan = site.plan(today=DUE)
    (change,) = plan.changes
    assert (change.action, change.destroys) == (Action.DELETE, "3 replicas of data objects, 2 KiB")
    assert site.apply(plan).ok
    with open_session(site.server) as session:
        assert not session.collections.exists(home)
    assert site.plan(today=DUE).changes == ()


def test_a_rule_about_somebody_else_deletes_nothing(site: Site) -> None:
    home = leave_with_data(site)
    file = site.folder / "policies" / "retention.yml"
    file.write_text(file.read_text("utf-8").replace("team: roots", "team: leaves"), "utf-8")
    plan = site.plan(today=DUE)
    assert [change.action for change in plan.changes] == [Action.UPDATE]
    assert site.apply(plan).ok
    assert site.plan(today=DUE).changes == ()
    with open_session(site.server) as session:
        assert session.collections.exists(f"{home}/deep")


def test_a_deletion_that_was_cut_off_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    home = leave_with_data(site)
    plan = due_plan(site)
    monkeypatch.setattr(apply, "PATIENCE", 0.0)
    administer = calls.administer

    def cut_off(session: object, *words: str) -> None:
        if words[:2] == ("rm", "group"):
            raise OSError("the network is gone")
        administer(session, *words)

    with monkeypatch.context() as patch:
        patch.setattr(calls, "administer", cut_off)
        assert not site.apply(plan).ok
    # The data are gone, the group is not.
    with open_session(site.server) as session:
        assert not session.collections.exists(home)
    (change,) = site.plan(today=DUE).changes
    assert (change.action, change.key.name, change.destroys) == (Action.DELETE, f"{site.id}-roots", "")
    site_report = site.apply(site.plan(today=DUE))
    assert site_report.ok
    assert site.plan(today=DUE).changes == ()


def test_a_refused_deletion_says_so_and_destroys_nothing_else(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = leave_with_data(site)
    plan = due_plan(site)

    def refuse(*arguments: object, **keywords: object) -> None:
        raise IrodsError("SYS_NO_API_PRIV (-13000)", -13000)

    with monkeypatch.context() as patch:
        patch.setattr(calls, "set_access", refuse)
        report = site.apply(plan)
    assert [reason for _, reason in report.failed] == ["SYS_NO_API_PRIV (-13000)"]
    with open_session(site.server) as session:
        assert session.collections.exists(f"{home}/deep/deeper")
