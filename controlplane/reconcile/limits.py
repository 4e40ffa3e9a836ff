"""How large a plan may be before a person has to say that it is meant."""

from dataclasses import replace

from controlplane.model import Limits
from controlplane.reconcile.run import Outcome
from controlplane.state import Action, Plan, Scope, State


def breach(plan: Plan, observed: State, scope: Scope, limits: Limits) -> str:
    """Why a plan is larger than the limits allow, or empty when it is not.

    A plan is too large when it updates and deletes more objects than `limits.objects`, and also more than
    the share `limits.share` of the objects in the scope that are ours.
    """
    updates, deletions = plan.count(Action.UPDATE), plan.count(Action.DELETE)
    touched = updates + deletions
    if touched <= limits.objects:
        return ""
    managed = sum(found.owned and scope.has(found) for found in observed.values())
    if touched <= limits.share * managed:
        return ""
    # An object that the plan reaches through a dependency may lie outside the scope.
    share = 100 * touched / max(managed, touched)
    return (
        f"the plan would update {updates:,} and delete {deletions:,} of {managed:,} managed objects "
        f"({share:.0f} %), and more than {limits.objects:,} and {100 * limits.share:.0f} % are refused. "
        "If all of that is meant, say so with --exceed-limits"
    )


def limited(outcome: Outcome, scope: Scope, limits: Limits, exceed: bool) -> Outcome:
    """The outcome, refused when its plan is larger than the limits allow."""
    if exceed or outcome.plan is None or outcome.observed is None:
        return outcome
    return replace(outcome, refused=breach(outcome.plan, outcome.observed, scope, limits))
