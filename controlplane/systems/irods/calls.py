"""The calls to an iRODS server that the control plane makes, one request each unless a docstring says more.

The client library's own helpers often ask for the object again after each change, which would double the
requests of an apply. Everything here raises what the library raises; `Client.session` turns it into an
IrodsError.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import count as numbers

from irods.api_number import api_number
from irods.column import Column, Criterion
from irods.exception import CAT_NO_ROWS_FOUND
from irods.message import (
    ET,
    FileOpenRequest,
    GenQuery2Request,
    GenQueryRequest,
    IntegerIntegerMap,
    IntegerStringMap,
    Message,
    ModAclRequest,
    MsParamArray,
    RodsHostAddress,
    RuleExecutionRequest,
    StringStringMap,
    iRODSMessage,
)
from irods.message.property_types import IntegerProperty, StringProperty, SubmessageProperty
from irods.meta import AVUOperation, iRODSMeta
from irods.models import DataObject, User
from irods.session import iRODSSession

PAGE = 2000
"""Rows of one GenQuery1 answer. The server takes any number and keeps that many rows in memory at a time."""

PAGE_2 = 50_000
"""Rows of one GenQuery2 answer. The server sets no limit; it keeps the answer in memory as JSON."""

RULE_ENGINE = "irods_rule_engine_plugin-irods_rule_language-instance"
"""The rule engine that every installed server has."""

# GenQuery1's aggregate functions, and what stands for none.
PLAIN, MIN, MAX, _SUM, COUNT = 1, 2, 3, 4, 6

# What a request about a data object is for (REPLICATE_OPR in dataObjInpOut.h).
_REPLICATE = 6

EMPTY_HOST, EMPTY_VAULT = "EMPTY_RESC_HOST", "EMPTY_RESC_PATH"
"""Host and vault of a storage resource that coordinates others."""

COLLECTION, ACCOUNT, STORAGE_RESOURCE, DATA_OBJECT = "-C", "-u", "-R", "-d"
"""What an AVU is on, as the server calls it; groups are accounts."""


Row = tuple[str, ...]
"""What a query answers for one object, in the order of the columns."""


class _FreeSpaceRequest(Message):  # type: ignore[misc]
    """`fileGetFsFreeSpaceInp_PI` of iRODS 5.0.2, which the client library does not name."""

    _name = "fileGetFsFreeSpaceInp_PI"
    RHostAddr_PI = SubmessageProperty(RodsHostAddress)
    fileName = StringProperty()
    rescHier = StringProperty()
    objPath = StringProperty()
    flag = IntegerProperty()


class _ProcessesRequest(Message):  # type: ignore[misc]
    """`ProcStatInp_PI`, which the client library does not name."""

    _name = "ProcStatInp_PI"
    addr = StringProperty()
    rodsZone = StringProperty()
    KeyValPair_PI = SubmessageProperty(StringStringMap)


class _Packed:
    """A message as the XML that it is sent as.

    The library makes an object of each word of `GeneralAdminRequest` and `MetadataRequest`, which takes four
    times as long, and an apply of a nation sends tens of thousands of them.
    """

    def __init__(self, name: str, words: Iterable[tuple[int, str]], rest: str = "") -> None:
        """Name the message as the protocol does; `words` have their places."""
        given = [f"<arg{i}>{escape(word, quote=False)}</arg{i}>" for i, word in words]
        self._text = f"<{name}>{''.join(given)}{rest}</{name}>"

    def pack(self) -> str:
        """As the library's messages are packed."""
        return self._text


_NO_WORDS = tuple("".join(f"<arg{i}></arg{i}>" for i in range(given, 10)) for given in range(11))
"""What stands for the rest of ten words."""

_KEYWORDS = StringStringMap({}).pack(), StringStringMap({"irodsAdmin": ""}).pack()
"""What follows a change of an AVU as one's own self, and as an administrator."""


class TornAnswerError(ValueError):
    """An answer whose pages do not fit together."""


def request(session: iRODSSession, api: str, body: object) -> iRODSMessage:
    """Send one request and return the server's reply."""
    with session.pool.get_connection() as connection:
        connection.send(iRODSMessage("RODS_API_REQ", msg=body, int_info=api_number[api]))
        return connection.recv()


def administer(session: iRODSSession, *words: str) -> None:
    """What `iadmin` does, as the words of the protocol."""
    request(session, "GENERAL_ADMIN_AN", administration(*words))


def administration(*words: str) -> _Packed:
    """The message of what `iadmin` does; all its ten words have to be there."""
    return _Packed("generalAdminInp_PI", enumerate(words), _NO_WORDS[len(words)])


def set_mark(session: iRODSSession, kind: str, name: str, avu: tuple[str, str, str]) -> None:
    """Give an object an AVU in place of all others with that attribute; as an administrator if need be."""
    change_avu(session, "set", kind, name, avu, as_admin=kind == COLLECTION)


def change_avu(
    session: iRODSSession,
    verb: str,
    kind: str,
    name: str,
    avu: tuple[str, str, str],
    *,
    as_admin: bool = False,
) -> None:
    """Change one AVU of an object as `imeta` does with that verb: `add`, `rm`, `set` in place of others."""
    request(session, "MOD_AVU_METADATA_AN", change_of_avu(verb, kind, name, avu, as_admin=as_admin))


def change_of_avu(
    verb: str, kind: str, name: str, avu: tuple[str, str, str], *, as_admin: bool = False
) -> _Packed:
    """The message of one change of an AVU; an empty unit stays out."""
    words = [(i, word) for i, word in enumerate((verb, kind, name, *avu)) if word]
    return _Packed("ModAVUMetadataInp_PI", words, _KEYWORDS[as_admin])


def change_avus(
    session: iRODSSession,
    account: str,
    *,
    add: Iterable[tuple[str, str, str]] = (),
    remove: Iterable[tuple[str, str, str]] = (),
) -> None:
    """Add and remove AVUs of an account, all or none; what is done already is no error."""
    operations = [
        AVUOperation(operation=verb, avu=iRODSMeta(*avu))
        for verb, avus in (("add", add), ("remove", remove))
        for avu in avus
    ]
    if operations:
        session.metadata.apply_atomic_operations(User, account, *operations)


def set_access(session: iRODSSession, path: str, account: tuple[str, str], level: str) -> None:
    """Give an account (name and zone) a level of access to a collection and all in it; null takes it away."""
    request(
        session,
        "MOD_ACCESS_CONTROL_AN",
        ModAclRequest(
            recursiveFlag=1, accessLevel=f"admin:{level}", userName=account[0], zone=account[1], path=path
        ),
    )


def set_inheritance(session: iRODSSession, path: str, *, on: bool) -> None:
    """Let what is new in a collection take over its access, or not."""
    level = "admin:inherit" if on else "admin:noinherit"
    body = ModAclRequest(recursiveFlag=0, accessLevel=level, userName="", zone="", path=path)
    request(session, "MOD_ACCESS_CONTROL_AN", body)


def run_on(session: iRODSSession, host: str) -> None:
    """Let the session's server reach the server on `host` and run a rule there that does nothing.

    The session's server has to resolve the name for it, as it will for each storage resource on that host.
    """
    rule = RuleExecutionRequest(
        myRule="@external rule { writeLine('stdout', 'reached') }",
        addr=RodsHostAddress(hostAddr=host, rodsZone="", port=0, dummyInt=0),
        condInput=StringStringMap({"instance_name": RULE_ENGINE}),
        outParamDesc="ruleExecOut",
        inpParamArray=MsParamArray(paramLen=0, oprType=0, MsParam_PI=[]),
    )
    request(session, "EXEC_MY_RULE_AN", rule)


def run_rule(session: iRODSSession, rule: str) -> None:
    """Let the server carry out a rule's text with its rule engine for the rule language."""
    body = RuleExecutionRequest(
        myRule=f"@external rule {{ {rule} }}",
        addr=RodsHostAddress(hostAddr="", rodsZone="", port=0, dummyInt=0),
        condInput=StringStringMap({"instance_name": RULE_ENGINE}),
        outParamDesc="ruleExecOut",
        inpParamArray=MsParamArray(paramLen=0, oprType=0, MsParam_PI=[]),
    )
    request(session, "EXEC_MY_RULE_AN", body)


def free_space(session: iRODSSession, hierarchy: str, vault: str) -> int:
    """The bytes that a user may still write on the file system of a storage resource's vault, asked of its
    host.

    `hierarchy` is the names from the root of its tree to itself, with semicolons between.
    """
    body = _FreeSpaceRequest(
        RHostAddr_PI=RodsHostAddress(hostAddr="", rodsZone="", port=0, dummyInt=0),
        fileName=f"{vault}/",
        rescHier=hierarchy,
        # The server wants a logical path and uses it for messages alone.
        objPath=f"/{session.zone}",
        flag=0,
    )
    reply = request(session, "FILE_GET_FS_FREE_SPACE_AN", body)
    return int(ET().fromstring(reply.msg).findtext("size"))


def replicate(session: iRODSSession, path: str, hierarchy: str) -> None:
    """Copy a data object to a storage resource that holds data, as an administrator.

    `hierarchy` is as in `free_space`: the server takes the bare name for roots alone.
    """
    request(session, "DATA_OBJ_REPL_AN", _data_object(path, {"dest_resc_hier": hierarchy}, _REPLICATE))


def trim(session: iRODSSession, path: str, replica: str) -> bool:
    """Remove one replica of a data object, as an administrator, and say whether the server did so.

    It refuses to remove the last good one.
    """
    # Without a number of its own, a server keeps at least two replicas and says nothing.
    reply = request(session, "DATA_OBJ_TRIM_AN", _data_object(path, {"replNum": replica, "copies": "1"}))
    return bool(reply.int_info > 0)


def _data_object(path: str, keywords: Mapping[str, str], operation: int = 0) -> FileOpenRequest:
    return FileOpenRequest(
        objPath=path,
        createMode=0,
        openFlags=0,
        offset=0,
        dataSize=-1,
        numThreads=0,
        oprType=operation,
        KeyValPair_PI=StringStringMap({"irodsAdmin": "", **keywords}),
    )


def rows(
    session: iRODSSession, columns: Sequence[Column], where: Sequence[Criterion] = (), page: int = PAGE
) -> list[Row]:
    """All rows of a GenQuery1 query as texts: one request a page, and none stays open on the server."""
    selection = {column.icat_id: 1 for column in columns}
    return [row for some in _pages(session, selection, where, page) for row in some]


def first_rows(
    session: iRODSSession, columns: Sequence[Column], where: Sequence[Criterion], number: int
) -> list[Row]:
    """Some rows of a GenQuery1 query as texts, at most `number`; the query does not stay open."""
    selection = {column.icat_id: 1 for column in columns}
    found, further = _page(session, selection, where, number, 0)
    if further > 0:
        _page(session, selection, where, 0, further)
    return found


def amount(session: iRODSSession, *where: Criterion) -> tuple[int, int]:
    """Replicas of data objects and their bytes, counted by the catalogue."""
    found = amounts(session, (), *where)
    return found.get((), (0, 0))


def amounts(
    session: iRODSSession, by: Sequence[Column], *where: Criterion
) -> dict[tuple[str, ...], tuple[int, int]]:
    """Replicas of data objects and their bytes by the values of some columns, counted by the catalogue."""
    selection = {column.icat_id: PLAIN for column in by}
    selection |= {DataObject.id.icat_id: COUNT, DataObject.size.icat_id: _SUM}
    found = [row for some in _pages(session, selection, where, PAGE) for row in some]
    # The sum over nothing comes as an empty text.
    return {row[:-2]: (int(row[-2] or 0), int(row[-1] or 0)) for row in found}


def aggregate(session: iRODSSession, functions: Mapping[Column, int], *where: Criterion) -> Row:
    """One row of aggregates as texts, each column's by its function; empty texts over nothing."""
    selection = {column.icat_id: function for column, function in functions.items()}
    found = [row for some in _pages(session, selection, where, 2) for row in some]
    return found[0] if found else ("",) * len(selection)


def agents(session: iRODSSession) -> int:
    """How many agents the session's server has at the moment, the one that answers among them."""
    body = _ProcessesRequest(addr="", rodsZone="", KeyValPair_PI=StringStringMap({"execLocally": ""}))
    reply = request(session, "PROC_STAT_AN", body)
    return int(ET().fromstring(reply.msg).findtext("rowCnt"))


def _pages(
    session: iRODSSession, selection: Mapping[int, int], where: Sequence[Criterion], page: int
) -> Iterator[list[Row]]:
    """The rows of a GenQuery1 query, page by page; `selection` is columns with their aggregate functions."""
    further = 0
    while True:
        found, further = _page(session, selection, where, page, further)
        yield found
        if further <= 0:
            return


def _page(
    session: iRODSSession, selection: Mapping[int, int], where: Sequence[Criterion], size: int, further: int
) -> tuple[list[Row], int]:
    """One page of a GenQuery1 query, and by what to ask for the next: 0 when there is none.

    With a size of 0 the query ends.
    """
    conditions = {
        criterion.query_key.icat_id: f"{criterion.op} {criterion.irods_value}" for criterion in where
    }
    body = GenQueryRequest(
        maxRows=size,
        continueInx=further,
        partialStartIndex=0,
        options=0,
        KeyValPair_PI=StringStringMap({}),
        InxIvalPair_PI=IntegerIntegerMap(selection),
        InxValPair_PI=IntegerStringMap(conditions),
    )
    try:
        reply = request(session, "GEN_QUERY_AN", body)
    except CAT_NO_ROWS_FOUND:
        return [], 0
    if size == 0:
        return [], 0
    answer = ET().fromstring(reply.msg)
    found = [
        [value.text or "" for value in column.iterfind("value")]
        for column in answer.findall("SqlResult_PI")[: len(selection)]
    ]
    count = int(answer.findtext("rowCnt"))
    if len(found) != len(selection) or any(len(values) != count for values in found):
        raise TornAnswerError("an answer does not hold what was asked for")
    return list(zip(*found, strict=True)), int(answer.findtext("continueInx"))


def has_genquery2(session: iRODSSession) -> bool:
    """Whether the server answers GenQuery2; known from the login."""
    return bool(session.server_version >= (4, 3, 2))


def rows_2(session: iRODSSession, query: str, order: str, page: int = PAGE_2) -> list[Row]:
    """All distinct rows of a GenQuery2 query as texts, one request a page.

    `query` has no `select` and `order` names selected columns that tell any two rows apart. GenQuery2 has no
    cursor: each page begins with the last row of the one before it, and when it does not, rows were added
    or removed meanwhile and TornAnswerError is raised.
    """
    # Before iRODS 5 rows are distinct without the word, which is an error of syntax there.
    distinct = "distinct " if session.server_version >= (5, 0, 0) else ""
    found: list[Row] = []
    for number in numbers():
        # One row of overlap on every page but the first.
        start = number * (page - 1)
        text = f"select {distinct}{query} order by {order} limit {page} offset {start}"
        body = GenQuery2Request(query_string=text, zone=session.zone, sql_only=0, column_mappings=0)
        reply = request(session, "GENQUERY2_AN", body)
        some = [tuple(row) for row in json.loads(ET().fromstring(reply.msg).findtext("myStr"))]
        if number and (not some or some[0] != found[-1]):
            raise TornAnswerError("rows were added or removed while they were read")
        found.extend(some[1:] if number else some)
        if len(some) < page:
            break
    return found
