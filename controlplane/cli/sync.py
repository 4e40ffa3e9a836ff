"""`bic sync`: people and their memberships follow into all systems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.cli.context import LOCK_PATIENCE, Context
from controlplane.errors import EXIT_FAILURE, EXIT_INTERRUPTED, BadInputError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from threading import Event

    from controlplane.store import Store
    from controlplane.sync.follow import Work

WAIT = 60.0
"""Seconds that the service waits for an apply to end before it looks again later."""

app = typer.Typer()


@app.command()
def sync(
    context: typer.Context,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Go on following changes, until stopped.")] = False,
    interval: Annotated[
        float, typer.Option(min=1.0, max=60.0, help="Seconds between two looks at the login server.")
    ] = 20.0,
    listen: Annotated[
        str,
        typer.Option(
            envvar="BIC_SYNC_LISTEN",
            help="With --follow, the address and port where the login server posts events to (path /events).",
        ),
    ] = "",
    webhook_secret: Annotated[
        Path | None,
        typer.Option(
            envvar="BIC_SYNC_WEBHOOK_SECRET_FILE",
            help="The file with the secret that events carry as a bearer token.",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(envvar="BIC_SYNC_TLS_CERT", help="The certificate chain of --listen.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(envvar="BIC_SYNC_TLS_KEY", help="The certificate's key.")
    ] = None,
    wait_for_lock: Annotated[
        float, typer.Option(min=0.0, help="Seconds to wait for an apply to end.", metavar="SECONDS")
    ] = LOCK_PATIENCE,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every object, however many there are.")
    ] = False,
) -> None:
    """Let people and memberships follow from the login server into all systems.

    Account names for newcomers, accounts, members and access of teams, and the end of access. What the
    inventory wants beyond that is left to bic apply. Exit code 1 when a system could not follow.
    """
    cli: Context = context.obj
    platform = cli.load()
    if platform.identity is None:
        raise BadInputError("the platform has no login server: add 'identity' to its platform.yml")
    if not follow:
        if listen:
            raise BadInputError("--listen is for --follow")
        _once(cli, wait_for_lock, verbose=verbose)
        return
    if (tls_cert is None) != (tls_key is None):
        raise BadInputError("a TLS certificate and its key must be given together")
    if listen and webhook_secret is None:
        raise BadInputError("--listen needs --webhook-secret: anybody could send word otherwise")
    _follow(cli, interval, listen, webhook_secret, (tls_cert, tls_key))


def _once(cli: Context, wait_for_lock: float, *, verbose: bool) -> None:
    import time
    from threading import Event

    from controlplane.cli.output import console, duration
    from controlplane.cli.plan_text import show_reports
    from controlplane.cli.progress import watching
    from controlplane.store import open_store
    from controlplane.store.locks import account
    from controlplane.sync import status
    from controlplane.sync.follow import status_of
    from controlplane.sync.run import sync
    from controlplane.systems import planned_systems

    platform, stop, out = cli.load(), Event(), console()
    with watching() as watch, open_store(platform) as store:
        try:
            synced = sync(
                lambda: planned_systems(platform),
                platform,
                store,
                actor=account(),
                watch=watch,
                wait_for_lock=wait_for_lock,
                tell=lambda text: typer.echo(text, err=True),
                stop=stop,
            )
        except KeyboardInterrupt:
            typer.echo("Interrupted. Nothing was changed.", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
    show_reports(out, synced.reports, verbose=verbose)
    now, before = time.time(), status.read(platform.state_dir)
    status.write(platform.state_dir, status_of(synced, now, now, before))
    if stop.is_set():
        raise typer.Exit(EXIT_INTERRUPTED)
    if not synced.ok:
        raise typer.Exit(EXIT_FAILURE)
    made = f"{synced.changes:,} changes made" if synced.changes else "nothing to do"
    out.print(f"Everybody is where they belong: {made}, {duration(synced.seconds)}.")


def _follow(
    cli: Context, interval: float, listen: str, secret: Path | None, tls: tuple[Path | None, Path | None]
) -> None:
    import logging
    import signal
    from contextlib import ExitStack
    from threading import Event

    from controlplane.cli.exporter import parse_listen
    from controlplane.model.secrets import Secret
    from controlplane.store import open_store
    from controlplane.sync import status
    from controlplane.sync.follow import Follower
    from controlplane.sync.webhook import listening

    # To the journal, which adds the time itself.
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    log = logging.getLogger("controlplane.sync")
    stop, word = Event(), Event()

    def end(*_: object) -> None:
        stop.set()
        word.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with ExitStack() as stack:
        if listen and secret:
            address, port = parse_listen(listen)
            token = Secret.from_file(str(secret)).reveal()
            stack.enter_context(listening(address, port, token, word, certificate=tls[0], key=tls[1]))
            log.info("events are taken on %s:%d", address, port)
        platform = cli.load()
        store = stack.enter_context(open_store(platform))
        log.info("following, with a look every %g s", interval)
        Follower(_work(cli, store, stop), status.read(platform.state_dir)).run(stop, word, interval)
    log.info("stopped")


def _work(cli: Context, store: Store, stop: Event) -> Work:
    from controlplane.store.locks import account
    from controlplane.sync import status
    from controlplane.sync.follow import Work
    from controlplane.sync.run import Synced, sync
    from controlplane.systems import contributions, planned_systems
    from controlplane.workflows.reconcile import Inventory

    inventory = Inventory(cli.inventory)

    def run(only: AbstractSet[str]) -> Synced:
        platform, _ = inventory.load()
        return sync(
            lambda: planned_systems(platform),
            platform,
            store,
            actor=account(),
            watch=lambda label: lambda done, total: None,
            only=only,
            command="bic sync --follow",
            wait_for_lock=WAIT,
            stop=stop,
        )

    def newest() -> str:
        platform, _ = inventory.load()
        return " ".join(contributions(platform, "changes", "newest_changes"))

    return Work(
        inventory=lambda: inventory.load()[1],
        newest=newest,
        sync=run,
        tell=lambda now: status.write(inventory.load()[0].state_dir, now),
    )
