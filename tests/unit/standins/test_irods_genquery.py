"""The query languages of the iRODS stand-in: the SQL that conditions become, and refusals."""

import pytest

from sandbox.standins.irods import genquery1, genquery2
from sandbox.standins.irods.access import Client
from sandbox.standins.irods.catalogue import Catalogue
from sandbox.standins.irods.errors import IrodsError

ADMIN = Client(10002, "rods", "tempZone", "rodsadmin")


@pytest.fixture
def catalogue(tmp_path):
    made = Catalogue(tmp_path / "catalogue.db")
    assert made.create("tempZone", "rods", "password")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("expression", "sql", "values"),
    [
        ("= 'a'", "(c = ?)", ["a"]),
        ("= 'it's'", "(c = ?)", ["it's"]),
        ("<> 'a'", "(c <> ?)", ["a"]),
        ("like 'a%'", "(c like ? escape '\\')", ["a%"]),
        ("not like 'a%'", "(c not like ? escape '\\')", ["a%"]),
        ("in ('a','b')", "(c in (?, ?))", ["a", "b"]),
        ("between '1' '9'", "(c between ? and ?)", ["1", "9"]),
        ("> '5'", "(c > ?)", ["5"]),
        ("n>= '5'", "(cast(c as integer) >= cast(? as integer))", ["5"]),
        ("begin_of '/a/b'", "(substr(?, 1, length(c)) = c)", ["/a/b"]),
        ("= 'a' || = 'b'", "(c = ? or c = ?)", ["a", "b"]),
        ("like 'a%' && not like 'ab%'", "(c like ? escape '\\' and c not like ? escape '\\')", ["a%", "ab%"]),
    ],
)
def test_condition(expression, sql, values):
    bound: list[object] = []
    assert genquery1.condition("c", expression, bound) == sql
    assert bound == values


@pytest.mark.parametrize("expression", ["", "a", "= a", "'a'", "= 'a' or 1=1", "drop table x"])
def test_what_is_no_condition_is_refused(expression):
    with pytest.raises(IrodsError) as error:
        genquery1.condition("c", expression, [])
    assert error.value.code == -816000


def run(catalogue, *select, where=(), **options):
    request = genquery1.Request(list(select), list(where), **options)
    with catalogue.read() as tx:
        sql, parameters = genquery1.statement(request, ADMIN)
        return tx.rows(sql, parameters)


def test_rows_are_distinct_unless_asked(catalogue):
    kinds = run(catalogue, (203, 1), where=[(901, "= 'public'")])
    assert sorted(kinds) == [("rodsadmin",), ("rodsgroup",)]
    assert run(catalogue, (103, 1)) == [("local",)]
    assert len(run(catalogue, (504, 1), options=0x40)) == 9


def test_values_are_never_part_of_the_statement(catalogue):
    assert run(catalogue, (202, 1), where=[(202, "= 'x' or '1'='1'")]) == []


def test_unknown_column_and_unlinked_tables_are_refused(catalogue):
    for select, code in ([(99999, 1)], -823000), ([(102, 1), (202, 1)], -825000):
        with pytest.raises(IrodsError) as error:
            run(catalogue, *select)
        assert error.value.code == code


def test_paging_ends_with_no_rows_after_a_full_page(catalogue):
    cursors = genquery1.Cursors()

    def page(index):
        with catalogue.read() as tx:
            return cursors.answer(tx, ADMIN, genquery1.Request([(501, 1)], [], 3, index))

    assert ["<continueInx>1<" in page(index) for index in (0, 1, 1)] == [True] * 3
    with pytest.raises(IrodsError) as error:
        page(1)
    assert error.value.code == -808000
    with pytest.raises(IrodsError) as error:
        page(1)
    assert error.value.code == -816000


def test_closing_a_query_forgets_it(catalogue):
    cursors = genquery1.Cursors()
    with catalogue.read() as tx:
        cursors.answer(tx, ADMIN, genquery1.Request([(501, 1)], [], 3))
        cursors.answer(tx, ADMIN, genquery1.Request([(501, 1)], [], 0, 1))
        with pytest.raises(IrodsError):
            cursors.answer(tx, ADMIN, genquery1.Request([(501, 1)], [], 3, 1))


def select2(catalogue, query, client=ADMIN):
    with catalogue.read() as tx:
        return genquery2.answer(tx, client, query, sql_only=False, column_mappings=False)


def test_genquery2_conditions(catalogue):
    assert select2(catalogue, "select USER_NAME where USER_TYPE = 'rodsadmin' or USER_NAME like 'pub%'") == (
        '[["public"],["rods"]]'
    )
    assert select2(
        catalogue, "select USER_NAME where not (USER_NAME in ('rods')) order by USER_NAME desc"
    ) == ('[["public"]]')
    assert select2(catalogue, "select count(USER_ID)") == '[["2"]]'
    assert select2(catalogue, "select ZONE_NAME where ZONE_NAME = 'it''s'") == "[]"
    assert (
        select2(catalogue, "select distinct COLL_NAME order by COLL_NAME limit 1 offset 1")
        == '[["/tempZone"]]'
    )


def test_genquery2_has_a_row_for_what_carries_no_metadata(catalogue):
    everything = select2(catalogue, "select USER_NAME, META_USER_ATTR_NAME order by USER_NAME")
    assert everything == '[["public",""],["rods",""]]'
    assert select2(catalogue, "select USER_NAME where META_USER_ATTR_NAME like 'bic:%'") == "[]"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", -167000),
        ("select", -167000),
        ("select USER_NAME where", -167000),
        ("select USER_NAME where USER_NAME = rods", -167000),
        ("select USER_NAME; drop table r_user_main", -167000),
        ("select USER_NAME limit x", -167000),
        # iRODS 4.3 had it; in 5.0 rows are distinct only when asked.
        ("select no distinct USER_NAME", -167000),
        ("select NOTHING", -130000),
        ("select USER_NAME where NOTHING = 'x'", -130000),
    ],
)
def test_genquery2_refusals(catalogue, query, code):
    with pytest.raises(IrodsError) as error:
        select2(catalogue, query)
    assert error.value.code == code
