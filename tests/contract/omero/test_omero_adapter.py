"""The control plane's adapter for OMERO servers: what it plans, what it makes, what it leaves alone."""

import secrets
from typing import Any

import Glacier2
import omero
import pytest
from omero.rtypes import rlong, rstring, unwrap
from omero_calls import Calls, watch_calls
from omero_site import READER, WRITER, Site
from omero_under_test import account, account_proxy, group, group_proxy, logged_in

from controlplane.reconcile.port import ChangeError
from controlplane.state import Action, Key, Plan
from controlplane.sync.part import people_part
from controlplane.systems.omero.resources import GROUP, USER


def described(plan: Plan) -> list[tuple[str, str, tuple[str, ...]]]:
    """What a plan does: action, name and fields."""
    return [
        (change.action.value, change.key.name, tuple(item.name for item in change.fields))
        for change in plan.changes
    ]


def made_by_hand(site: Site, name: str, *groups: str) -> tuple[int, str]:
    """An account that somebody else made, in groups that exist; gives its number and password."""
    password = secrets.token_hex(20)
    with logged_in(site.server) as root:
        admin = root.sf.getAdminService()
        first, *others = [group_proxy(unwrap(admin.lookupGroup(each).id)) for each in groups]
        number = admin.createExperimenterWithPassword(
            account(site.name(name), "Somebody", "Else"), rstring(password), first, others
        )
    return number, password


def group_by_hand(site: Site, name: str, permissions: str = "rw----", description: str = "") -> int:
    with logged_in(site.server) as root:
        return int(root.sf.getAdminService().createGroup(group(name, permissions, description)))


def snapshot(site: Site, user: str) -> tuple[Any, ...]:
    """All that the server shows of an account."""
    found = site.account(user)
    links = [(link.parent.id.val, link.owner.val) for link in found.copyGroupExperimenterMap()]
    texts = (found.firstName, found.lastName, found.email, found.ldap, found.middleName, found.institution)
    return (*map(unwrap, texts), links)


def test_a_facility_is_made_and_then_nothing_is_left_to_do(site: Site) -> None:
    plan = site.plan()
    assert {change.action for change in plan.changes} == {Action.CREATE}
    assert sorted(change.key for change in plan.changes) == sorted(
        [
            *(Key(USER, name) for name in site.names("pi", "writer", "reader")),
            *(Key(GROUP, name) for name in (site.ours, site.group("cells"), site.group("roots"))),
        ]
    )
    site.settle()
    pi, writer, reader = (site.name(user) for user in ("pi", "writer", "reader"))
    assert site.members(site.group("cells")) == {pi: True, writer: False, reader: False}
    assert site.members(site.group("roots")) == {pi: True, writer: False}
    assert site.members(site.ours) == {pi: False, writer: False, reader: False}
    with logged_in(site.server) as root:
        admin = root.sf.getAdminService()
        cells, ours = admin.lookupGroup(site.group("cells")), admin.lookupGroup(site.ours)
        assert str(cells.details.permissions) == "rwr---"
        assert unwrap(cells.description) == f"bic:managed {site.id}/{site.id}"
        assert str(ours.details.permissions) == "rw----"
        assert unwrap(ours.description) == f"bic:managed {site.id}"
        with pytest.raises(omero.ApiUsageException):
            admin.lookupGroup(site.group("notes"))
    found = site.account("writer")
    assert [unwrap(text) for text in (found.firstName, found.lastName, found.email)] == [
        "Will",
        "Writer",
        "w@x.example",
    ]
    assert unwrap(found.ldap)


def begins(site: Site, user: str) -> str:
    """The group in which somebody begins."""
    with logged_in(site.server) as root:
        found = root.sf.getAdminService().getDefaultGroup(unwrap(site.account(user).id))
        return str(unwrap(found.name))


def test_people_begin_in_a_group_of_theirs_until_they_choose_another(site: Site) -> None:
    site.settle()
    assert begins(site, "reader") == site.group("cells")
    assert begins(site, "writer") in (site.group("cells"), site.group("roots"))
    # Their own choice stays.
    with logged_in(site.server) as root:
        admin = root.sf.getAdminService()
        chosen = group_proxy(unwrap(admin.lookupGroup(site.group("cells")).id))
        admin.setDefaultGroup(account_proxy(unwrap(site.account("writer").id)), chosen)
    site.closed = {"reader"}
    site.settle()
    assert begins(site, "writer") == site.group("cells")
    # Who is in no team any more begins where nobody else looks.
    assert begins(site, "reader") == site.ours
    # Who leaves the group begins in another one, and stays there.
    site.edit(WRITER, "")
    site.settle()
    assert begins(site, "writer") == site.group("roots")
    site.edit("    members:\n", "    members:\n" + WRITER)
    site.settle()
    assert begins(site, "writer") == site.group("roots")
    # Who leaves a group in which they do not begin is left alone.
    with logged_in(site.server) as root:
        admin = root.sf.getAdminService()
        chosen = group_proxy(unwrap(admin.lookupGroup(site.ours).id))
        admin.setDefaultGroup(account_proxy(unwrap(site.account("writer").id)), chosen)
    site.edit(WRITER, "")
    site.settle()
    assert begins(site, "writer") == site.ours


def test_an_account_without_a_group_to_begin_in_gets_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a removal that did not care has left behind: the stand-in knows no such holes."""
    site.settle()
    site.edit(READER, "")
    site.settle()
    site.edit("    members:\n", "    members:\n" + READER)
    calls = Calls()

    def hole(name: str, call: Any) -> Any:
        calls.count(name)
        if name == "getDefaultGroup":
            raise omero.ValidationException("", "", "The user has no default group set.")
        return call()

    with monkeypatch.context() as patch:
        watch_calls(patch, hole)
        assert site.apply(site.plan()).ok
    assert calls.made["setDefaultGroup"] == 1
    assert begins(site, "reader") == site.group("cells")


def test_nobody_knows_the_password_of_an_account(site: Site) -> None:
    site.settle()
    for password in (" ", "  ", "\t", "omero", site.name("writer"), site.server.password):
        with (
            pytest.raises((Glacier2.PermissionDeniedException, omero.ClientError)),
            logged_in(site.server, site.name("writer"), password),
        ):
            pass


def test_accounts_are_never_made_with_a_blank_or_short_password(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(secrets, "token_urlsafe", remembering(secrets.token_urlsafe, seen))
    calls = Calls()
    watch_calls(monkeypatch, calls)
    site.settle()
    assert calls.made["createExperimenterWithPassword"] == 3
    assert calls.made["createExperimenter"] == calls.made["createUser"] == 0
    assert len(set(seen)) == 3
    assert all(len(password) >= 40 for password in seen)


def remembering(make: Any, seen: list[str]) -> Any:
    def made(*arguments: Any) -> str:
        seen.append(make(*arguments))
        return seen[-1]

    return made


def test_who_joins_gets_an_account_and_who_leaves_one_team_stays_in_the_other(site: Site) -> None:
    site.settle()
    newcomer = "      - {{user: {id}.new, name: Nora New, email: n@x.example, role: collaborator}}\n"
    site.edit(WRITER, newcomer)
    plan = site.plan()
    assert described(plan) == [
        ("create", site.name("new"), ("active", "email", "first_name", "last_name", "ldap", "mark")),
        ("update", site.group("cells"), ("members",)),
    ]
    # All of that follows from people, so a sync does it.
    assert people_part(site.system(), plan).changes == plan.changes
    site.settle()
    assert set(site.members(site.group("cells"))) == set(site.names("pi", "reader", "new"))
    assert set(site.members(site.group("roots"))) == set(site.names("pi", "writer"))


def test_who_is_in_no_team_any_more_keeps_an_account_that_lets_nobody_in(site: Site) -> None:
    site.settle()
    site.edit(READER, "")
    plan = site.settle()
    assert described(plan) == [
        ("update", site.group("cells"), ("members",)),
        ("update", site.name("reader"), ("active",)),
    ]
    assert [note.key.name for note in plan.kept] == [site.name("reader")]
    assert site.name("reader") not in site.members("user")
    assert site.name("reader") in site.members(site.ours)
    # Whoever comes back gets the same account.
    number = unwrap(site.account("reader").id)
    site.edit("    members:\n", "    members:\n" + READER)
    site.settle()
    assert unwrap(site.account("reader").id) == number
    assert site.name("reader") in site.members("user")


def test_a_closed_account_opens_nothing_here(site: Site) -> None:
    site.settle()
    site.closed = {"pi"}
    plan = site.plan()
    # All of that follows from people, so a sync does it.
    assert people_part(site.system(), plan).changes == plan.changes
    site.settle()
    assert described(plan) == [
        ("update", site.group("cells"), ("members", "owners")),
        ("update", site.group("roots"), ("members", "owners")),
        ("update", site.name("pi"), ("active",)),
    ]
    assert site.members(site.group("cells")) == dict.fromkeys(site.names("writer", "reader"), False)
    assert site.name("pi") not in site.members("user")
    site.closed = set()
    site.settle()
    assert site.members(site.group("cells"))[site.name("pi")]


def test_a_new_pi_owns_the_group_and_the_former_one_is_a_member(site: Site) -> None:
    site.settle()
    old = "pi: {{user: {id}.pi, name: Ada Investigator, email: p@x.example}}"
    new = "pi: {{user: {id}.writer, name: Will Writer, email: w@x.example}}"
    site.edit(old, new)
    site.edit(
        WRITER,
        WRITER.replace(".writer", ".pi").replace("Will Writer", "Ada Investigator").replace("w@", "p@"),
    )
    plan = site.settle()
    assert described(plan) == [("update", site.group("cells"), ("owners",))]
    assert site.members(site.group("cells")) == {
        site.name("pi"): False,
        site.name("writer"): True,
        site.name("reader"): False,
    }
    assert site.members(site.group("roots"))[site.name("pi")]


def test_a_new_name_or_address_follows_and_nothing_else_changes(site: Site) -> None:
    site.settle()
    with logged_in(site.server) as root:
        admin = root.sf.getAdminService()
        found = admin.lookupExperimenter(site.name("reader"))
        found.institution, found.middleName = rstring("Institut"), rstring("M.")
        admin.updateExperimenter(found)
    assert site.plan().changes == ()
    before = snapshot(site, "reader")
    site.edit("name: Rita Reader, email: c@x.example", "name: Rita María Lesende, email: r.l@x.example")
    assert described(site.plan()) == [("update", site.name("reader"), ("email", "first_name", "last_name"))]
    site.settle()
    assert snapshot(site, "reader") == ("Rita María", "Lesende", "r.l@x.example", *before[3:])


def test_what_was_changed_by_hand_is_changed_back_field_by_field(site: Site) -> None:
    site.settle()
    with logged_in(site.server) as root:
        admin = root.sf.getAdminService()
        cells = admin.lookupGroup(site.group("cells"))
        reader = account_proxy(unwrap(site.account("reader").id))
        writer = account_proxy(unwrap(site.account("writer").id))
        admin.removeGroups(reader, [group_proxy(cells.id.val)])
        admin.addGroupOwners(group_proxy(cells.id.val), [writer])
        admin.addGroups(account_proxy(0), [group_proxy(cells.id.val)])
        changed = group(site.group("cells"), "rwrw--", unwrap(cells.description))
        changed.id = cells.id
        admin.updateGroup(changed)
        root.sf.getLdapService().setDN(rlong(unwrap(writer.id)), "")
        admin.changeUserPassword(site.name("writer"), rstring("a password of their own"))
    plan = site.plan()
    assert described(plan) == [
        ("update", site.name("writer"), ("ldap",)),
        ("update", site.group("cells"), ("members", "owners", "permissions")),
    ]
    site.settle()
    with logged_in(site.server) as root:
        cells = root.sf.getAdminService().lookupGroup(site.group("cells"))
        assert str(cells.details.permissions) == "rwr---"
        assert unwrap(cells.description) == f"bic:managed {site.id}/{site.id}"
    # The password that somebody gave the account counts no more, even where LDAP is not asked.
    with (
        pytest.raises(Glacier2.PermissionDeniedException),
        logged_in(site.server, site.name("writer"), "a password of their own"),
    ):
        pass


def test_a_team_that_is_gone_leaves_its_group_with_nobody_in_it(site: Site) -> None:
    site.settle()
    site.edit("    title: Cells\n    omero: true\n", "    title: Cells\n")
    plan = site.settle()
    assert sorted(note.key.name for note in plan.kept) == sorted([site.group("cells"), site.name("reader")])
    assert site.members(site.group("cells")) == {}
    assert site.name("reader") not in site.members("user")
    assert set(site.members(site.group("roots"))) == set(site.names("pi", "writer"))
    site.edit("    title: Cells\n", "    title: Cells\n    omero: true\n")
    site.settle()
    assert set(site.members(site.group("cells"))) == set(site.names("pi", "writer", "reader"))


def test_what_is_not_ours_is_left_as_it_is(site: Site) -> None:
    made_by_hand(site, "stranger", "guest", "user")
    other = group_by_hand(site, f"{site.id}-other", "rwra--", "somebody's own")
    with logged_in(site.server) as root:
        number = unwrap(site.account("stranger").id)
        root.sf.getAdminService().addGroupOwners(group_proxy(other), [account_proxy(number)])
    before = snapshot(site, "stranger"), site.members(f"{site.id}-other")
    site.settle()
    site.closed = {"reader"}
    site.edit("    title: Roots\n    omero: true\n", "    title: Roots\n")
    plan = site.settle()
    assert not any(change.key.name.endswith(("stranger", "-other")) for change in plan.changes)
    assert (snapshot(site, "stranger"), site.members(f"{site.id}-other")) == before


def test_a_name_that_somebody_else_has_is_a_conflict_until_it_is_adopted(site: Site) -> None:
    number, password = made_by_hand(site, "writer", "guest", "user")
    group_by_hand(site, site.group("cells"), "rw----", "our own group")
    plan = site.plan()
    cells, writer = Key(GROUP, site.group("cells")), Key(USER, site.name("writer"))
    assert [note.key for note in plan.conflicts] == [cells, writer]
    assert not {cells, writer} & {change.key for change in plan.changes}
    before = snapshot(site, "writer"), site.members(cells.name)
    report = site.apply(plan)
    # A stranger does not become a member because of the name; the others do.
    assert [(change.key.name, text) for change, text in report.failed] == [
        (site.group("roots"), f"members: add {writer.name}: somebody else's account has this name")
    ]
    assert set(site.members(site.group("roots"))) == {site.name("pi")}
    assert (snapshot(site, "writer"), site.members(cells.name)) == before
    plan = site.settle(adopt=True)
    assert {change.key for change in plan.changes if change.action is Action.ADOPT} == {cells, writer}
    found = site.account("writer")
    assert (unwrap(found.id), unwrap(found.firstName), unwrap(found.ldap)) == (number, "Will", True)
    assert set(site.members(cells.name)) == set(site.names("pi", "writer", "reader"))
    assert set(site.members(site.group("roots"))) == set(site.names("pi", "writer"))
    with (
        pytest.raises(Glacier2.PermissionDeniedException),
        logged_in(site.server, site.name("writer"), password),
    ):
        pass


def test_accounts_and_groups_of_omero_itself_are_never_taken_over(site: Site) -> None:
    site.edit("user: {id}.reader", "user: guest")
    site.edit("user: {id}.writer", "user: root", count=2)
    before = site.members("system"), site.members("user"), site.members("guest")
    plan = site.plan(adopt=True)
    refused = {note.key: note.reason for note in plan.conflicts}
    assert (
        refused[Key(USER, "root")]
        == refused[Key(USER, "guest")]
        == "OMERO has a user of its own with this name"
    )
    assert not {change.key.name for change in plan.changes} & {"root", "guest", site.group("cells")}
    site.apply(plan)
    after = site.members("system"), site.members("user"), site.members("guest")
    assert after[0] == before[0]
    assert after[2] == before[2]
    assert set(after[1]) == {*before[1], site.name("pi")}


def test_a_platform_s_group_that_somebody_else_made_is_not_used(site: Site) -> None:
    group_by_hand(site, site.ours, "rwr---", "mine")
    plan = site.plan()
    assert [note.key for note in plan.conflicts] == [Key(GROUP, site.ours)]
    site.settle(adopt=True)
    with logged_in(site.server) as root:
        ours = root.sf.getAdminService().lookupGroup(site.ours)
        assert (str(ours.details.permissions), unwrap(ours.description)) == (
            "rw----",
            f"bic:managed {site.id}",
        )


def test_one_member_who_cannot_be_changed_does_not_stop_the_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.settle()
    site.edit("    title: Cells\n    omero: true\n", "    title: Cells\n")
    plan = site.plan()
    calls = Calls()

    def refuse(name: str, call: Any) -> Any:
        if name == "removeGroups" and calls.count(name) == 1:
            raise omero.SecurityViolation("", "", "not this one")
        return call()

    with monkeypatch.context() as patch:
        watch_calls(patch, refuse)
        system = site.system()
        system.begin(plan.changes)
        change = next(change for change in plan.changes if change.key.kind == GROUP)
        first = site.names("pi", "reader", "writer")[0]
        with pytest.raises(
            ChangeError, match=f"^members: remove {first}: .*SecurityViolation: not this one$"
        ):
            system.apply(change)
        system.close()
    assert list(site.members(site.group("cells"))) == [first]
    site.settle()
