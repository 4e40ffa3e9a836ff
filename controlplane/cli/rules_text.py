"""Rollouts of rule bases as a person reads them at a glance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from controlplane.cli.output import amount, table
from controlplane.cli.plan_text import grouped
from controlplane.rules.rollout.deploy import Result
from controlplane.rules.rollout.plan import Difference
from controlplane.rules.rollout.release import FOUNDATION, rule_base_of
from controlplane.store.rollouts import Event

if TYPE_CHECKING:
    from rich.console import Console

    from controlplane.rules.rollout.plan import ServerPlan
    from controlplane.rules.rollout.run import Report
    from controlplane.store.rollouts import RolloutEvent

COLOURS = {
    Difference.NEW: "green",
    Difference.CHANGED: "yellow",
    Difference.REMOVED: "red",
    Difference.EDITED: "magenta",
    Difference.MISSING: "red",
    Difference.MOVED: "yellow",
    Difference.RELOAD: "yellow",
}

WHOLE = (Difference.NEW, Difference.REMOVED)
"""Differences that are a whole rule base."""

RESULT_COLOURS = {
    Result.CONFIRMED: "green",
    Result.ROLLED_BACK: "yellow",
    Result.FAILED: "bold red",
    Result.NOT_ATTEMPTED: "dim",
}

EVENT_COLOURS = {Event.GATE_FAILED: "red", Event.FAILED: "red", Event.ROLLED_BACK: "yellow"}

DIFF_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def show_plan(out: Console, plans: Sequence[ServerPlan]) -> None:
    """What a rollout would do, zone by zone; what is the same on several servers is shown once."""
    for zone, some in grouped(plans, lambda item: item.zone).items():
        behind = [item for item in some if not item.in_step and not item.error]
        out.print(f"[bold]zone {escape(zone)}[/]" + ("" if behind else ": [green]all in step[/]"))
        for item in some:
            if item.error:
                out.print(f"  [bold red]{escape(item.server)} cannot be read[/]: {escape(item.error)}")
            if item.state and item.state.pending:
                out.print(f"  [yellow]{escape(item.server)}: {escape(_pending(item))}[/]")
        found = [(one, item.server) for item in behind for one in item.findings]
        for finding, alike in grouped(found, lambda pair: pair[0]).items():
            word = f"[{COLOURS[finding.difference]}]{finding.difference}[/]"
            name = f"[bold]{escape(finding.rule_base)}[/] " if finding.rule_base else ""
            out.print(f"  {name}{word} on {escape(', '.join(server for _, server in alike))}")
            # The whole text of a rule base is in the repository; what it differs by is not.
            shown = finding.diff if finding.difference not in WHOLE else ""
            for line in shown.splitlines():
                colour = DIFF_COLOURS.get(line[:1])
                out.print(f"    [{colour}]{escape(line)}[/]" if colour else f"    {escape(line)}")
    todo = sum(not item.in_step and not item.error for item in plans)
    unread = sum(bool(item.error) for item in plans)
    text = f"[yellow]{amount(todo, 'server')} to change[/]" if todo else "[green]nothing to deploy[/]"
    out.print(text + (f"; [red]{amount(unread, 'server')} not read[/]" if unread else ""))


def show_status(out: Console, plans: Sequence[ServerPlan]) -> None:
    """A row for each server, and below it what was edited by hand."""
    rows = table("server", "zone", "rule bases", "in step", "edited by hand", "pending")
    for item in plans:
        if item.state is None:
            rows.add_row(escape(item.server), escape(item.zone), f"[red]{escape(item.error)}[/]", "[red]?[/]")
            continue
        rows.add_row(
            escape(item.server),
            escape(item.zone),
            escape(", ".join(_versions(item)) or "none"),
            "[green]yes[/]" if item.in_step else f"[yellow]no: {escape(_why(item))}[/]",
            escape(", ".join(rule_base_of(name) for name in item.state.edited)),
            escape(_pending(item)),
        )
    out.print(rows)
    for item in plans:
        for one in item.findings:
            if one.difference is Difference.EDITED:
                out.print(f"\n{escape(one.rule_base)} was edited by hand on {escape(item.server)}:")
                out.print(escape(one.diff.rstrip("\n")))


def show_rollback(out: Console, plans: Sequence[ServerPlan]) -> None:
    """From which rule bases to which each server would go."""
    for item in plans:
        if item.state is None:
            out.print(f"[bold red]{escape(item.server)} cannot be read[/]: {escape(item.error)}")
        elif item.state.pending:
            out.print(f"{escape(item.server)}: {escape(_pending(item))} is taken back")
        elif item.state.previous:
            out.print(f"{escape(item.server)}:")
            for sign, colour, names, others in (
                ("-", "red", item.state.active, item.state.previous),
                ("+", "green", item.state.previous, item.state.active),
            ):
                if changed := [name for name in names if name not in others]:
                    out.print(f"  [{colour}]{sign} {escape(' '.join(changed))}[/]")
        else:
            out.print(f"{escape(item.server)}: no list before the present one is known")


def show_report(out: Console, report: Report) -> None:
    """What became of each server, and for how long it was closed."""
    if not report.outcomes:
        return
    rows = table("server", "result", "closed for", "", right=("closed for",))
    for one in report.outcomes:
        rows.add_row(
            escape(one.server),
            f"[{RESULT_COLOURS[one.result]}]{one.result}[/]",
            f"{one.closed:.1f} s" if one.closed else "",
            escape(one.reason),
        )
    out.print(rows)


def show_events(out: Console, events: Iterable[RolloutEvent]) -> None:
    """Past rollouts, line by line."""
    rows = table(
        "run", "at (UTC)", "zone", "wave", "server", "event", "closed for", "", right=("run", "closed for")
    )
    for one in events:
        colour = EVENT_COLOURS.get(Event(one.event), "")
        rows.add_row(
            str(one.run),
            f"{one.at:%Y-%m-%d %H:%M:%S}",
            escape(one.zone),
            escape(one.wave),
            escape(one.server),
            f"[{colour}]{one.event}[/]" if colour else one.event,
            f"{one.closed:.1f} s" if one.closed is not None else "",
            escape(one.text),
        )
    out.print(rows if rows.row_count else "No rule bases were rolled out yet.")


def _versions(item: ServerPlan) -> list[str]:
    """The rule bases of a server with their versions, where the text is one that the repository has."""
    versions = {file.name: file.version for file in item.release.files}
    active = item.state.active if item.state else ()
    return [
        f"{rule_base_of(name)} {versions.get(name, '(another version)')}"
        for name in active
        if name not in FOUNDATION
    ]


def _why(item: ServerPlan) -> str:
    kinds = grouped(item.findings, lambda one: one.difference)
    texts = [
        f"{difference} {', '.join(one.rule_base for one in some if one.rule_base)}".strip()
        for difference, some in kinds.items()
    ]
    return "; ".join(texts) or "not confirmed"


def _pending(item: ServerPlan) -> str:
    pending = item.state.pending if item.state else None
    if not pending:
        return ""
    left = max(0.0, pending.seconds_left)
    return f"an activation by {pending.by}, which the server takes back in {left:.0f} s"
