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


def amount(count: int, noun: str) -> str:
    """A number of things, such as `1 group` or `1,200 storage resources`; `noun` may have underscores."""
    word = noun.replace("_", " ")
    if count != 1:
        word = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{count:,} {word}"


def duration(seconds: float) -> str:
    """A time for people, such as `3.2 s` or `5 min 20 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
