"""What a zone holds, added up: by facility, and what replicating storage resources lack."""

from controlplane.model import StorageResource
from controlplane.model.types import ResourceType
from controlplane.systems.irods.amounts import facility_totals, missing, with_empty

GOOD, STALE = ("disk", "good"), ("disk", "stale")


def test_what_a_facility_holds_does_not_include_another_one_with_a_longer_name() -> None:
    homes = {
        "a": [{GOOD: (1, 10)}, {}, {GOOD: (5, 50), STALE: (1, 2)}],
        "a-b": [{GOOD: (1, 5)}, {GOOD: (1, 5)}, {GOOD: (2, 20)}],
        "a-b-c": [{GOOD: (1, 7)}, {}, {}],
        "ab": [{GOOD: (4, 4)}],
    }
    assert facility_totals(homes) == {
        "a": {GOOD: (2, 30), STALE: (1, 2)},
        "a-b": {GOOD: (3, 23)},
        "a-b-c": {GOOD: (1, 7)},
        "ab": {GOOD: (4, 4)},
    }


def storage(name: str, kind: ResourceType, parent: str | None, host: str | None = None) -> StorageResource:
    return StorageResource(name, "zone", "", kind, host, None, parent, "", None)


def test_what_is_empty_is_told_from_what_is_not_measured() -> None:
    places = [storage("archive", "replication", None), storage("disk", "unixfilesystem", "archive", "one")]
    assert with_empty({}, places) == {GOOD: (0, 0), STALE: (0, 0)}
    held = {GOOD: (2, 30), ("old", "intermediate"): (1, 1)}
    assert with_empty(held, places) == held | {STALE: (0, 0)}


def test_the_child_with_fewer_replicas_lacks_the_difference() -> None:
    tree = [
        storage("archive", "replication", None),
        storage("one", "unixfilesystem", "archive"),
        storage("two", "random", "archive"),
        storage("two-a", "unixfilesystem", "two"),
        storage("two-b", "unixfilesystem", "two"),
        storage("alone", "unixfilesystem", None),
    ]
    held = {
        ("one", "good"): (7, 70),
        # One that is stale is there, and is counted as stale.
        ("one", "stale"): (3, 30),
        ("two-a", "good"): (4, 40),
        ("two-b", "good"): (5, 50),
        ("alone", "good"): (99, 99),
        ("somebody else's", "good"): (1, 1),
    }
    assert missing(tree, held) == {"one": 0, "two": 1}
    assert missing(tree, {}) == {"one": 0, "two": 0}
