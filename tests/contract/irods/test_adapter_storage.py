"""Storage resources and their trees, quotas, remote zones: through the adapter, on the server under test."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from facility_site import Site, described
from irods.exception import PycommandsException, iRODSException
from irods.models import Quota, Resource, User, Zone
from zone_under_test import open_session

from controlplane.state import Action, Key
from controlplane.systems.irods import calls
from controlplane.systems.irods.queries import ZONE_COMMENT, ZONE_CONNECTION
from controlplane.systems.irods.resources import REMOTE_ZONE, STORAGE_RESOURCE


@pytest.fixture
def tree(site: Site) -> Iterator[Site]:
    """A site whose zone has a replication resource with two folders, one of them below a passthru."""
    site.edit_platform(
        "    ca_file:",
        f"""    storage_resources:
      {{id}}-tree: {{{{type: replication, children: [{{id}}-one, {{id}}-through], context: "retries=2"}}}}
      {{id}}-through: {{{{type: passthru, children: [{{id}}-two]}}}}
      {{id}}-one: {{{{host: {site.host}, vault: /var/lib/irods/{{id}}-one}}}}
      {{id}}-two: {{{{host: {site.host}, vault: /var/lib/irods/{{id}}-two}}}}
    ca_file:""",
    )
    yield site
    with open_session(site.server) as session:
        for parent, child in (("tree", "one"), ("tree", "through"), ("through", "two"), ("tree", "two")):
            # The library has no name for the code of a child that is not there, and raises a KeyError.
            with suppress(iRODSException, PycommandsException, KeyError):
                session.resources.remove_child(f"{site.id}-{parent}", f"{site.id}-{child}")
        for name in ("tree", "through", "one", "two"):
            # The library has no name for the code of a child that is not there, and raises a KeyError.
            with suppress(iRODSException, PycommandsException, KeyError):
                session.resources.remove(f"{site.id}-{name}")


def parents(site: Site) -> dict[str, tuple[str, str]]:
    """The parent's name and the context of each of the site's storage resources."""
    with open_session(site.server) as session:
        rows = calls.rows(session, (Resource.id, Resource.name, Resource.parent, Resource.context))
    names = {row[0]: row[1] for row in rows}
    short = f"{site.id}-"
    return {
        name.removeprefix(short): (names.get(parent, "").removeprefix(short), context)
        for _, name, parent, context in rows
        if name.startswith(short)
    }


def test_a_tree_of_storage_resources_is_made_from_the_root(tree: Site) -> None:
    order = [
        key.name for key in (change.key for change in tree.plan().changes) if key.kind == STORAGE_RESOURCE
    ]
    assert order.index(f"{tree.id}-tree") < order.index(f"{tree.id}-through") < order.index(f"{tree.id}-two")
    tree.settle()
    assert parents(tree) == {
        "tree": ("", "retries=2"),
        "through": ("tree", ""),
        "one": ("tree", ""),
        "two": ("through", ""),
        "raw": ("", ""),
    }


def test_a_tree_is_changed_by_its_children_and_its_contexts(tree: Site) -> None:
    tree.settle()
    tree.edit_platform('context: "retries=2"', 'context: "retries=3"')
    tree.edit_platform("[{id}-one, {id}-through]", "[{id}-through, {id}-two]")
    tree.edit_platform("{{type: passthru, children: [{id}-two]}}", "{{type: passthru, children: [{id}-one]}}")
    assert sorted(described(tree.plan())) == [
        ("update", f"{tree.id}-one", ("parent",)),
        ("update", f"{tree.id}-tree", ("context",)),
        ("update", f"{tree.id}-two", ("parent",)),
    ]
    tree.settle()
    assert parents(tree)["one"] == ("through", "")
    assert parents(tree)["two"] == ("tree", "")
    assert parents(tree)["tree"] == ("", "retries=3")
    tree.edit_platform("[{id}-through, {id}-two]", "[{id}-through]")
    assert described(tree.plan()) == [("update", f"{tree.id}-two", ("parent",))]
    tree.settle()
    assert parents(tree)["two"] == ("", "")


def test_a_child_taken_out_by_hand_is_put_back(tree: Site) -> None:
    tree.settle()
    with open_session(tree.server) as session:
        session.resources.remove_child(f"{tree.id}-tree", f"{tree.id}-one")
    assert described(tree.plan()) == [("update", f"{tree.id}-one", ("parent",))]
    tree.settle()


def test_the_vault_of_a_storage_resource_cannot_be_moved(site: Site) -> None:
    site.settle()
    site.edit("vault: /var/lib/irods/{id}", "vault: /var/lib/irods/{id}-elsewhere")
    plan = site.plan()
    assert plan.changes == ()
    (conflict,) = plan.conflicts
    assert "its vault is" in conflict.reason


def test_a_storage_resource_on_a_host_that_a_server_does_not_know_is_refused(site: Site) -> None:
    if not site.server.is_standin:
        pytest.skip("a server of the zone under test would have to be given a wrong resolver")
    site.edit_platform("zones:", "  ghost: {{data_centre: dc1, address: 127.0.0.2}}\nzones:")
    site.edit_platform("address: 127.0.0.2}}", "address: 127.0.0.2, services: [irods_catalog_consumer]}}")
    site.edit_platform("    port:", "    catalog_consumers: [ghost]\n    port:")
    site.edit(f"host: {site.host}", "host: ghost")
    plan = site.plan()
    assert Key(STORAGE_RESOURCE, f"{site.id}-raw") not in {change.key for change in plan.changes}
    (conflict,) = plan.conflicts
    here, there = conflict.reason.split("; ")
    assert here == (
        f"the server {site.host} cannot resolve the host ghost.example, which would slow every login there"
    )
    # Nobody listens at the address of the other server.
    assert there.startswith("the server ghost cannot be asked whether it knows the host ghost.example: ")


def limits(site: Site, group: str) -> dict[str, int]:
    """What the quotas of a group are, by storage resource."""
    with open_session(site.server) as session:
        storage = {row[0]: row[1] for row in calls.rows(session, (Resource.id, Resource.name))}
        (account,) = calls.rows(session, (User.id,), (User.name == group,))
        rows = calls.rows(session, (Quota.resc_id, Quota.limit), (Quota.user_id == int(account[0]),))
    return {storage.get(number, "total"): int(size) for number, size in rows}


def test_quotas_of_groups_are_set_changed_and_removed(site: Site) -> None:
    site.edit("title: Facility\n", "title: Facility\nquota: {{storage_resources: {{ {id}-raw: 20 TiB }}}}\n")
    site.edit("    title: Cells\n", "    title: Cells\n    quota: {{total: 1500 MB}}\n")
    site.settle()
    assert limits(site, site.id) == {f"{site.id}-raw": 20 * 2**40}
    assert limits(site, f"{site.id}-cells") == {"total": 1_500_000_000}
    assert limits(site, f"{site.id}-roots") == {}
    with open_session(site.server) as session:
        session.groups.set_quota(f"{site.id}-roots", 77)
    site.edit("quota: {{total: 1500 MB}}", "quota: {{storage_resources: {{ {id}-raw: 1 TiB }}}}")
    site.edit("quota: {{storage_resources: {{ {id}-raw: 20 TiB }}}}\n", "")
    plan = site.plan()
    assert {name: fields for _, name, fields in described(plan)} == dict.fromkeys(
        (site.id, f"{site.id}-cells", f"{site.id}-roots"), ("quota",)
    )
    cells = next(change for change in plan.changes if change.key.name == f"{site.id}-cells")
    (quota,) = cells.fields
    assert (quota.before, quota.after) == (("total=1500000000",), (f"{site.id}-raw=1 TiB",))
    site.settle()
    assert limits(site, site.id) == limits(site, f"{site.id}-roots") == {}
    assert limits(site, f"{site.id}-cells") == {f"{site.id}-raw": 2**40}


def known_zones(site: Site) -> dict[str, tuple[str, str]]:
    """Connection and comment of the remote zones that the zone under test knows."""
    with open_session(site.server) as session:
        rows = calls.rows(session, (Zone.name, Zone.type, ZONE_CONNECTION, ZONE_COMMENT))
    return {name: (connection, comment) for name, kind, connection, comment in rows if kind == "remote"}


@pytest.fixture
def federated(site: Site) -> Iterator[Site]:
    """A site whose zone is federated with another one."""
    name = f"{site.id}Zone"
    site.edit_platform(
        "    ca_file:",
        f"    remote_zones: {{{{ {name}: {{{{host: icat.partner.example, port: 1247}}}} }}}}\n    ca_file:",
    )
    yield site
    with open_session(site.server) as session, suppress(iRODSException, PycommandsException):
        session.zones.remove(name)


def test_a_federated_zone_is_made_changed_and_forgotten(federated: Site) -> None:
    name = f"{federated.id}Zone"
    federated.settle()
    assert known_zones(federated)[name] == ("icat.partner.example:1247", f"bic:managed {federated.id}")
    federated.edit_platform("icat.partner.example, port: 1247", "icat2.partner.example, port: 1300")
    assert described(federated.plan()) == [("update", name, ("connection",))]
    federated.settle()
    assert known_zones(federated)[name][0] == "icat2.partner.example:1300"
    federated.edit_platform(
        f"    remote_zones: {{{{ {name}: {{{{host: icat2.partner.example, port: 1300}}}} }}}}\n", ""
    )
    with open_session(federated.server) as session:
        session.users.create("visitor", "rodsuser", user_zone=name)
    plan = federated.plan()
    assert plan.changes == ()
    assert (Key(REMOTE_ZONE, name), "accounts of that zone have access here") in [
        (note.key, note.reason) for note in plan.kept
    ]
    with open_session(federated.server) as session:
        calls.administer(session, "rm", "user", f"visitor#{name}")
    assert described(federated.plan()) == [("delete", name, ("connection", "mark"))]
    federated.settle()
    assert name not in known_zones(federated)


def test_a_zone_that_is_not_ours_is_left_alone_unless_adopted(federated: Site) -> None:
    name = f"{federated.id}Zone"
    with open_session(federated.server) as session:
        calls.administer(session, "add", "zone", name, "remote", "elsewhere.example:1247", "by hand")
    plan = federated.plan()
    assert [note.key for note in plan.conflicts] == [Key(REMOTE_ZONE, name)]
    assert name not in {change.key.name for change in plan.changes}
    plan = federated.plan(adopt=True)
    assert (Action.ADOPT, Key(REMOTE_ZONE, name)) in [(change.action, change.key) for change in plan.changes]
    assert federated.apply(plan).ok
    assert known_zones(federated)[name] == ("icat.partner.example:1247", f"bic:managed {federated.id}")
