"""The pure part of the iRODS adapter: what a zone should hold, and what its rows say it holds."""

from dataclasses import replace
from datetime import date
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from irods_rows import rows_of

from controlplane.generate.nation import Nation, files
from controlplane.generate.write import write_inventory
from controlplane.membership import Membership
from controlplane.membership.roster import Roster
from controlplane.model import Platform, load_platform
from controlplane.model.platform import RetentionRule
from controlplane.reconcile.port import ObservationError
from controlplane.state import Key, State, make_plan
from controlplane.systems.irods import resources
from controlplane.systems.irods.contents import Zone, compile_state, join
from controlplane.systems.irods.desired import desired_state, erasable_groups
from controlplane.systems.irods.resources import GROUP, REMOTE_ZONE, STORAGE_RESOURCE, USER
from controlplane.systems.irods.system import ZoneSystem

TODAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def nation(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Two federated zones with everything that an inventory can ask of them."""
    folder = tmp_path_factory.mktemp("nation") / "inventory"
    write_inventory(folder, files(Nation(6, 200, 40, zones=2)))
    return load_platform(folder)


def compiled(state: State, platform: Platform, zone: str) -> State:
    """A state as it is observed in a zone that holds it."""
    return compile_state(join(rows_of(state, zone), zone, platform.name), platform.name, "rods")


def test_a_zone_that_holds_what_is_wanted_needs_nothing(nation: Platform) -> None:
    for zone in nation.zones.values():
        desired = desired_state(nation, zone)
        assert {key.kind for key in desired} == {USER, GROUP, STORAGE_RESOURCE, REMOTE_ZONE}
        observed = compiled(desired, nation, zone.name)
        assert observed.keys() == desired.keys()
        assert all(found.owned for found in observed.values())
        plan = make_plan("irods/x", desired, observed)
        assert (plan.changes, plan.conflicts, plan.kept) == ((), (), ())


def test_every_creation_comes_after_what_it_needs(nation: Platform) -> None:
    zone = next(iter(nation.zones.values()))
    desired = desired_state(nation, zone)
    done: set[Key] = set()
    for change in make_plan("irods/x", desired, State()).changes:
        fields = {item.name: item.after for item in change.fields}
        if change.key.kind == GROUP:
            members, quota = fields["members"], fields["quota"]
            assert isinstance(members, tuple)
            assert isinstance(quota, tuple)
            assert {Key(USER, name) for name in members} <= done
            on = {Key(STORAGE_RESOURCE, name) for name in resources.parse_limits(quota) if name != "total"}
            assert on <= done
        if change.key.kind == STORAGE_RESOURCE and fields["parent"]:
            assert Key(STORAGE_RESOURCE, str(fields["parent"])) in done
        done.add(change.key)
    assert done == desired.keys()


def test_states_do_not_depend_on_the_order_of_rows(nation: Platform) -> None:
    zone = next(iter(nation.zones.values()))
    desired = desired_state(nation, zone)
    rows = rows_of(desired, zone.name)
    backwards = {name: some[::-1] for name, some in rows.items()}
    straight = compile_state(join(rows, zone.name, nation.name), nation.name, "rods")
    assert compile_state(join(backwards, zone.name, nation.name), nation.name, "rods") == straight


def test_accounts_that_are_alike_share_their_fields(nation: Platform) -> None:
    zone = next(iter(nation.zones.values()))
    desired = desired_state(nation, zone)
    for state in (desired, compiled(desired, nation, zone.name)):
        assert len({id(found.fields) for key, found in state.items() if key.kind == USER}) == 1


def test_somebody_of_two_facilities_belongs_to_neither(nation: Platform) -> None:
    zone = next(iter(nation.zones.values()))
    one, two, *_ = nation.facilities_of(zone.name)
    both, alone = one.teams[0].pi, one.teams[1].pi if len(one.teams) > 1 else one.referents[0]
    shared = replace(two, referents=(*two.referents, both))
    platform = replace(nation, facilities=MappingProxyType({**nation.facilities, two.id: shared}))
    desired = desired_state(platform, zone)
    assert desired[Key(USER, both.user)].facility == ""
    assert desired[Key(USER, alone.user)].facility == one.id


def test_a_zone_whose_members_could_not_be_read_gets_no_plan(nation: Platform) -> None:
    def fail() -> Membership:
        raise ObservationError("login.bic.example: no answer within 30 s")

    zone = next(iter(nation.zones.values()))
    roster = Roster(nation)
    roster.read_from(fail)
    with pytest.raises(ObservationError, match="members of its teams could not be read"):
        ZoneSystem(nation, zone, TODAY, roster=roster).desired()


def test_a_retention_rule_counts_from_its_day_on(nation: Platform) -> None:
    rules = (
        RetentionRule("nantes", "cells", date(2026, 11, 20), "x"),
        RetentionRule("brest", None, date(2026, 11, 21), "x"),
    )
    platform = replace(nation, retention=rules)
    assert erasable_groups(platform, date(2026, 11, 19)) == frozenset()
    assert erasable_groups(platform, TODAY) == {"nantes-cells"}
    assert erasable_groups(platform, date(2026, 11, 21)) == {"nantes-cells", "brest"}


def left_behind() -> Zone:
    """A zone with two groups of ours that nobody wants, one of them with data."""
    return Zone(
        accounts={"full": ("rodsgroup", "1"), "bare": ("rodsgroup", "2"), "a.b": ("rodsuser", "3")},
        members={"1": ["a.b"], "2": ["a.b"]},
        account_marks={"1": ("bic", "nantes"), "2": ("bic", "nantes"), "3": ("bic", "")},
        homes={"full": True, "bare": True},
        acls={"full": ["a.b:own", "rods:own"], "bare": []},
        holdings={"full": "3 replicas of data objects, 2 KiB"},
    )


def test_data_are_kept_or_named_before_they_are_destroyed() -> None:
    kept = compile_state(left_behind(), "bic", "rods")
    assert kept[Key(GROUP, "full")].keep == "its home collection holds data"
    assert kept[Key(GROUP, "full")].destroys == ""
    assert kept[Key(GROUP, "full")].fields["acl"] == ("a.b:own",)
    assert (kept[Key(GROUP, "bare")].keep, kept[Key(GROUP, "bare")].destroys) == ("", "")
    erased = compile_state(left_behind(), "bic", "rods", {"full"})
    assert erased[Key(GROUP, "full")].keep == ""
    assert erased[Key(GROUP, "full")].destroys == "3 replicas of data objects, 2 KiB"


def test_what_is_not_marked_as_ours_is_not_ours() -> None:
    zone = left_behind()
    zone.account_marks = {"1": ("other", "nantes"), "2": ("bic", "nantes")}
    zone.claimed = {Key(USER, "a.b"), Key(GROUP, "full")}
    state = compile_state(zone, "bic", "rods")
    # A claim counts only where nobody has marked.
    assert zone.is_of("bic", None, Key(USER, "a.b"))
    assert not zone.is_of("bic", ("other", "nantes"), Key(GROUP, "full"))
    assert {key.name: found.owned for key, found in state.items()} == {
        "full": False,
        "bare": True,
        "a.b": True,
    }


def test_a_remote_zone_says_in_its_comment_whose_it_is() -> None:
    zone = Zone(
        zones={
            "ours": ("icat.x.example:1247", "bic:managed bic"),
            "theirs": ("icat.y.example:1247", "bic:managed other"),
            "plain": ("icat.z.example:1247", "made by hand"),
        },
        foreign={"ours"},
    )
    state = compile_state(zone, "bic", "rods")
    assert {key.name: found.owned for key, found in state.items()} == {
        "ours": True,
        "theirs": False,
        "plain": False,
    }
    assert state[Key(REMOTE_ZONE, "ours")].keep == "accounts of that zone have access here"


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), st.integers(1, 2**63 - 1)))
def test_quotas_are_written_exactly(quotas: dict[str, int]) -> None:
    texts = [resources.limit(name, size) for name, size in quotas.items()]
    assert resources.parse_limits(texts) == quotas


@pytest.mark.parametrize(
    ("size", "text"),
    [(20 * 2**40, "raw=20 TiB"), (1_500_000_000, "raw=1500000000"), (1, "raw=1 B"), (1536, "raw=1.5 KiB")],
)
def test_quotas_are_written_for_people(size: int, text: str) -> None:
    assert resources.limit("raw", size) == text
