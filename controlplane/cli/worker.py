"""`bic dispatch` and `bic worker`: one reconcile per facility on a queue, and the processes that do them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.cli.context import Context
from controlplane.cli.scope import Facilities, chosen_scope
from controlplane.errors import EXIT_FAILURE, EXIT_INTERRUPTED, BadInputError

if TYPE_CHECKING:
    from controlplane.store import Store
    from controlplane.workflows.database import Database
    from controlplane.workflows.dbos_engine import DbosWorker
    from controlplane.workflows.dispatch import FacilityResult

LONGEST_NAME = 40
"""Characters of a worker's name: beside the platform's, PostgreSQL shows no more of it."""

EMBEDDED_CONCURRENCY = 2
"""Facilities at a time where `bic dispatch` does the work itself: one is read while another is changed."""

app = typer.Typer()


@app.command()
def dispatch(
    context: typer.Context,
    facility: Facilities = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Queue the work, leave it to workers and end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the results as JSON.")] = False,
) -> None:
    """Reconcile facilities one by one through a queue. Exit code 1 when anything could not be done.

    Workers do the work (bic worker); where the store is not PostgreSQL, it is done right here.

    A facility that is queued or running already is followed, not queued again.

    What needs a person is refused: more changes than the limits allow, deletions that destroy data.

    What belongs to no facility, such as a zone's own storage resources, is left to bic apply.
    """
    from controlplane.cli.progress import watching
    from controlplane.model import inventory_digest
    from controlplane.store import open_store
    from controlplane.store.locks import account
    from controlplane.workflows import dispatch as work
    from controlplane.workflows.database import Database
    from controlplane.workflows.dbos_engine import DbosQueue

    cli: Context = context.obj
    platform = cli.load()
    chosen = chosen_scope(platform, (), systems=None, facilities=facility, teams=None).facilities
    with open_store(platform) as store:
        database = Database.beside(store, platform)
        if database.file and no_wait:
            raise BadInputError(
                "--no-wait leaves the work to workers, and those need PostgreSQL as the store; without it, "
                "bic dispatch does the work itself"
            )
        with DbosQueue(database) as queue, _working_here(cli, store, database):
            facilities = sorted(chosen or platform.facilities)
            tickets = work.dispatch(queue, facilities, account(), inventory_digest(cli.inventory))
            new = sum(ticket.new for ticket in tickets.values())
            already = f", {len(tickets) - new} were queued or running already" if new < len(tickets) else ""
            typer.echo(f"{new} of {len(tickets)} facilities queued{already}", err=True)
            if no_wait:
                return
            try:
                with watching() as watch:
                    results = work.follow(queue, tickets, watch("reconciling"), _say_that_nobody_works)
            except KeyboardInterrupt:
                rest = "continues with it" if database.file else "shows what the workers make of it"
                typer.echo(f"Interrupted. What is queued stays queued; bic dispatch {rest}.", err=True)
                raise typer.Exit(EXIT_INTERRUPTED) from None
    _show(results, as_json)
    if not all(item.ok for item in results):
        raise typer.Exit(EXIT_FAILURE)


@app.command()
def worker(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Option(
            help="The worker's own name, which it keeps when it is started again. By default the machine's."
        ),
    ] = "",
    concurrency: Annotated[
        int, typer.Option(min=1, max=64, help="How many facilities it reconciles at the same time.")
    ] = 1,
) -> None:
    """Reconcile facilities from the queue, until stopped.

    SIGTERM ends it when the changes in flight are made. Another worker does what it has left.

    So it is when a worker dies. Standard error gets a line for each event.
    """
    import logging
    import os
    import signal
    import sys
    import threading

    from controlplane.store import open_store
    from controlplane.workflows.database import Database

    cli: Context = context.obj
    name = _name(name)
    platform = cli.load()
    # To the journal, which adds the time itself.
    logging.basicConfig(format="%(levelname)s %(message)s")
    log = logging.getLogger("controlplane")
    log.setLevel(logging.INFO)
    with open_store(platform) as store:
        database = Database.beside(store, platform)
        if database.file:
            raise BadInputError(
                f"workers share a queue in PostgreSQL, and the store of {platform.name} is a file; name a "
                "database in platform.yml (store:), or let bic dispatch do the work itself"
            )
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        made = _worker(cli, store, database, name, concurrency)
        made.start()
        log.info("worker %s is ready: %d at a time, store %s", name, concurrency, store.name)
        stopping.wait()
        log.info("worker %s stops when the changes in flight are made", name)
        made.stop()
    log.info("worker %s has stopped", name)
    sys.stderr.flush()
    # A workflow that sleeps has a thread, which would keep the process until it wakes up.
    os._exit(0)


def _worker(cli: Context, store: Store, database: Database, name: str, concurrency: int) -> DbosWorker:
    import logging
    import os

    from controlplane.workflows.dbos_engine import DbosWorker
    from controlplane.workflows.reconcile import NAME, FacilityReconcile, Inventory

    def lost(reason: str) -> None:
        logging.getLogger("controlplane").critical(
            "worker %s ends at once, since others take over its work: %s", name, reason
        )
        os._exit(EXIT_FAILURE)

    workflows = {NAME: FacilityReconcile(Inventory(cli.inventory), store)}
    return DbosWorker(database, workflows, lost, name=name, concurrency=concurrency)


@contextmanager
def _working_here(cli: Context, store: Store, database: Database) -> Iterator[None]:
    """Beside an embedded database, do the queue's work in this process while the block runs."""
    if not database.file:
        yield
        return
    import logging

    # What fails is in the table; lines in between would only repeat it.
    logging.getLogger("controlplane").addHandler(logging.NullHandler())
    made = _worker(cli, store, database, "", EMBEDDED_CONCURRENCY)
    made.start()
    try:
        yield
    finally:
        made.stop()


def _name(name: str) -> str:
    import re
    import socket

    name = name or socket.gethostname()
    if not re.fullmatch(rf"[A-Za-z0-9._-]{{1,{LONGEST_NAME}}}", name):
        raise BadInputError(
            f"--name {name!r}: use 1 to {LONGEST_NAME} letters, digits, dots, dashes and underscores"
        )
    return name


def _say_that_nobody_works() -> None:
    typer.echo("No worker is running. Start one with bic worker; the work waits for it.", err=True)


def _show(results: Sequence[FacilityResult], as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps([item.as_json() for item in results], indent=2, ensure_ascii=False))
        return
    from rich.markup import escape

    from controlplane.cli.output import console, table
    from controlplane.workflows.reconcile import Result

    colours = {Result.UNCHANGED: "dim", Result.DONE: "green", Result.REFUSED: "yellow", Result.FAILED: "red"}
    made = table("facility", "result", "changes", "seconds", "worker", right=("changes", "seconds"))
    for item in results:
        colour = colours[item.result]
        made.add_row(
            escape(item.facility),
            f"[{colour}]{item.result}[/]",
            f"{item.changed:,}",
            f"{item.seconds:.1f}",
            escape(item.worker),
        )
    out = console()
    out.print(made)
    for item in results:
        for reason in item.reasons:
            out.print(f"[red]![/] {escape(item.facility)}: {escape(reason)}")
    if any(item.result is Result.REFUSED for item in results):
        out.print("What was refused needs a person: [bold]bic apply --facility[/] shows it and asks.")
