"""How commands talk to a person."""

import sys

from rich.console import Console
from rich.table import Table

PLAIN_WIDTH = 160
"""Columns of output that goes to a file or pipe, where no terminal says how wide it is."""


def console(*, stderr: bool = False) -> Console:
    """A console without guessed colours; wide enough that tables in files and pipes keep their words."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=width)


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A quiet table: no frame, words folded rather than cut; columns in `right` hold numbers."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made
