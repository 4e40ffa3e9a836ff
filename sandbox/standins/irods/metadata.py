"""AVUs (attribute, value, unit) on collections, data objects, users, groups and storage resources."""

import json
from typing import Any

from . import access, resources
from .access import Client
from .catalogue import Transaction
from .errors import Code, IrodsError

_ATOMIC_TYPES = {"collection": "-C", "data_object": "-d", "user": "-u", "resource": "-R"}


def _entity(tx: Transaction, zone: str, kind: str, name: str) -> int:
    """Return the id of what an AVU is on. Raises the code that the real server has for each missing kind."""
    if kind in ("-C", "-c"):
        found, code = access.collection_id(tx, name), Code.CAT_UNKNOWN_COLLECTION
    elif kind == "-d":
        found, code = access.data_id(tx, name), Code.CAT_UNKNOWN_FILE
    elif kind == "-u":
        user, _, user_zone = name.partition("#")
        client = access.find_user(tx, user, user_zone or zone)
        found, code = (None if client is None else client.user_id), Code.CAT_INVALID_USER
    elif kind == "-R":
        resource = resources.find(tx, name)
        found, code = (None if resource is None else resource.resc_id), Code.CAT_INVALID_RESOURCE
    else:
        raise IrodsError(Code.CAT_INVALID_ARGUMENT)
    if found is None:
        raise IrodsError(code)
    return found


def _authorize(tx: Transaction, client: Client, kind: str, object_id: int, *, admin_mode: bool) -> None:
    if kind in ("-u", "-R"):
        if not client.admin:
            raise IrodsError(Code.CAT_INSUFFICIENT_PRIVILEGE_LEVEL)
    elif not (admin_mode and client.admin) and access.level(tx, client, object_id) < access.MODIFY_METADATA:
        raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION)


def _add(tx: Transaction, object_id: int, avu: tuple[str, str, str]) -> bool:
    """Put an AVU on an object; return False when it has it already."""
    condition = "meta_attr_name = ? and meta_attr_value = ? and meta_attr_unit = ?"
    meta_id = tx.value(f"select meta_id from r_meta_main where {condition}", avu)  # noqa: S608
    if meta_id is None:
        meta_id = tx.new_id()
        tx.execute(
            "insert into r_meta_main (meta_id, meta_attr_name, meta_attr_value, meta_attr_unit, create_ts,"
            " modify_ts) values (?, ?, ?, ?, ?, ?)",
            (meta_id, *avu, tx.now, tx.now),
        )
    added = tx.execute(
        "insert or ignore into r_objt_metamap values (?, ?, ?, ?)", (object_id, meta_id, tx.now, tx.now)
    )
    return added > 0


def _remove(tx: Transaction, object_id: int, avu: tuple[str, str, str], *, wild: bool = False) -> int:
    """Take AVUs off an object, with `wild` those that match SQL patterns; return how many there were."""
    operator = "like" if wild else "="
    matches = " and ".join(f"meta_attr_{part} {operator} ?" for part in ("name", "value", "unit"))
    which = f"select meta_id from r_meta_main where {matches}"  # noqa: S608
    delete = f"delete from r_objt_metamap where object_id = ? and meta_id in ({which})"  # noqa: S608
    return tx.execute(delete, (object_id, *avu))


def modify(tx: Transaction, client: Client, zone: str, arguments: list[str], *, admin_mode: bool) -> None:
    """Carry out the AVU API: `add`, `set`, `rm` or `rmw` with kind, name, attribute, value and unit.

    Raises -809000 for adding what is there, -819000 for removing what is not, -816000 for other operations.
    """
    operation, kind, name, attribute, value, unit = (arguments + [""] * 6)[:6]
    if operation not in ("add", "set", "rm", "rmw"):
        raise IrodsError(Code.CAT_INVALID_ARGUMENT)
    if not attribute or (operation != "rmw" and not value):
        raise IrodsError(Code.CAT_INVALID_ARGUMENT)
    object_id = _entity(tx, zone, kind, name)
    _authorize(tx, client, kind, object_id, admin_mode=admin_mode)
    avu = (attribute, value, unit)
    if operation == "add":
        if not _add(tx, object_id, avu):
            raise IrodsError(Code.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME)
    elif operation == "set":
        tx.execute(
            # Asked of each AVU that the object has: listing all AVUs of that name would cost the more, the
            # more objects carry it.
            "delete from r_objt_metamap where object_id = ? and exists (select 1 from r_meta_main m"
            " where m.meta_id = r_objt_metamap.meta_id and m.meta_attr_name = ?)",
            (object_id, attribute),
        )
        _add(tx, object_id, avu)
    elif not _remove(tx, object_id, avu, wild=operation == "rmw"):
        raise IrodsError(Code.CAT_SUCCESS_BUT_WITH_NO_INFO)


def _refusal(code: Code, text: str, operation: object = None, index: int = 0) -> IrodsError:
    document = {"error_message": text, "operation": operation, "operation_index": index}
    return IrodsError(code, body=json.dumps(document, separators=(",", ":"), ensure_ascii=False))


def apply_atomic(tx: Transaction, client: Client, zone: str, request: dict[str, Any]) -> None:
    """Carry out all operations of an atomic request in the transaction; repeats are no errors.

    Raises `IrodsError` whose body is the JSON text that the real server answers.
    """
    name, kind = request.get("entity_name"), _ATOMIC_TYPES.get(str(request.get("entity_type")))
    operations = request.get("operations")
    if kind is None or not isinstance(name, str) or not isinstance(operations, list):
        raise _refusal(Code.SYS_INVALID_INPUT_PARAM, "Invalid entity type specified")
    try:
        object_id = _entity(tx, zone, kind, name)
    except IrodsError as error:
        text = f"Entity does not exist [entity_name={name}]"
        raise _refusal(Code.SYS_INVALID_INPUT_PARAM, text) from error
    try:
        _authorize(tx, client, kind, object_id, admin_mode=request.get("admin_mode") is True)
    except IrodsError as error:
        raise _refusal(Code.CAT_NO_ACCESS_PERMISSION, "User not allowed to modify metadata") from error
    for index, operation in enumerate(operations):
        fields = operation if isinstance(operation, dict) else {}
        avu = (fields.get("attribute"), fields.get("value"), fields.get("units", ""))
        if not all(isinstance(part, str) for part in avu) or not avu[0] or not avu[1]:
            raise _refusal(Code.SYS_INVALID_INPUT_PARAM, "Invalid metadata operation", operation, index)
        texts = (str(avu[0]), str(avu[1]), str(avu[2]))
        if fields.get("operation") == "add":
            _add(tx, object_id, texts)
        elif fields.get("operation") == "remove":
            _remove(tx, object_id, texts)
        else:
            raise _refusal(Code.SYS_INVALID_INPUT_PARAM, "Invalid metadata operation", operation, index)
