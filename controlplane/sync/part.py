"""The part of a plan that follows from people and memberships; pure.

Which teams there are, their storage and quotas change by `bic apply`, with a person who looks at the plan.
Who is in a team changes by a PI's click, and follows by itself.
"""

from collections.abc import Mapping
from dataclasses import replace

from controlplane.reconcile.port import FollowsPeople, System
from controlplane.state import Action, Change, Plan, without


def people_part(system: System, plan: Plan) -> Plan:
    """What of a system's plan follows from people and needs nothing else that the plan would make."""
    if not isinstance(system, FollowsPeople):
        return Plan(plan.system)
    fields = system.people_fields
    parts = {change.key: part for change in plan.changes if (part := _part(change, fields))}
    made = {change.key for change in plan.changes if change.action is Action.CREATE}
    left, _ = without(plan, made - parts.keys())
    changes = tuple(
        replace(parts[change.key], depends_on=change.depends_on & parts.keys())
        for change in left.changes
        if change.key in parts
    )
    conflicts = tuple(note for note in plan.conflicts if fields.get(note.key.kind, ()) is None)
    return Plan(plan.system, changes, conflicts)


def _part(change: Change, fields: Mapping[str, frozenset[str] | None]) -> Change | None:
    if change.key.kind not in fields or change.action is Action.ADOPT or change.destroys:
        return None
    names = fields[change.key.kind]
    if names is None:
        return change
    # That a team is gone is for a person to see; that somebody is gone follows.
    if change.action is not Action.UPDATE or change.retires:
        return None
    some = tuple(item for item in change.fields if item.name in names)
    return replace(change, fields=some) if some else None
