"""The operations of the recorded trace, in its order, as calls of python-irodsclient.

Each takes the administrator's session and a `Zone` with which it opens others; what later operations need is
made by earlier ones.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from irods.access import iRODSAccess
from irods.column import In, Like
from irods.meta import AVUOperation, iRODSMeta
from irods.models import (
    Collection,
    CollectionAccess,
    CollectionMeta,
    DataObject,
    Group,
    Quota,
    Resource,
    RuleExec,
    User,
    Zone,
)
from irods.rule import Rule
from irods.session import iRODSSession

HOST = "icat.irods-real.test"
TEAM = "/tempZone/home/team1"
RAW = f"{TEAM}/raw"
RULE_ENGINE = "irods_rule_engine_plugin-irods_rule_language-instance"
ALICE = {"user": "alice", "password": "alice's password"}

OpenSession = Callable[..., AbstractContextManager[iRODSSession]]


@dataclass(frozen=True)
class Context:
    """What an operation works with."""

    session: iRODSSession
    open_session: OpenSession


OPERATIONS: dict[str, Callable[[Context], Any]] = {}


def operation(name: str) -> Callable[[Callable[[Context], Any]], Callable[[Context], Any]]:
    def register(call: Callable[[Context], Any]) -> Callable[[Context], Any]:
        OPERATIONS[name] = call
        return call

    return register


def _simple(name: str, call: Callable[[iRODSSession], Any]) -> None:
    OPERATIONS[name] = lambda context: call(context.session)


def _rows(query: Any, *columns: Any) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[column] for column in columns) for row in query)


def _select(*columns: Any, where: tuple[Any, ...] = ()) -> Callable[[iRODSSession], Any]:
    return lambda session: _rows(session.query(*columns).filter(*where), *columns)


def _log_in(context: Context, **overrides: Any) -> Any:
    with context.open_session(**overrides) as session:
        return session.server_version if session.pool.get_connection() else None


@operation("connect and native login")
def _connect(context: Context) -> Any:
    return _log_in(context)


@operation("login wrong password")
def _wrong_password(context: Context) -> Any:
    return _log_in(context, password="wrong")


@operation("login unknown user")
def _unknown_user(context: Context) -> Any:
    return _log_in(context, user="nobody9")


@operation("login wrong zone")
def _wrong_zone(context: Context) -> Any:
    return _log_in(context, zone="noZone")


_simple("client_hints", lambda s: s.client_hints)


@operation("server_version_without_auth")
def _version_without_authentication(context: Context) -> Any:
    with context.open_session() as session:
        return session.server_version_without_auth()


_simple("library_features", lambda s: s.library_features())
_simple("user create", lambda s: s.users.create("alice", "rodsuser"))
_simple("user create again", lambda s: s.users.create("alice", "rodsuser"))
_simple("user create bad type", lambda s: s.users.create("bob", "nosuchtype"))
_simple("user create groupadmin", lambda s: s.users.create("carol", "groupadmin"))
_simple("user create accents", lambda s: s.users.create("hélène", "rodsuser"))
_simple("user create illegal name", lambda s: s.users.create("bad name#", "rodsuser"))
_simple("user set password", lambda s: s.users.modify("alice", "password", ALICE["password"]))
_simple("user set type", lambda s: s.users.modify("carol", "type", "rodsuser"))
_simple("user set comment", lambda s: s.users.modify("alice", "comment", "a comment"))
_simple("user set info", lambda s: s.users.modify("alice", "info", "some info"))
_simple("user get", lambda s: s.users.get("alice"))
_simple("user get missing", lambda s: s.users.get("zoe"))
_simple("user modify missing", lambda s: s.users.modify("zoe", "comment", "x"))
_simple("user remove missing", lambda s: s.users.remove("zoe"))
_simple("group create", lambda s: s.groups.create("team1"))
_simple("group create again", lambda s: s.groups.create("team1"))
_simple("group addmember", lambda s: s.groups.addmember("team1", "alice"))
_simple("group addmember again", lambda s: s.groups.addmember("team1", "alice"))
_simple("group addmember missing user", lambda s: s.groups.addmember("team1", "zoe"))
_simple("group addmember missing group", lambda s: s.groups.addmember("nogroup", "alice"))
_simple("group members", lambda s: [user.name for user in s.groups.get("team1").members])
_simple("group get missing", lambda s: s.groups.get("nogroup"))


def _as_alice(name: str, call: Callable[[iRODSSession], Any]) -> None:
    def run(context: Context) -> Any:
        with context.open_session(**ALICE) as session:
            return call(session)

    OPERATIONS[name] = run


_as_alice("alice login", lambda s: s.collections.get("/tempZone/home/alice").path)
_as_alice("alice creates a user (refused)", lambda s: s.users.create("mallory", "rodsuser"))
_as_alice("alice reads users", lambda s: [row[User.name] for row in s.query(User.name)])
_simple("collection exists", lambda s: s.collections.exists(TEAM))
_simple(
    "collection create in group home as admin without permission (refused)",
    lambda s: s.collections.create(f"{TEAM}/raw0"),
)
_simple(
    "collection create in group home with admin keyword",
    lambda s: s.collections.create(f"{TEAM}/rawadm", irodsAdmin=""),
)


def _acl(level: str, path: str, user: str = "", **options: Any) -> Callable[[iRODSSession], Any]:
    zone = "tempZone" if user else ""
    return lambda session: session.acls.set(iRODSAccess(level, path, user, zone), **options)


_simple("acl set own for rods on group home, admin", _acl("own", TEAM, "rods", admin=True))
_simple(
    "acl query group home",
    _select(
        Collection.name, CollectionAccess.name, CollectionAccess.user_id, where=(Collection.name == TEAM,)
    ),
)
_simple("collection create", lambda s: s.collections.create(RAW).path)
_simple("collection create recursive", lambda s: s.collections.create(f"{TEAM}/a/b/c").path)
_simple("collection create again", lambda s: s.collections.create(RAW, recurse=False))
_simple("collection create no parent", lambda s: s.collections.create(f"{TEAM}/x/y", recurse=False))
_simple("collection get missing", lambda s: s.collections.get(f"{TEAM}/nope"))
_as_alice(
    "alice creates in foreign collection (refused)",
    lambda s: s.collections.create("/tempZone/home/rods/intruder"),
)
_simple("acl set own group", _acl("own", RAW, "team1"))
_simple("acl set write", _acl("write", RAW, "alice"))
_simple("acl set read recursive admin", _acl("read", TEAM, "carol", recursive=True, admin=True))
_simple("acl set unknown user", _acl("read", TEAM, "zoe"))
_simple("acl set missing path", _acl("read", f"{TEAM}/nope", "alice"))
_simple("acl set bad level", _acl("nosuch", TEAM, "alice"))
_simple("acl null", _acl("null", RAW, "carol"))
_simple("inherit on", _acl("inherit", RAW))
_simple("inherit off", _acl("noinherit", RAW))
_simple("acl set admin keyword own", _acl("own", RAW, "team1", admin=True))
_simple("acl get", lambda s: s.acls.get(s.collections.get(RAW)))


def _write(path: str, content: bytes) -> Callable[[iRODSSession], Any]:
    def write(session: iRODSSession) -> None:
        with session.data_objects.open(path, "w") as file:
            file.write(content)

    return write


def _read(path: str) -> Callable[[iRODSSession], Any]:
    def read(session: iRODSSession) -> bytes:
        with session.data_objects.open(path, "r") as file:
            return bytes(file.read())

    return read


def _seek_and_read(session: iRODSSession) -> Any:
    file = session.data_objects.open(f"{RAW}/f1", "r")
    return file.seek(6), file.read(5), file.close()


_simple("data write", _write(f"{RAW}/f1", b"hello world" * 10))
_simple("data read", _read(f"{RAW}/f1"))
_simple("data seek read", _seek_and_read)
_simple("data checksum", lambda s: s.data_objects.chksum(f"{RAW}/f1"))
_simple("data get", lambda s: s.data_objects.get(f"{RAW}/f1").size)
_simple("data get missing", lambda s: s.data_objects.get(f"{RAW}/none"))
_simple("data open missing", lambda s: s.data_objects.open(f"{RAW}/none", "r"))
_simple("data write no collection", _write(f"{TEAM}/nocoll/f", b"x"))
_as_alice("alice writes allowed", _write(f"{RAW}/alice1", b"a"))
_as_alice("alice writes refused", _write("/tempZone/home/rods/no", b"x"))
_as_alice("alice reads refused", _read("/tempZone/trash/none"))
_simple("data rename", lambda s: s.data_objects.move(f"{RAW}/f1", f"{RAW}/f2"))
_simple("data copy", lambda s: s.data_objects.copy(f"{RAW}/f2", f"{RAW}/f3"))
_simple("data unlink to trash", lambda s: s.data_objects.unlink(f"{RAW}/f3"))
_simple("data unlink force", lambda s: s.data_objects.unlink(f"{RAW}/alice1", force=True))
_simple("data unlink missing", lambda s: s.data_objects.unlink(f"{RAW}/none", force=True))


def _avu(change: str, kind: Any, name: str, *avu: str) -> Callable[[iRODSSession], Any]:
    return lambda session: getattr(session.metadata, change)(kind, name, iRODSMeta(*avu))


def _atomic(session: iRODSSession) -> None:
    session.collections.get(TEAM).metadata.apply_atomic_operations(
        AVUOperation(operation="add", avu=iRODSMeta("bic:k1", "v1")),
        AVUOperation(operation="add", avu=iRODSMeta("bic:k2", "é", "unit")),
        AVUOperation(operation="remove", avu=iRODSMeta("bic:none", "x")),
    )


_simple("avu add", _avu("add", Collection, TEAM, "bic:facility", "nantes", "v1"))
_simple("avu add again", _avu("add", Collection, TEAM, "bic:facility", "nantes", "v1"))
_simple("avu set", _avu("set", Collection, TEAM, "bic:owner", "bic"))
_simple("avu set other value", _avu("set", Collection, TEAM, "bic:owner", "bic2"))
_simple("avu remove", _avu("remove", Collection, TEAM, "bic:owner", "bic2"))
_simple("avu remove missing", _avu("remove", Collection, TEAM, "bic:owner", "bic2"))
_simple("avu atomic", _atomic)
_simple(
    "avu atomic missing path",
    lambda s: s.metadata.apply_atomic_operations(
        Collection, f"{TEAM}/nope", AVUOperation(operation="add", avu=iRODSMeta("a", "b"))
    ),
)
_simple("avu on user", _avu("add", User, "alice", "bic:managed", "yes"))
_simple("avu on group as user", _avu("add", User, "team1", "bic:managed", "yes"))
_simple("avu on resource", _avu("add", Resource, "demoResc", "bic:managed", "yes"))
_simple(
    "avu get collection",
    lambda s: [(avu.name, avu.value, avu.units) for avu in s.collections.get(TEAM).metadata.items()],
)
_simple("avu empty value", _avu("add", Collection, TEAM, "bic:empty", ""))
_simple(
    "resource create", lambda s: s.resources.create("ufs1", "unixfilesystem", HOST, "/var/lib/irods/Vault1")
)
_simple(
    "resource create again",
    lambda s: s.resources.create("ufs1", "unixfilesystem", HOST, "/var/lib/irods/Vault1"),
)
_simple(
    "resource create bad host",
    lambda s: s.resources.create("ufs9", "unixfilesystem", "no.such.host.test", "/x"),
)
_simple("resource create replication", lambda s: s.resources.create("repl", "replication"))
_simple("resource create passthru", lambda s: s.resources.create("pt", "passthru"))
_simple("resource add child", lambda s: s.resources.add_child("repl", "ufs1"))
_simple("resource add child again", lambda s: s.resources.add_child("repl", "ufs1"))
_simple("resource modify comment", lambda s: s.resources.modify("ufs1", "comment", "rack 3"))
_simple("resource modify status", lambda s: s.resources.modify("ufs1", "status", "down"))
_simple("resource modify context", lambda s: s.resources.modify("pt", "context", "read=0.5;write=1.0"))
_simple("resource modify free_space", lambda s: s.resources.modify("ufs1", "free_space", "123456789"))


def _describe_resource(session: iRODSSession) -> Any:
    found = session.resources.get("ufs1")
    return (
        found.name,
        found.type,
        found.location,
        found.vault_path,
        found.status,
        found.context,
        found.parent_id,
    )


_simple("resource get", _describe_resource)
_simple("resource get missing", lambda s: s.resources.get("none"))
_simple("resource remove child", lambda s: s.resources.remove_child("repl", "ufs1"))
_simple("resource remove", lambda s: s.resources.remove("pt"))
_simple("resource remove missing", lambda s: s.resources.remove("pt"))
_simple("quota set total", lambda s: s.groups.set_quota("team1", 2000000))
_simple("quota set again", lambda s: s.groups.set_quota("team1", 3000000))
_simple("quota set resource", lambda s: s.groups.set_quota("team1", 1000000, resource="demoResc"))
_simple("quota missing group", lambda s: s.groups.set_quota("nogroup", 1000000))
_simple("quota on user (refused)", lambda s: s.users.set_quota("alice", 1000000))
_simple("quota calculate", lambda s: s.users.calculate_usage())
_simple("quota query", _select(Quota.user_id, Quota.resc_id, Quota.limit, Quota.over, Quota.modify_time))
_simple("quota remove", lambda s: s.groups.remove_quota("team1", resource="demoResc"))


def _in_any_order(*columns: Any, where: tuple[Any, ...] = ()) -> Callable[[iRODSSession], Any]:
    return lambda session: [
        tuple(row[column] for column in columns) for row in session.query(*columns).filter(*where)
    ]


_simple(
    "query users",
    _in_any_order(User.id, User.name, User.type, User.zone, User.info, User.comment, User.create_time),
)
_simple("query memberships", _select(Group.name, User.name))
_simple(
    "query collections like", _select(Collection.name, where=(Like(Collection.name, "/tempZone/home/%"),))
)
_simple(
    "query acl",
    _in_any_order(
        Collection.name,
        Collection.inheritance,
        CollectionAccess.name,
        CollectionAccess.user_id,
        where=(Like(Collection.name, f"{TEAM}%"),),
    ),
)
_simple(
    "query coll avu",
    _in_any_order(
        Collection.name,
        CollectionMeta.name,
        CollectionMeta.value,
        CollectionMeta.units,
        where=(Like(CollectionMeta.name, "bic:%"),),
    ),
)
_simple(
    "query data",
    _in_any_order(
        DataObject.name,
        DataObject.size,
        DataObject.checksum,
        DataObject.resource_name,
        DataObject.replica_number,
        DataObject.replica_status,
        Collection.name,
    ),
)
_simple(
    "query aggregate sum count",
    lambda s: [
        dict(row.items()) for row in s.query(Collection.name).sum(DataObject.size).count(DataObject.id)
    ],
)
_simple("query in", _select(User.name, where=(In(User.name, ["alice", "carol"]),)))
_simple("query between", _select(DataObject.name, where=(DataObject.size > 10,)))
_simple("query no rows", _select(User.name, where=(User.name == "nobody9",)))
_simple(
    "query order limit offset",
    lambda s: [row[User.name] for row in s.query(User.name).order_by(User.name, "desc").limit(2).offset(1)],
)
_simple(
    "query resources",
    _in_any_order(
        Resource.id,
        Resource.name,
        Resource.type,
        Resource.location,
        Resource.vault_path,
        Resource.status,
        Resource.free_space,
        Resource.parent,
        Resource.context,
    ),
)
_simple("query zone", _select(Zone.name, Zone.type))
_simple("query delay rules", _select(RuleExec.id, RuleExec.name))
_simple("query paging 500+", lambda s: len(list(s.query(User.name))))


def _genquery2(name: str, query: str) -> None:
    OPERATIONS[name] = lambda context: context.session.genquery2(query)


_genquery2(
    "genquery2 users",
    "select USER_ID, USER_NAME, USER_TYPE, USER_ZONE"
    " where USER_TYPE != 'rodsgroup' order by USER_ID limit 100",
)
_genquery2("genquery2 members", "select GROUP_ID, GROUP_MEMBER_ID order by GROUP_ID limit 20")


def _column_mappings(session: iRODSSession) -> Any:
    session.genquery2_object().get_column_mappings()
    return session.genquery2_object().get_column_mappings()


_simple("genquery2 column mappings", _column_mappings)
_simple("genquery2 sql of a query", lambda s: s.genquery2_object().get_sql("select USER_NAME limit 3"))
_genquery2(
    "genquery2 acl",
    "select COLL_NAME, COLL_INHERITANCE, COLL_ACCESS_USER_NAME, COLL_ACCESS_USER_ZONE, COLL_ACCESS_PERM_NAME"
    " where COLL_NAME like '/tempZone/home/team1%' limit 100",
)
_genquery2(
    "genquery2 avu",
    "select COLL_NAME, META_COLL_ATTR_NAME, META_COLL_ATTR_VALUE, META_COLL_ATTR_UNITS"
    " where META_COLL_ATTR_NAME like 'bic:%' limit 100",
)
_genquery2(
    "genquery2 aggregate",
    "select COLL_NAME, count(DATA_ID), sum(DATA_SIZE) group by COLL_NAME limit 100",
)
_genquery2("genquery2 syntax error", "select nonsense from")
_genquery2("genquery2 unknown column", "select NO_SUCH_COLUMN")
_simple("genquery2 default limit", lambda s: len(s.genquery2("select USER_NAME")))


def _rule(body: str) -> Callable[[iRODSSession], Any]:
    return lambda session: Rule(session, body=body, output="ruleExecOut", instance_name=RULE_ENGINE).execute()


_simple("rule writeLine", _rule("writeLine('stdout', 'hi')"))
_simple("rule syntax error", _rule("writeLine('stdout', "))
_simple("rule fail", _rule("failmsg(-2000, 'no')"))
_simple("group removemember", lambda s: s.groups.removemember("team1", "alice"))
_simple("group removemember again", lambda s: s.groups.removemember("team1", "alice"))
_simple("group remove", lambda s: s.groups.remove("g001"))
_simple("user remove", lambda s: s.users.remove("carol"))
_simple("user remove owning data", lambda s: s.users.remove("alice"))
_simple("collection remove not empty", lambda s: s.collections.remove(RAW, recurse=False))
_simple(
    "collection remove recursive force", lambda s: s.collections.remove(f"{TEAM}/a", recurse=True, force=True)
)


def prepare(name: str, session: iRODSSession) -> None:
    """Make what was made between two operations without being recorded: 620 groups before the paging."""
    if name == "query paging 500+":
        for number in range(620):
            session.groups.create(f"g{number:03}", group_admin=False)
