"""The parameters of the policy enforcement points around APIs, written as iRODS 5.0.2 serialises them.

A rule gets the plugin's instance, the connection (a key-value list), and each argument of the API's handler:
structures as key-value lists, one value alone as a string, and outputs that are not there yet as iRODS says
so.
"""

import base64
from collections.abc import Callable

from . import structures as python
from .api import APIS
from .rulevalues import Value
from .sessionvariables import Identity
from .wire import Message, Node

PHASES = ("pre", "post", "except", "finally")
_INSTANCE = "api_instance"
_NULL, _NO_VALUE = "nullptr", "null_value"


def operation(api_name: str) -> str:
    """Return the operation's name in `pep_<operation>_<phase>` for an API's name."""
    return f"api_{api_name.removesuffix('_AN').removesuffix('_APN').lower()}"


def points() -> dict[str, int]:
    """Return the API number of every policy enforcement point around an API that the stand-in serves."""
    return {
        f"pep_{operation(entry.name)}_{phase}": number for number, entry in APIS.items() for phase in PHASES
    }


def _conditions(node: Node) -> dict[str, str]:
    keywords = node.keywords()
    return {name: value or "" for name, value in keywords.items()} or {"keyValPair_t": _NULL}


def _data_object(node: Node) -> dict[str, str]:
    fields = {
        "obj_path": "objPath",
        "create_mode": "createMode",
        "open_flags": "openFlags",
        "offset": "offset",
        "data_size": "dataSize",
        "num_threads": "numThreads",
        "opr_type": "oprType",
    }
    values = {name: node.get(field, "" if name == "obj_path" else "0") for name, field in fields.items()}
    return values | _conditions(node)


def _two_objects(node: Node) -> dict[str, str]:
    source, target = node.children("DataObjInp_PI")
    return {f"src_{name}": value for name, value in _data_object(source).items()} | {
        f"dst_{name}": value for name, value in _data_object(target).items()
    }


def _opened(node: Node) -> dict[str, str]:
    names = ("l1descInx", "len", "whence", "oprType", "offset", "bytesWritten")
    return {name: node.get(name, "0") for name in names} | _conditions(node)


def _collection(node: Node) -> dict[str, str]:
    # iRODS puts these two numbers into the list as characters, so that 0 is an empty text.
    numbers = {name: node.number(field) for name, field in (("flags", "flags"), ("opr_type", "oprType"))}
    texts = {name: chr(number) if 0 < number < 128 else "" for name, number in numbers.items()}
    return {"coll_name": node.get("collName")} | texts | _conditions(node)


def _metadata(node: Node) -> dict[str, str]:
    return {f"arg{number}": node.get(f"arg{number}") for number in range(10)}


def _access(node: Node) -> dict[str, str]:
    fields = {
        "recursive_flag": "recursiveFlag",
        "access_level": "accessLevel",
        "user_name": "userName",
        "zone": "zone",
        "path": "path",
    }
    return {name: node.get(field) for name, field in fields.items()}


def _query(node: Node) -> dict[str, str]:
    values = {name: node.get(name, "0") for name in ("maxRows", "continueInx")}
    values |= {"rowOffset": node.get("partialStartIndex", "0"), "options": node.get("options", "0")}
    selected, conditions = node.child("InxIvalPair_PI"), node.child("InxValPair_PI")
    for number, flag in zip(selected.texts("inx"), selected.texts("ivalue"), strict=False):
        values[f"select_{number}"] = flag
    for number, text in zip(conditions.texts("inx"), conditions.texts("svalue"), strict=False):
        values[f"where_{number}"] = text
    return values | node.keywords()


def _bytes(node: Node) -> dict[str, str]:
    raw = base64.b64decode(node.get("buf"))
    # What is neither ASCII to print nor space is shown by its number.
    shown = (chr(byte) if 32 <= byte < 127 or chr(byte) in "\t\n\v\f\r" else f"\\x{byte:02x}" for byte in raw)
    return {"len": str(len(raw)), "buf": "".join(shown)}


Serializer = Callable[[Node], dict[str, str]]
# For each API the input's serializer, or the name of a type that iRODS does not serialise, and how many
# outputs follow it.
_INPUTS: dict[str, tuple[Serializer | str | None, int]] = {
    "DATA_OBJ_CREATE_AN": (_data_object, 0),
    "DATA_OBJ_OPEN_AN": (_data_object, 0),
    "DATA_OBJ_UNLINK_AN": (_data_object, 0),
    "DATA_OBJ_REPL_AN": (_data_object, 1),
    "DATA_OBJ_TRIM_AN": (_data_object, 0),
    "DATA_OBJ_CHKSUM_AN": (_data_object, 1),
    "DATA_OBJ_RENAME_AN": (_two_objects, 0),
    "DATA_OBJ_COPY_AN": (_two_objects, 1),
    "DATA_OBJ_CLOSE_AN": (_opened, 0),
    "DATA_OBJ_LSEEK_AN": (_opened, 1),
    "DATA_OBJ_READ_AN": (_opened, 1),
    "DATA_OBJ_WRITE_AN": (_opened, 1),
    "RM_COLL_AN": (_collection, 1),
    "COLL_CREATE_AN": (_collection, 0),
    "MOD_AVU_METADATA_AN": (_metadata, 0),
    "MOD_ACCESS_CONTROL_AN": (_access, 0),
    "GEN_QUERY_AN": (_query, 1),
    "GENERAL_ADMIN_AN": ("generalAdminInp_t*", 0),
    "USER_ADMIN_AN": ("userAdminInp_t*", 0),
    "EXEC_MY_RULE_AN": (lambda node: {"myRule": node.get("myRule"), "outParamDesc": ""}, 1),
    "ATOMIC_APPLY_METADATA_OPERATIONS_APN": (_bytes, 1),
    "TOUCH_APN": (_bytes, 0),
    "GENQUERY2_AN": (lambda node: {"query_string": node.get("query_string"), "zone": node.get("zone")}, 1),
    "RULE_EXEC_SUBMIT_AN": (lambda node: {"rule_name": node.get("ruleName")}, 1),
    "RULE_EXEC_DEL_AN": ("ruleExecDelInp_t*", 0),
}


def _connection(identity: Identity, number: int) -> dict[str, str]:
    return {
        "client_addr": identity.address,
        "auth_scheme": "native",
        "proxy_user_name": identity.proxy,
        "proxy_rods_zone": identity.proxy_zone,
        "proxy_auth_info_auth_flag": str(identity.proxy_privilege),
        "user_user_name": identity.client,
        "user_rods_zone": identity.client_zone,
        "user_auth_info_auth_flag": str(identity.privilege),
        "api_index": str(number),
    }


def parameters(number: int, message: Message, identity: Identity) -> list[Value | None]:
    """Return what a rule at a policy enforcement point of an API is called with."""
    serializer, outputs = _INPUTS.get(APIS[number].name, (None, 1))
    given: list[Value | None] = [_INSTANCE, _connection(identity, number)]
    if isinstance(serializer, str):
        given.append(f"[{serializer}] not supported")
    elif serializer is not None:
        given.append(dict(serializer(Node.parse(message.body))))
    return given + [_NO_VALUE] * outputs


_STRUCTURES: dict[object, Callable[[Node], object]] = {
    _data_object: python.data_object,
    _two_objects: python.two_objects,
    _collection: python.collection,
}


def has_structures(point: str) -> bool:
    """Return whether a rule in Python gets the input of the API that a point is around."""
    return _INPUTS.get(APIS[points()[point]].name, (None, 1))[0] in _STRUCTURES


def structures(number: int, message: Message, identity: Identity) -> list[object]:
    """Return what a rule in Python is called with instead; None for what is not there or has no structure."""
    serializer, outputs = _INPUTS.get(APIS[number].name, (None, 1))
    given: list[object] = [
        _INSTANCE,
        python.connection(
            (identity.client, identity.client_zone), (identity.proxy, identity.proxy_zone), identity.address
        ),
    ]
    if serializer is not None:
        make = _STRUCTURES.get(serializer)
        given.append(None if make is None else make(Node.parse(message.body)))
    return [*given, *[None] * outputs]
