"""Quotas: their tiers, and whether they promise more than there is."""

from collections.abc import Iterator

from controlplane.model.checks.spots import Spot, at
from controlplane.model.checks.zones import Node, Storage, by_zone, zone_of
from controlplane.model.documents import Documents, FacilityDocument, Policies
from controlplane.model.facility_file import QuotaEntry
from controlplane.model.problems import Problem, enumeration, suggestion
from controlplane.model.sizes import format_size
from controlplane.model.source import Key

_USABLE = "those that hold this facility's data"
_NOTHING = Storage()


def check(documents: Documents) -> Iterator[Problem]:
    """What is wrong with quotas."""
    policies = documents.policies
    if policies.quotas:
        for name, tier in policies.tiers.items():
            if tier.team > tier.facility:
                yield at(policies.quotas, "tiers", name, "team").problem(
                    f"a team of the tier {name!r} may keep more ({format_size(tier.team)}) than its whole "
                    f"facility ({format_size(tier.facility)})"
                )
    zones = by_zone(documents)
    for facility in documents.facilities:
        storage = zones.get(zone_of(documents, facility), _NOTHING)
        yield from _references(documents, facility, storage)
        yield from _capacity(documents, facility, storage)
        yield from _teams(policies, facility)


def _quotas(facility: FacilityDocument) -> Iterator[tuple[QuotaEntry, tuple[Key, ...]]]:
    """All quotas of a facility's file, each with its way there."""
    if facility.data.quota:
        yield facility.data.quota, ("quota",)
    for index, team in enumerate(facility.data.teams):
        if team.quota:
            yield team.quota, ("teams", index, "quota")


def _references(documents: Documents, facility: FacilityDocument, storage: Storage) -> Iterator[Problem]:
    policies = documents.policies
    known = documents.platform is not None and zone_of(documents, facility) in documents.platform.data.zones
    for quota, route in _quotas(facility):
        tier = quota.tier
        if tier is not None and tier not in policies.tiers and not policies.may_hold_tier(tier):
            yield at(facility, *route, "tier").unknown(
                "tier", tier, policies.tiers, noun="known, from policies/quotas.yml"
            )
        for name, size in (quota.storage_resources or {}).items():
            spot = Spot(facility, (*route, "storage_resources", name), is_key=True)
            node = storage.names.get(name)
            if node is None:
                if known and not documents.may_hold(name):
                    yield spot.unknown("storage resource", name, storage.usable(facility), noun=_USABLE)
            else:
                yield from _limit(spot, size, node, facility, storage)


def _limit(
    spot: Spot, size: int, node: Node, facility: FacilityDocument, storage: Storage
) -> Iterator[Problem]:
    """Usage counts where the data are, so only a leaf that the facility may write to can have a quota."""
    wrong = ""
    if node.facility not in ("", facility.data.id):
        wrong = f"belongs to the facility {node.facility!r}"
    elif not node.is_leaf:
        wrong = f"coordinates others (type {node.entry.type}), while iRODS counts usage where the data are"
    if wrong:
        known = suggestion(node.name, storage.usable(facility), noun=_USABLE)
        yield spot.problem(f"the storage resource {node.name!r} {wrong}; {known}")
    elif node.entry.capacity is not None and size > node.entry.capacity:
        yield Spot(facility, spot.route).problem(
            f"the quota of {format_size(size)} is above the {format_size(node.entry.capacity)} that "
            f"{node.name!r} holds, see {node.at('capacity')}"
        )


def _capacity(documents: Documents, facility: FacilityDocument, storage: Storage) -> Iterator[Problem]:
    """No total is above what the storage resources hold that the facility's data can be on.

    iRODS counts every replica (usage is summed for each storage resource), so the leaves' capacities add up.
    """
    used = storage.leaves_of(facility)
    capacities = [node.entry.capacity for node in used if node.entry.capacity is not None]
    if not documents.complete or not used or len(capacities) < len(used):
        return
    held = sum(capacities)
    for quota, route in _quotas(facility):
        total = _total(quota, documents.policies, of_team=route[0] == "teams")
        if total is not None and total > held:
            yield at(facility, *route, "total" if quota.total is not None else "tier").problem(
                f"the quota of {format_size(total)} is above the {format_size(held)} that the facility's "
                f"storage resources hold: {enumeration(node.name for node in used)}"
            )


def _total(quota: QuotaEntry | None, policies: Policies, *, of_team: bool) -> int | None:
    if quota is None:
        return None
    if quota.tier is not None:
        tier = policies.tiers.get(quota.tier)
        return (tier.team if of_team else tier.facility) if tier else None
    return quota.total


def _teams(policies: Policies, facility: FacilityDocument) -> Iterator[Problem]:
    """No team may keep more than its facility."""
    whole = facility.data.quota
    if whole is None:
        return
    total = _total(whole, policies, of_team=False)
    limits = whole.storage_resources or {}
    for index, team in enumerate(facility.data.teams):
        if team.quota is None:
            continue
        spot = at(facility, "teams", index, "quota")
        own = _total(team.quota, policies, of_team=True)
        parts = team.quota.storage_resources or {}
        if own is None and parts:
            own = sum(parts.values())
        if own is not None and total is not None and own > total:
            yield spot.problem(
                _above(team.id, own, "all its facility may keep", total, at(facility, "quota"))
            )
        for name, size in parts.items():
            if name in limits and size > limits[name]:
                place = at(facility, "quota", "storage_resources", name)
                yield at(facility, "teams", index, "quota", "storage_resources", name).problem(
                    _above(team.id, size, f"what its facility may keep on {name!r}", limits[name], place)
                )


def _above(team: str, size: int, what: str, limit: int, spot: Spot) -> str:
    return (
        f"the quota of the team {team!r}, {format_size(size)}, is above {what}, "
        f"{format_size(limit)}, given at {spot}"
    )
