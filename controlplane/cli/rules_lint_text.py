"""Findings of the lint as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from controlplane.cli.output import amount

if TYPE_CHECKING:
    from rich.console import Console

    from controlplane.rules.lint import Finding

_COLOURS = {"error": "bold red", "warning": "yellow"}


_WIDEST = 100
"""Columns of a line of a rule file that are shown."""


def show_findings(out: Console, findings: Sequence[Finding], texts: Mapping[str, str], files: int) -> None:
    """Each finding with its line and a caret below, and how many there are."""
    for finding in findings:
        place = finding.place
        colour = _COLOURS[finding.severity]
        out.print(
            Text.assemble(
                (f"{finding.file}:{place.line}:{place.column}: ", "bold"),
                (f"{finding.severity} {finding.code}", colour),
                f": {finding.text}",
            )
        )
        lines = texts.get(finding.file, "").split("\n")
        if finding.code != "R901" and place.line <= len(lines) and lines[place.line - 1].strip():
            line, column = _shortened(lines[place.line - 1].expandtabs(1).rstrip(), place.column)
            out.print(Text(f"    {line}"))
            out.print(Text.assemble(" " * (column + 3), ("^", colour)))
    errors = sum(finding.severity == "error" for finding in findings)
    counted = f"{amount(errors, 'error')}, {amount(len(findings) - errors, 'warning')}"
    if findings:
        out.print(Text(f"{counted} in {amount(files, 'rule file')}"))
    else:
        out.print(Text.assemble(("ok", "bold green"), f"  {amount(files, 'rule file')}"))


def _shortened(line: str, column: int) -> tuple[str, int]:
    """The part of a line around a column, and the column in it."""
    if len(line) <= _WIDEST:
        return line, column
    begin = max(0, min(column - _WIDEST // 2, len(line) - _WIDEST))
    part = line[begin : begin + _WIDEST]
    return f"{'…' if begin else ''}{part}{'…' if begin + _WIDEST < len(line) else ''}", column - begin + bool(
        begin
    )
