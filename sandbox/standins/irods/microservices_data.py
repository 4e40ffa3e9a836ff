"""Microservices that work on data objects, collections and their metadata: by the APIs, as the client.

What a microservice does comes to no dynamic policy enforcement points on this server: in iRODS it calls the
operation inside the server too.
"""

from collections.abc import Mapping

from .access import split
from .errors import Code, IrodsError
from .microservices import pairs, string
from .rulequeries import rows
from .rulescope import Arguments, Scope, microservice
from .rulevalues import RuleError
from .schema import ACCESS_TYPES
from .wire import Message, Node, element, leaf

UNLINK, RENAME, CHECKSUM, REMOVE_COLLECTION, CREATE_COLLECTION = 615, 627, 629, 679, 681
REPLICATE, METADATA, ACCESS = 695, 706, 707
_RENAME_DATA, _RENAME_COLLECTION = 11, 12
_METADATA_FIELDS = 10


def keywords(flags: str) -> dict[str, str]:
    """Return the keywords in a text such as `destRescName=demoResc++++forceFlag=`."""
    words = (part.partition("=") for part in flags.split("++++") if part and part != "null")
    return {name: value for name, _, value in words}


def _key_values(words: Mapping[str, str]) -> str:
    return element(
        "KeyValPair_PI",
        leaf("ssLen", len(words)),
        *(leaf("keyWord", word) for word in words),
        *(leaf("svalue", value) for value in words.values()),
    )


def data_object(path: str, words: Mapping[str, str], operation: int = 0) -> str:
    """Return a packed `DataObjInp_PI`."""
    zeros = [leaf(name, 0) for name in ("createMode", "openFlags", "offset", "dataSize", "numThreads")]
    return element(
        "DataObjInp_PI", leaf("objPath", path), *zeros, leaf("oprType", operation), _key_values(words)
    )


def do(scope: Scope, number: int, packed: str) -> Message:
    """Carry out an API and return its reply. Raises its refusal."""
    reply = scope.request(number, packed)
    if reply.int_info < 0:
        raise IrodsError(reply.int_info)
    return reply


def _path(given: str) -> tuple[str, dict[str, str]]:
    """Return the path and the keywords of an input such as `objPath=/x++++forceFlag=`, or of a mere path."""
    if given.startswith("/"):
        return given, {}
    words = keywords(given)
    return words.pop("objPath", words.pop("collName", "")), words


@microservice("msiDataObjChksum")
def checksum(scope: Scope, arguments: Arguments) -> int:
    """Compute, verify or tell a checksum: `(path, flags, *checksum)`."""
    path, words = _path(string(arguments, 0))
    reply = do(scope, CHECKSUM, data_object(path, words | keywords(string(arguments, 1))))
    arguments[2] = Node.parse(reply.body).get("myStr")
    return 0


@microservice("msiDataObjRepl")
def replicate(scope: Scope, arguments: Arguments) -> int:
    """Make or update a replica: `(path, flags, *status)`."""
    path, words = _path(string(arguments, 0))
    do(scope, REPLICATE, data_object(path, words | keywords(string(arguments, 1))))
    arguments[2] = 0
    return 0


@microservice("msiDataObjUnlink")
def unlink(scope: Scope, arguments: Arguments) -> int:
    """Remove a data object: `(input, *status)`."""
    path, words = _path(string(arguments, 0))
    do(scope, UNLINK, data_object(path, words))
    arguments[1] = 0
    return 0


@microservice("msiDataObjRename")
def rename(scope: Scope, arguments: Arguments) -> int:
    """Give a data object (type 0) or collection (1) another path: `(from, to, type, *status)`."""
    kind = _RENAME_COLLECTION if arguments[2] in ("1", 1) else _RENAME_DATA
    sides = [data_object(string(arguments, position), {}, kind) for position in (0, 1)]
    do(scope, RENAME, element("DataObjCopyInp_PI", *sides))
    arguments[3] = 0
    return 0


@microservice("msiCollCreate")
def create_collection(scope: Scope, arguments: Arguments) -> int:
    """Make a collection, with flag 1 those above it too: `(path, flag, *status)`."""
    words = {"recursiveOpr": ""} if arguments[1] in ("1", 1) else {}
    do(scope, CREATE_COLLECTION, _collection(string(arguments, 0), words))
    arguments[2] = 0
    return 0


@microservice("msiRmColl")
def remove_collection(scope: Scope, arguments: Arguments) -> int:
    """Remove a collection with all that is in it: `(path, flags, *status)`."""
    path, words = _path(string(arguments, 0))
    words |= keywords(string(arguments, 1)) | {"recursiveOpr": ""}
    do(scope, REMOVE_COLLECTION, _collection(path, words))
    arguments[2] = 0
    return 0


def _collection(path: str, words: Mapping[str, str]) -> str:
    return element(
        "CollInpNew_PI", leaf("collName", path), leaf("flags", 0), leaf("oprType", 0), _key_values(words)
    )


def _metadata(scope: Scope, *words: str) -> None:
    fields = [*words, *[""] * (_METADATA_FIELDS - len(words))]
    packed = [leaf(f"arg{position}", word) for position, word in enumerate(fields)]
    do(scope, METADATA, element("ModAVUMetadataInp_PI", *packed, _key_values({})))


def _for_each_pair(scope: Scope, arguments: Arguments, operation: str) -> int:
    path, kind = string(arguments, 1), string(arguments, 2)
    for key, value in pairs(arguments, 0).items():
        _metadata(scope, operation, kind, path, key, value)
    return 0


@microservice("msiAssociateKeyValuePairsToObj")
def associate(scope: Scope, arguments: Arguments) -> int:
    """Add AVUs: `(*list, name, type)`, with types such as `-d` and `-C`."""
    return _for_each_pair(scope, arguments, "add")


@microservice("msiSetKeyValuePairsToObj")
def set_pairs(scope: Scope, arguments: Arguments) -> int:
    """Set AVUs in place of those of the same attributes: `(*list, name, type)`."""
    return _for_each_pair(scope, arguments, "set")


@microservice("msiRemoveKeyValuePairsFromObj")
def remove_pairs(scope: Scope, arguments: Arguments) -> int:
    """Remove AVUs: `(*list, name, type)`."""
    return _for_each_pair(scope, arguments, "rm")


@microservice("msiModAVUMetadata")
def modify_metadata(scope: Scope, arguments: Arguments) -> int:
    """Change one AVU: `(type, name, operation, attribute, value, unit)`."""
    kind, name, operation, *avu = (string(arguments, position) for position in range(6))
    _metadata(scope, operation, kind, name, *avu)
    return 0


@microservice("msiSetACL")
def set_access(scope: Scope, arguments: Arguments) -> int:
    """Change a permission: `(recursive or default, level, user, path)`."""
    flag, level, user, path = (string(arguments, position) for position in range(4))
    name, _, zone = user.partition("#")
    packed = element(
        "modAccessControlInp_PI",
        leaf("recursiveFlag", int(flag == "recursive")),
        leaf("accessLevel", level),
        leaf("userName", name),
        leaf("zone", zone),
        leaf("path", path),
    )
    do(scope, ACCESS, packed)
    return 0


@microservice("msiGetObjType")
def object_type(scope: Scope, arguments: Arguments) -> int:
    """Tell whether a path is a data object (`-d`) or a collection (`-c`): `(path, *type)`."""
    path = string(arguments, 0)
    collection, name = split(path)
    if rows(scope, "COLL_ID", {"COLL_NAME": path}):
        arguments[1] = "-c"
    elif rows(scope, "DATA_ID", {"COLL_NAME": collection, "DATA_NAME": name}):
        arguments[1] = "-d"
    else:
        return Code.OBJ_PATH_DOES_NOT_EXIST
    return 0


@microservice("msiCheckAccess")
def check_access(scope: Scope, arguments: Arguments) -> int:
    """Tell whether the client has a permission on a path: `(path, permission, *0 or 1)`."""
    path, wanted = string(arguments, 0), string(arguments, 1).replace(" ", "_")
    needed = {"read": "read_object", "write": "modify_object"}.get(wanted, wanted)
    if needed not in ACCESS_TYPES:
        raise RuleError(Code.SYS_INVALID_INPUT_PARAM, f"error: {wanted} is no permission")
    user, zone = scope.variables["userNameClient"], scope.variables["rodsZoneClient"]
    groups = rows(scope, "USER_GROUP_ID", {"USER_NAME": str(user), "USER_ZONE": str(zone)})
    collection, name = split(path)
    found = rows(scope, "COLL_ACCESS_USER_ID,COLL_ACCESS_TYPE", {"COLL_NAME": path})
    levels = [(row["COLL_ACCESS_USER_ID"], row["COLL_ACCESS_TYPE"]) for row in found]
    if not levels:
        where = {"COLL_NAME": collection, "DATA_NAME": name}
        found = rows(scope, "DATA_ACCESS_USER_ID,DATA_ACCESS_TYPE", where)
        levels = [(row["DATA_ACCESS_USER_ID"], row["DATA_ACCESS_TYPE"]) for row in found]
    members = {row["USER_GROUP_ID"] for row in groups}
    has = any(owner in members and int(level) >= ACCESS_TYPES[needed] for owner, level in levels)
    arguments[2] = int(has)
    return 0
