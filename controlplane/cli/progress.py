"""How far a piece of work is: on a terminal a line that moves, elsewhere a line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from controlplane.reconcile.port import Progress
from controlplane.reconcile.run import Watch

PLAIN_INTERVAL = 5.0
"""Seconds between two lines where there is no terminal."""


@contextmanager
def watching() -> Iterator[Watch]:
    """Show progress on standard error, so that standard output holds only results."""
    if not sys.stderr.isatty():
        yield _plain
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=24),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(compact=True),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as display:

        def watch(label: str) -> Progress:
            task = display.add_task(label, total=None)
            return lambda done, total: display.update(task, completed=done, total=total)

        yield watch


def _plain(label: str) -> Progress:
    begun = last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PLAIN_INTERVAL and done < total:
            last = now
            left = (now - begun) / done * (total - done) if done else 0.0
            print(f"{label}: {done} of {total}, about {left:.0f} s left", file=sys.stderr, flush=True)

    return tell
