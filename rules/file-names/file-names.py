"""Data objects get names that can be opened on every system that people work with.

What is asked is where a data object gets its name: when it is made, copied or renamed below /ZONE/home. What
has a bad name already can be read, removed and given a better one. Bulk puts and registrations are not asked.
"""

import os

INPUT_PATH, ALREADY_THERE = -317000, -809000
"""USER_INPUT_PATH_ERR and CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME."""

NOT_ON_WINDOWS = frozenset('<>:"\\|?*')
DEVICES = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)))
)
"""What Windows takes for devices, whatever follows after a dot."""


def fault(name, longest):
    """What is wrong with a name; empty where nothing is."""
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in name):
        return "has a control character"
    if found := NOT_ON_WINDOWS.intersection(name):
        return f"has {min(found)}, which Windows does not take"
    if name[-1:] in (".", " "):
        return "ends with a dot or a space, which Windows drops"
    if name.partition(".")[0].rstrip().lower() in DEVICES:
        return "is a device to Windows"
    if len(name.encode("utf-8", "surrogateescape")) > longest:
        return f"has more than {longest} bytes"
    return ""


def parameter(callback, name, default):
    """The value of a parameter, as text."""
    return callback.bicParameter("file-names", name, default, "")["arguments"][3]


def quoted(text):
    """A text as GenQuery2 reads it; a backslash would begin a character's number there."""
    return "'" + text.replace("\\", "\\x5c").replace("'", "''") + "'"


def namesakes(callback, collection, name):
    """The names in a collection that differ from a name by their case at most, where the user reads them."""
    where = f"COLL_NAME = {quoted(collection)} and lower(DATA_NAME) = {quoted(name.lower())}"
    query = f"select DATA_NAME where {where}"
    handle = callback.msi_genquery2_execute("", query)["arguments"][0]
    found = set()
    try:
        while True:
            callback.msi_genquery2_next_row(handle)
            found.add(callback.msi_genquery2_column(handle, "0", "")["arguments"][2])
    except RuntimeError as error:
        # The end comes as an error, END_OF_RESULTSET.
        if "[iRods__Error__Code:-408000]" not in str(error):
            raise
    finally:
        callback.msi_genquery2_free(handle)
    return found


def check(callback, path):
    """The code that refuses a name; None for one that may be given."""
    collection, _, name = path.rpartition("/")
    if path.split("/")[2:3] != ["home"]:
        return None
    if wrong := fault(name, int(parameter(callback, "longest", "255"))):
        callback.writeLine("serverLog", f"file-names: {name!r} in {collection} {wrong}")
        return INPUT_PATH
    if parameter(callback, "twins", "false") != "true":
        there = namesakes(callback, collection, name)
        if there and name not in there:
            told = f"file-names: {name!r} is there as {min(there)!r} in {collection}"
            callback.writeLine("serverLog", told)
            return ALREADY_THERE
    return None


def pep_api_data_obj_copy_pre(rule_args, callback, rei):
    """A copy gets a name."""
    return check(callback, str(rule_args[2].destDataObjInp.objPath))


def pep_api_data_obj_create_pre(rule_args, callback, rei):
    """A data object is made."""
    return check(callback, str(rule_args[2].objPath))


def pep_api_data_obj_open_pre(rule_args, callback, rei):
    """A data object is opened, and made where it is not there yet."""
    if rule_args[2].openFlags & os.O_CREAT:
        return check(callback, str(rule_args[2].objPath))
    return None


def pep_api_data_obj_put_pre(rule_args, callback, rei):
    """A data object is made with its content."""
    return check(callback, str(rule_args[2].objPath))


def pep_api_data_obj_rename_pre(rule_args, callback, rei):
    """A data object gets another name or place; so may a collection, whose name has to be as good."""
    return check(callback, str(rule_args[2].destDataObjInp.objPath))
