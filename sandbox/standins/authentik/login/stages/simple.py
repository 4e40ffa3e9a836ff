"""Stages that only say no."""

from ...store import Row
from ..outcomes import Denied, Outcome
from ..plan import Run


def begin_deny(run: Run, stage: Row) -> Outcome:
    """Deny, with the stage's message."""
    return Denied(str(stage["deny_message"]))
