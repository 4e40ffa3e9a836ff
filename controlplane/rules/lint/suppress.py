"""Findings that a comment hides.

`# lint: ignore R302: why` stands on the line that it is about, or alone on the line before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from controlplane.rules.language.ast import Place
from controlplane.rules.lint.finding import CODES, Finding

_COMMENT = re.compile(
    r"^(?P<before>.*?)#\s*lint:\s*ignore\b\s*(?P<codes>R\d+(?:\s*,\s*R\d+)*)?\s*(?P<reason>:\s*\S.*)?$"
)


@dataclass(frozen=True, slots=True)
class _Suppression:
    place: Place
    line: int
    """The line that it is about."""
    codes: frozenset[str]


def suppressed(file: str, text: str, findings: Iterable[Finding]) -> list[Finding]:
    """The findings of a file that no comment hides, and what is wrong with such comments (R901)."""
    wrong: list[Finding] = []
    suppressions = list(_suppressions(file, text, wrong))
    used: set[tuple[_Suppression, str]] = set()
    left: list[Finding] = []
    for finding in findings:
        hiding = [
            entry
            for entry in suppressions
            if finding.file == file and entry.line == finding.place.line and finding.code in entry.codes
        ]
        used.update((entry, finding.code) for entry in hiding)
        if not hiding:
            left.append(finding)
    for entry in suppressions:
        for code in sorted(entry.codes):
            if (entry, code) not in used:
                wrong.append(
                    Finding(file, entry.place, "R901", f"there is no {code} here: remove the comment")
                )
    return left + wrong


def _suppressions(file: str, text: str, wrong: list[Finding]) -> Iterator[_Suppression]:
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        match = _COMMENT.match(line)
        if match is None:
            continue
        place = Place(number, len(match["before"]) + 1)
        codes = frozenset(re.findall(r"R\d+", match["codes"] or ""))
        if not codes or match["reason"] is None:
            text_ = "say what is hidden and why: # lint: ignore R302: the reason"
            wrong.append(Finding(file, place, "R901", text_))
            continue
        for code in sorted(codes - CODES.keys()):
            wrong.append(
                Finding(file, place, "R901", f"there is no code {code}; bic rules lint knows {_range()}")
            )
        yield _Suppression(
            place, number if match["before"].strip() else _next(lines, number), codes & frozenset(CODES)
        )


def _next(lines: list[str], number: int) -> int:
    """The line after a comment that is no comment and not empty."""
    while number < len(lines) and (not lines[number].strip() or lines[number].lstrip().startswith("#")):
        number += 1
    return number + 1


def _range() -> str:
    return f"{min(CODES)} to {max(CODES)}"
