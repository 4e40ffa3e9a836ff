"""The rows with which a zone that holds a state would answer the bulk queries."""

from collections import defaultdict

from controlplane.state import Key, State
from controlplane.systems.irods import calls, resources
from controlplane.systems.irods.calls import Row
from controlplane.systems.irods.resources import GROUP, MARK, REMOTE_ZONE, STORAGE_RESOURCE, USER

ACCESS = {"read": "read_object", "write": "modify_object", "own": "own"}


def rows_of(state: State, zone: str) -> dict[str, list[Row]]:
    """The answers of a zone of that name in which everything of `state` exists and is marked."""
    ids = {key: str(number) for number, key in enumerate(state, 10000)}
    rows: dict[str, list[Row]] = defaultdict(list)
    for name in ("accounts", "members", "account_avus", "access", "home_avus", "storage", "storage_avus"):
        rows[name] = []
    rows |= {"zones": [(zone, "local", "", "")], "quotas": []}
    for key, found in state.items():
        number, fields = ids[key], found.fields
        _, platform, facility = resources.avu(str(fields["mark"]))
        if key.kind in (USER, GROUP):
            kind = "rodsgroup" if key.kind == GROUP else str(fields["type"])
            name, _, remote = key.name.partition("#")
            rows["accounts"].append((number, name, kind, remote or zone))
            rows["account_avus"].append((number, MARK, platform, facility))
            rows["members"].append((number, number))
        if key.kind == GROUP:
            _group(rows, key, state, zone, ids)
        elif key.kind == STORAGE_RESOURCE:
            parent = ids.get(Key(STORAGE_RESOURCE, str(fields["parent"])), "")
            host, vault = str(fields["host"]), str(fields["vault"])
            place = (host, vault) if host else (calls.EMPTY_HOST, calls.EMPTY_VAULT)
            rows["storage"].append(
                (number, key.name, str(fields["type"]), *place, str(fields["context"]),
                 str(fields["status"]), parent, str(fields["parent_context"]))
            )  # fmt: skip
            rows["storage_avus"].append((number, MARK, platform, facility))
        elif key.kind == REMOTE_ZONE:
            comment = resources.comment(str(fields["mark"]))
            rows["zones"].append((key.name, "remote", str(fields["connection"]), comment))
    return rows


def _group(rows: dict[str, list[Row]], key: Key, state: State, zone: str, ids: dict[Key, str]) -> None:
    number, fields = ids[key], state[key].fields
    members, acl, quota = fields["members"], fields["acl"], fields["quota"]
    assert isinstance(members, tuple)
    assert isinstance(acl, tuple)
    assert isinstance(quota, tuple)
    rows["members"] += [(number, ids[Key(USER, name)]) for name in members]
    home = f"/{zone}/home/{key.name}"
    for account, access in resources.parse_entries(acl).items():
        whom = ids.get(Key(USER, account)) or ids[Key(GROUP, account)]
        rows["access"].append((home, "1" if fields["inheritance"] else "", whom, ACCESS[access]))
    _, platform, facility = resources.avu(str(fields["collection_mark"]))
    rows["home_avus"].append((home, MARK, platform, facility))
    for name, size in resources.parse_limits(quota).items():
        on = "0" if name == resources.TOTAL else ids[Key(STORAGE_RESOURCE, name)]
        rows["quotas"].append((number, on, str(size)))
