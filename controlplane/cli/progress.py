"""How far a piece of work is: on a terminal a line that moves, elsewhere a line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from controlplane.reconcile.port import Progress

PLAIN_INTERVAL = 5.0
"""Seconds between two lines where there is no terminal."""


class Watching(Protocol):
    """Shows the progress of several pieces of work."""

    def __call__(self, label: str) -> Progress:
        """Begin to show a piece of work; gives whom to tell how far it is."""

    def pause(self) -> None:
        """Leave the terminal to somebody else until the next piece of work begins."""


@contextmanager
def watching() -> Iterator[Watching]:
    """Show progress on standard error, so that standard output holds only results."""
    shown: Watching = _Terminal() if sys.stderr.isatty() else _Lines()
    try:
        yield shown
    finally:
        shown.pause()


class _Terminal:
    """Lines that move, for a person who watches."""

    def __init__(self) -> None:
        from rich import progress
        from rich.console import Console

        self._display = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=24),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
        )

    def __call__(self, label: str) -> Progress:
        self._display.start()
        task = self._display.add_task(label, total=None)
        return lambda done, total: self._display.update(task, completed=done, total=total)

    def pause(self) -> None:
        self._display.stop()
        for task in self._display.task_ids:
            self._display.remove_task(task)


class _Lines:
    """A line now and then, for logs."""

    def __call__(self, label: str) -> Progress:
        begun = last = time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= PLAIN_INTERVAL and done < total:
                last = now
                left = f", about {(now - begun) / done * (total - done):.0f} s left" if done else ""
                print(f"{label}: {done:,} of {total:,}{left}", file=sys.stderr, flush=True)

        return tell

    def pause(self) -> None:
        """Lines need no room."""
