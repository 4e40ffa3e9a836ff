"""What should exist, what exists, and the difference: pure values, no I/O, no system named."""

from controlplane.state.diff import differing_fields, make_plan, ordered
from controlplane.state.drift import Deviation, Difference, Drift, compare
from controlplane.state.mark import format_mark, parse_mark
from controlplane.state.plan import Action, Change, Conflict, FieldChange, Kept, Note, Plan
from controlplane.state.resource import Fields, Key, Resource, State, Value, make_fields
from controlplane.state.scope import Scope, narrow, without

__all__ = [
    "Action",
    "Change",
    "Conflict",
    "Deviation",
    "Difference",
    "Drift",
    "FieldChange",
    "Fields",
    "Kept",
    "Key",
    "Note",
    "Plan",
    "Resource",
    "Scope",
    "State",
    "Value",
    "compare",
    "differing_fields",
    "format_mark",
    "make_fields",
    "make_plan",
    "narrow",
    "ordered",
    "parse_mark",
    "without",
]
