"""What the OMERO stand-in answers to queries, and which queries it refuses."""

import omero
import omero.sys
import pytest
from omero.rtypes import rint, rlist, rlong, rstring, unwrap
from omero_clients import USER_GROUP, add_group, add_person, groups, people

ALL_GROUPS = {"omero.group": "-1"}
PEOPLE = "select e.id, e.omeName, e.firstName, e.lastName, e.email, e.ldap from Experimenter e"
GROUPS = "select g.id, g.name, g.description, g.details.permissions from ExperimenterGroup g"
MEMBERSHIPS = "select m.parent.id, m.child.id, m.owner from GroupExperimenterMap m"


@pytest.fixture(scope="module")
def query(root):
    return root.sf.getQueryService()


@pytest.fixture(scope="module")
def team(root):
    """A group with an owner and a member: their ids."""
    key = add_group(root, "team")
    owner, member = add_person(root, "ana", key), add_person(root, "bob", key)
    root.sf.getAdminService().addGroupOwners(*groups(key), people(owner))
    return key, owner, member


def parameters(*, offset=None, limit=None, **values):
    made = omero.sys.ParametersI()
    made.map = values
    made.theFilter = omero.sys.Filter()
    made.theFilter.offset = None if offset is None else rint(offset)
    made.theFilter.limit = None if limit is None else rint(limit)
    return made


def rows(query, text, given=None):
    return unwrap(query.projection(text, given, ALL_GROUPS))


def test_everybody_is_read_in_one_query(query, team):
    found = {row[0]: row[1:] for row in rows(query, PEOPLE)}
    assert found[0] == ["root", "root", "root", None, False]
    assert found[team[1]] == ["ana", "A", "Example", None, False]


def test_groups_come_with_their_permissions(query, team):
    found = {row[0]: row[1:] for row in rows(query, GROUPS)}
    assert found[team[0]] == ["team", None, {"perm": "rwr---"}]


def test_memberships_are_read_in_one_query(query, team):
    found = rows(query, MEMBERSHIPS)
    assert [team[0], team[1], True] in found
    assert [team[0], team[2], False] in found


def test_rows_are_paged(query, team):
    everybody = rows(query, f"{PEOPLE} order by e.id")
    pages = [rows(query, f"{PEOPLE} order by e.id", parameters(offset=at, limit=2)) for at in range(0, 6, 2)]
    assert [row for page in pages for row in page] == everybody
    assert len(pages[0]) == 2
    assert rows(query, f"{PEOPLE} order by e.id", parameters(offset=2)) == everybody[2:]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("select e.omeName from Experimenter e where e.id = :id", {"id": lambda team: rlong(team[1])}),
        ("select e.omeName from Experimenter as e where e.omeName = 'ana'", {}),
        (
            "select e.omeName from Experimenter e where e.id in (:ids)",
            {"ids": lambda team: rlist([rlong(team[1])])},
        ),
        (
            "SELECT e.omeName FROM Experimenter e WHERE e.omeName like :name",
            {"name": lambda _: rstring("an%")},
        ),
        (
            "select m.child.omeName from GroupExperimenterMap m"
            " where m.parent.name = :name and m.owner = true",
            {"name": lambda _: rstring("team")},
        ),
        (
            "select e.omeName from Experimenter e join e.groupExperimenterMap m join m.parent group"
            " where group.id = :id and m.owner = true and e.email is null",
            {"id": lambda team: rlong(team[0])},
        ),
    ],
)
def test_conditions_and_joins(query, team, text, values):
    given = parameters(**{name: make(team) for name, make in values.items()})
    assert rows(query, text, given) == [["ana"]]


def test_order(query, team):
    text = "select e.omeName from Experimenter e where e.id >= :id order by e.omeName desc"
    assert rows(query, text, parameters(id=rlong(team[1]))) == [["bob"], ["ana"]]


def test_objects_are_loaded_as_far_as_they_are_fetched(query, team):
    plain = "select e from Experimenter e where e.id = :id"
    found = query.findByQuery(plain, parameters(id=rlong(team[1])), ALL_GROUPS)
    assert unwrap(found.omeName) == "ana"
    assert not found.isGroupExperimenterMapLoaded()
    text = (
        "select distinct e from Experimenter e left outer join fetch e.groupExperimenterMap m"
        " left outer join fetch m.parent g where e.id = :id"
    )
    (fetched,) = query.findAllByQuery(text, parameters(id=rlong(team[1])), ALL_GROUPS)
    assert [unwrap(each.parent.name) for each in fetched.copyGroupExperimenterMap()] == ["team", "user"]
    maps = query.findAllByQuery(
        "select m from GroupExperimenterMap m join fetch m.child c where m.parent.id = :id",
        parameters(id=rlong(team[0])),
        ALL_GROUPS,
    )
    assert {unwrap(each.child.omeName) for each in maps} == {"ana", "bob"}
    assert not any(each.parent.isLoaded() for each in maps)


def test_objects_are_found_by_their_id(query, team):
    assert unwrap(query.get("ExperimenterGroup", team[0]).name) == "team"
    assert query.find("Experimenter", 9999) is None
    with pytest.raises(omero.ApiUsageException, match="not available"):
        query.get("Experimenter", 9999)


def test_one_object_is_one(query):
    with pytest.raises(omero.ApiUsageException, match="more than one"):
        query.findByQuery("select e from Experimenter e", None)


def test_sessions_are_read_and_by_others_only_their_own(server, root, query, team):
    text = "select s.id, s.owner.omeName, s.closed from Session s where s.closed is null"
    with server.client("bob", "secret") as client:
        assert {row[1] for row in rows(query, text)} == {"root", "bob"}
        assert {row[1] for row in rows(client.sf.getQueryService(), text)} == {"bob"}
        assert {row[1] for row in rows(client.sf.getQueryService(), PEOPLE)} >= {"root", "ana"}


@pytest.mark.parametrize(
    "text",
    [
        "select p.id from Project p",
        "select e.nothing from Experimenter e",
        "select e.omeName.id from Experimenter e",
        "select x.id from Experimenter e",
        "select e.id from Experimenter e where e.id = :id",
        "select e.id from Experimenter e where e.id = 1 or e.id = 2",
        "select count(e) from Experimenter e",
        "select e.id from Experimenter e group by e.id",
        "select e.id from Experimenter e where e.id in (select m.child.id from GroupExperimenterMap m)",
        "select e.id from Experimenter e join e.images i",
        "select e.id from Experimenter e; delete from experimenter",
        'select e.id from Experimenter e where e.omeName = "x"',
        "from Experimenter",
        "delete from Experimenter",
        "",
    ],
)
def test_other_queries_are_refused_and_named(query, text):
    with pytest.raises(omero.ApiUsageException) as refused:
        query.projection(text, None)
    assert text in refused.value.message


def test_parameters_that_no_query_names_are_refused(query):
    with pytest.raises(omero.ApiUsageException, match="could not locate named parameter"):
        query.projection(PEOPLE, parameters(id=rlong(1)))


def test_many_people_and_groups_are_read_in_three_calls(root, query):
    admin = root.sf.getAdminService()
    keys = [add_group(root, f"bulk-{number}") for number in range(10)]
    for number in range(40):
        uid = add_person(root, f"bulk{number}", keys[number % 10])
        admin.addGroups(*people(uid), groups(keys[(number + 1) % 10]))
    assert len([row for row in rows(query, PEOPLE) if row[1].startswith("bulk")]) == 40
    mine = [row for row in rows(query, MEMBERSHIPS) if row[0] in keys]
    assert len(mine) == 80
    assert {row[1] for row in rows(query, MEMBERSHIPS) if row[0] == USER_GROUP} >= {row[1] for row in mine}
