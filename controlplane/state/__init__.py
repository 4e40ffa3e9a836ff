"""What should exist, what exists, and the difference: pure values, no I/O, no system named."""

from controlplane.state.plan import Action, Change, Conflict, FieldChange, Kept, Plan, make_plan
from controlplane.state.resource import Key, Resource, State, Value

__all__ = [
    "Action",
    "Change",
    "Conflict",
    "FieldChange",
    "Kept",
    "Key",
    "Plan",
    "Resource",
    "State",
    "Value",
    "make_plan",
]
