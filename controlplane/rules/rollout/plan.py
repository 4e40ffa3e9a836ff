"""What each server runs against what it should run."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from controlplane.errors import BicError
from controlplane.rules.rollout.release import FOUNDATION, Release, rule_base_of, suffix_of


class AnswerError(BicError):
    """A server whose answer cannot be understood."""


@dataclass(frozen=True)
class Pending:
    """An activation on a server that is neither confirmed nor rolled back."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    by: str
    seconds_left: float
    """Until the server takes it back by itself."""
    complaint: str
    """What the server's journal says of rules that it could not read since; empty where nothing."""


@dataclass(frozen=True)
class ServerState:
    """What `irods-rule-bases status` tells of a server."""

    active: tuple[str, ...]
    """The lists of the rule engines, one behind the other, in their order."""
    texts: Mapping[str, str]
    """The texts of our files in it, as they are now."""
    missing: tuple[str, ...]
    """Names in the list that have no file."""
    edited: tuple[str, ...]
    """Our files whose text is no longer that of their name."""
    previous: tuple[str, ...]
    """The list before the last confirmed one; empty where there was none."""
    pending: Pending | None
    effect: str
    """What the server needs to run with what is on its disk: nothing, reload or restart."""


def server_state(answer: Mapping[str, Any]) -> ServerState:
    """The state in a server's answer. Raises AnswerError."""
    try:
        record, pending = answer["record"] or {}, answer["pending"]
        return ServerState(
            active=tuple(answer["active"]),
            texts={name: file["text"] for name, file in answer["files"].items() if file["text"] is not None},
            missing=tuple(answer["missing"]),
            edited=tuple(answer["edited"]),
            previous=tuple(record.get("previous", ())),
            pending=Pending(
                tuple(pending["from"]),
                tuple(pending["to"]),
                pending["by"],
                float(pending["seconds_left"]),
                pending["complaint"],
            )
            if pending
            else None,
            effect=answer["effect"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AnswerError(
            "its irods-rule-bases is of another version than this program: run site.yml for it"
        ) from error


class Difference(StrEnum):
    """In what a rule base on a server is not as it should be."""

    NEW = "new"
    CHANGED = "changed"
    REMOVED = "removed"
    EDITED = "edited by hand"
    MISSING = "file missing"
    MOVED = "in another order"
    RELOAD = "not in effect"


@dataclass(frozen=True)
class Finding:
    """A rule base on a server that is not as it should be."""

    rule_base: str
    """Empty where it is about the server as a whole."""
    difference: Difference
    diff: str = ""
    """From what is there to what should be, as a unified diff."""


@dataclass(frozen=True)
class ServerPlan:
    """A server, and what a rollout would do there."""

    server: str
    zone: str
    release: Release
    state: ServerState | None = None
    findings: tuple[Finding, ...] = ()
    error: str = ""
    """Why the server could not be read."""

    @property
    def in_step(self) -> bool:
        """Whether there is nothing to do."""
        return self.state is not None and not self.findings and not self.state.pending


def plan_server(server: str, zone: str, release: Release, state: ServerState) -> ServerPlan:
    """What a rollout of `release` would do on a server in `state`."""
    return ServerPlan(server, zone, release, state, tuple(_findings(release, state)))


def _findings(release: Release, state: ServerState) -> list[Finding]:
    wanted = {file.rule_base: file for file in release.files}
    present = {rule_base_of(name): name for name in state.active if name not in FOUNDATION}
    found = []
    for name, file in wanted.items():
        before = present.get(name)
        if before is None:
            found.append(Finding(name, Difference.NEW, _diff("", "", file.name, file.text)))
        elif before in state.missing:
            found.append(Finding(name, Difference.MISSING, _diff("", "", file.name, file.text)))
        elif before in state.edited:
            diff = _diff(before, state.texts[before], file.name, file.text)
            found.append(Finding(name, Difference.EDITED, diff))
        elif before != file.name:
            diff = _diff(before, state.texts.get(before, ""), file.name, file.text)
            found.append(Finding(name, Difference.CHANGED, diff))
    for name, before in present.items():
        if name not in wanted:
            diff = _diff(before, state.texts.get(before, ""), "", "")
            found.append(Finding(name, Difference.REMOVED, diff))
    if not found and state.active != release.names:
        found.append(Finding("", Difference.MOVED, _order_diff(state.active, release.names)))
    if not found and state.effect != "nothing":
        found.append(Finding("", Difference.RELOAD))
    return found


def _diff(old: str, before: str, new: str, after: str) -> str:
    """A unified diff between two files by their names, whose last lines say when no line's end is there."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"{rule_base_of(old)}{suffix_of(old)} on the server" if before else "/dev/null",
        f"{rule_base_of(new)}{suffix_of(new)} in the repository" if after else "/dev/null",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _order_diff(before: tuple[str, ...], after: tuple[str, ...]) -> str:
    lines = difflib.unified_diff(
        [f"{rule_base_of(name)}\n" for name in before],
        [f"{rule_base_of(name)}\n" for name in after],
        "order on the server",
        "order in the repository",
        n=99,
    )
    return "".join(lines)
