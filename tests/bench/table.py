"""Measurements and the targets they are held to, as people and as machines read them."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One arm's measurement."""

    facilities: int
    people: int
    work: str
    arm: str
    requests: int
    """All requests that the server answered, logins included."""
    logins: int
    seconds: float
    cpu: float
    """Seconds of processor time that the client needed, which other programs hardly change."""
    note: str = ""
    """Whether the figures were measured in full; where they were not, from what they were extrapolated."""


@dataclass(frozen=True)
class Target:
    """What was aimed for and what was measured."""

    what: str
    aim: str
    measured: str
    met: bool


@dataclass
class Results:
    """All that a run measured."""

    rows: list[Row] = field(default_factory=list)
    phases: list[dict[str, float | int | str]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Arms that could not be measured, and why."""

    def document(self) -> dict[str, list[object]]:
        """All of it as JSON."""
        return {
            "rows": [asdict(row) for row in self.rows],
            "phases": list(self.phases),
            "targets": [asdict(target) for target in self.targets],
            "failures": list(self.failures),
        }

    def show(self) -> None:
        """Print all of it."""
        console = Console(width=150)
        if self.rows:
            console.print(
                plain_table(
                    ("facilities", "people", "work", "arm"),
                    ("requests", "logins", "seconds", "client CPU"),
                    (
                        (
                            f"{row.facilities:,}",
                            f"{row.people:,}",
                            row.work,
                            row.arm,
                            f"{row.requests:,}",
                            f"{row.logins:,}",
                            f"{row.seconds:,.2f}",
                            f"{row.cpu:,.2f}",
                            row.note,
                        )
                        for row in self.rows
                    ),
                )
            )
        if self.phases:
            console.print(
                plain_table(
                    ("phase",),
                    ("people", "seconds", "CPU", "peak MiB"),
                    (
                        (
                            str(phase["phase"]),
                            f"{phase['people']:,}",
                            f"{phase['seconds']:.1f}",
                            f"{phase['cpu']:.1f}",
                            f"{phase['peak_mib']:,.0f}" if phase["peak_mib"] else "-",
                            "",
                        )
                        for phase in self.phases
                    ),
                )
            )
        for target in self.targets:
            word = "[green]met   [/]" if target.met else "[red]missed[/]"
            console.print(f"{word}  {target.what}: {target.measured} (aim: {target.aim})", highlight=False)
        for failure in self.failures:
            console.print(f"[red]failed[/]  {escape(failure)}", highlight=False)


def plain_table(texts: tuple[str, ...], numbers: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        table.add_row(*row)
    return table
