"""`bic rules plan`, `deploy`, `status` and `rollback`: the rule bases on the servers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controlplane.cli.context import LOCK_PATIENCE, Context
from controlplane.errors import EXIT_FAILURE, EXIT_INTERRUPTED, BadInputError

if TYPE_CHECKING:
    from threading import Event

    from rich.console import Console

    from controlplane.rules.rollout.deploy import Conditions
    from controlplane.rules.rollout.plan import ServerPlan
    from controlplane.rules.rollout.run import Report
    from controlplane.rules.rollout.session import Session

EXIT_CHANGES = 2
"""What `bic rules plan` says when there is something to do."""

app = typer.Typer()

Rules = Annotated[
    Path | None,
    typer.Option("--rules", help="The folder of the rule bases, where it is elsewhere.", metavar="FOLDER"),
]
Zones = Annotated[
    list[str] | None, typer.Option("--zone", help="Only this zone; repeatable.", metavar="ZONE")
]
Hosts = Annotated[
    list[str] | None,
    typer.Option("--server", help="Only the server on this host; repeatable.", metavar="HOST"),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Wait = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="Seconds to wait for a server's clients before it is closed, if not as in policies/rules.yml.",
        metavar="SECONDS",
    ),
]
WaitForLock = Annotated[
    float, typer.Option(min=0.0, help="Seconds to wait for an apply or rollout to end.", metavar="SECONDS")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write it as JSON.")]


@app.command()
def plan(
    context: typer.Context,
    *,
    zone: Zones = None,
    server: Hosts = None,
    rules: Rules = None,
    as_json: AsJson = False,
) -> None:
    """Show what each server runs against what it should.

    Exit code 0: all servers are in step, 2: there is something to deploy, 1: a server could not be read.
    """
    from controlplane.cli.rules_text import show_plan

    _tell(_read(context, rules, zone, server), show_plan, as_json)


@app.command()
def status(
    context: typer.Context,
    *,
    zone: Zones = None,
    server: Hosts = None,
    rules: Rules = None,
    history: Annotated[
        bool, typer.Option("--history", help="Show what past rollouts did instead, the newest last.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many events of past rollouts to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show which rule bases are active on each server.

    Exit code 0: all are in step, 2: something differs from the repository, 1: a server could not be read.
    """
    from controlplane.cli.output import console
    from controlplane.cli.rules_text import show_events, show_status

    if history:
        import json

        from controlplane.store import open_store
        from controlplane.store.rollouts import events

        cli: Context = context.obj
        platform = cli.load()
        with open_store(platform) as store:
            found = events(store, platform.name, limit=limit)
        if as_json:
            typer.echo(json.dumps([one.as_json() for one in found], indent=2, ensure_ascii=False))
        else:
            show_events(console(), found)
        return
    _tell(_read(context, rules, zone, server), show_status, as_json)


@app.command()
def deploy(
    context: typer.Context,
    *,
    zone: Zones = None,
    server: Hosts = None,
    yes: Yes = False,
    wait: Wait = None,
    wait_for_lock: WaitForLock = LOCK_PATIENCE,
    no_lint: Annotated[
        bool, typer.Option("--no-lint", help="Also deploy rule bases in which lint finds errors.")
    ] = False,
    rules: Rules = None,
) -> None:
    """Roll the rule bases out to the servers, in waves.

    The canary comes first, then its data centre, then all others.
    Each server is closed for a moment, one at a time in a zone, and must pass a gate of real operations. A
    gate that fails rolls its wave back and ends the rollout. Exit code 0: all servers are in step, 1: not.
    """
    from controlplane.cli.output import amount, console
    from controlplane.cli.rules_text import show_plan
    from controlplane.rules.rollout import run

    session = _session(context, rules, zone, server)
    if not no_lint:
        session.lint()

    def approve(plans: Sequence[ServerPlan]) -> bool:
        show_plan(console(), plans)
        count = sum(not item.in_step and not item.error for item in plans)
        return not count or _confirmed(yes, f"Change the rule bases of {amount(count, 'server')}?")

    with _rollout(session, "bic rules deploy", wait, wait_for_lock) as (conditions, end):
        report = run.deploy(session.platform, conditions, session.wanted, approve)
        end(report)
    _finish(report, conditions.stop)


@app.command()
def rollback(
    context: typer.Context,
    *,
    zone: Zones = None,
    server: Hosts = None,
    yes: Yes = False,
    wait: Wait = None,
    wait_for_lock: WaitForLock = LOCK_PATIENCE,
    rules: Rules = None,
) -> None:
    """Go back to the rule bases before the last ones.

    In waves and behind the same gate. Run twice, it comes back to where it began. Exit code 0: done,
    1: not.
    """
    from controlplane.cli.output import amount, console
    from controlplane.cli.rules_text import show_rollback
    from controlplane.rules.rollout import run

    session = _session(context, rules, zone, server)

    def approve(plans: Sequence[ServerPlan]) -> bool:
        show_rollback(console(), plans)
        count = sum(bool(item.state and item.state.previous) for item in plans)
        return not count or _confirmed(yes, f"Take the rule bases of {amount(count, 'server')} back?")

    with _rollout(session, "bic rules rollback", wait, wait_for_lock) as (conditions, end):
        report = run.rollback(session.platform, conditions, session.wanted, approve)
        end(report)
    _finish(report, conditions.stop)


def _session(
    context: typer.Context, rules: Path | None, zones: Sequence[str] | None, servers: Sequence[str] | None
) -> Session:
    from controlplane.rules.rollout.session import session

    cli: Context = context.obj
    return session(cli.load(), rules, zones or (), servers or ())


def _read(
    context: typer.Context, rules: Path | None, zones: Sequence[str] | None, servers: Sequence[str] | None
) -> list[ServerPlan]:
    from controlplane.rules.rollout.run import read
    from controlplane.rules.rollout.servers import Servers

    found = _session(context, rules, zones, servers)
    with Servers(found.platform, found.wanted) as asked:
        return read(asked, found.wanted)


@contextmanager
def _rollout(
    session: Session, command: str, wait: float | None, wait_for_lock: float
) -> Iterator[tuple[Conditions, Callable[[Report], None]]]:
    """Hold the platform's lock, keep a journal, and reach the servers; with what ends the journal well."""
    from controlplane.rules.rollout.deploy import Conditions, Result
    from controlplane.rules.rollout.servers import Servers
    from controlplane.store import open_store
    from controlplane.store.journal import RunEnd, RunResult, begin_run
    from controlplane.store.locks import Holder, Wanted, account, hold
    from controlplane.store.rollouts import RolloutJournal

    def tell(text: str) -> None:
        typer.echo(text, err=True)

    platform, gate = session.platform, session.gate()
    seconds = wait if wait is not None else float(platform.rules.wait_for_transfers)
    with (
        open_store(platform) as store,
        # No apply runs meanwhile, so the platform itself holds no connection for long.
        hold(store.locks, [Wanted("platform")], command, wait_for_lock, tell) as held,
        Servers(platform, session.wanted) as servers,
    ):
        holder = Holder.myself(command)
        run = begin_run(
            store, held, holder, platform=platform.name, actor=account(), scope=session.scope, plan=""
        )
        conditions = Conditions(
            servers, RolloutJournal(store, run), gate, f"{account()} ({command})", seconds, tell
        )

        def end(report: Report) -> None:
            counts = {result: sum(one.result is result for one in report.outcomes) for result in Result}
            missed = counts[Result.FAILED] + counts[Result.ROLLED_BACK]
            result = RunResult.DONE if report.outcomes else RunResult.NOTHING
            if conditions.stop.is_set():
                result = RunResult.INTERRUPTED
            elif not report.ok:
                result = RunResult.FAILED
            errors = [f"{item.server}: {item.error}" for item in report.plans if item.error]
            reasons = [f"{one.server}: {one.reason}" for one in report.outcomes if one.reason]
            run.end(
                RunEnd(
                    result,
                    counts[Result.CONFIRMED],
                    missed,
                    counts[Result.NOT_ATTEMPTED],
                    "\n".join([*errors, *reasons]),
                )
            )

        yield conditions, end


def _confirmed(yes: bool, question: str) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise BadInputError("there is nobody to ask; add --yes to go on")
    return typer.confirm(question)


def _finish(report: Report, stop: Event) -> None:
    from controlplane.cli.output import console
    from controlplane.cli.rules_text import show_report

    show_report(console(), report)
    if stop.is_set():
        raise typer.Exit(EXIT_INTERRUPTED)
    if not report.ok:
        raise typer.Exit(EXIT_FAILURE)


def _tell(
    plans: Sequence[ServerPlan], show: Callable[[Console, Sequence[ServerPlan]], None], as_json: bool
) -> None:
    """Show what servers run, and end with what it means: in step, something to do, or not all read."""
    import json

    from controlplane.cli.output import console

    if as_json:
        typer.echo(json.dumps({"servers": [_document(item) for item in plans]}, indent=2, ensure_ascii=False))
    else:
        show(console(), plans)
    if any(item.error for item in plans):
        raise typer.Exit(EXIT_FAILURE)
    if not all(item.in_step for item in plans):
        raise typer.Exit(EXIT_CHANGES)


def _document(item: ServerPlan) -> Mapping[str, Any]:
    """A server's plan in JSON's types."""
    state = item.state
    return {
        "server": item.server,
        "zone": item.zone,
        "error": item.error or None,
        "in_step": item.in_step,
        "wanted": list(item.release.names),
        "active": list(state.active) if state else None,
        "previous": list(state.previous) if state else None,
        "effect": state.effect if state else None,
        "pending": {
            "from": list(state.pending.before),
            "to": list(state.pending.after),
            "by": state.pending.by,
            "seconds_left": state.pending.seconds_left,
        }
        if state and state.pending
        else None,
        "findings": [
            {"rule_base": one.rule_base, "difference": one.difference.value, "diff": one.diff}
            for one in item.findings
        ],
    }
