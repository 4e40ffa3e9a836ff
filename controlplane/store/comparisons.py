"""The results of comparisons, for the exporter."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, insert, select

from controlplane.state import Difference
from controlplane.store.database import Store
from controlplane.store.tables import DriftCheckRow, DriftCountRow

KEPT = timedelta(days=90)
"""How long results are kept; the monitoring keeps them longer."""


@dataclass(frozen=True)
class Comparison:
    """How far one system was from the inventory at some time."""

    system: str
    at: datetime
    seconds: float
    error: str = ""
    """Why it could not be compared, or empty."""
    counts: Mapping[tuple[str, Difference], int] | None = None
    """Objects by kind and difference."""


def save(store: Store, platform: str, found: Comparison) -> None:
    """Keep a result, and forget those that are too old. Raises StoreError."""
    with store.writing() as connection:
        (check,) = connection.execute(
            insert(DriftCheckRow)
            .values(
                platform=platform,
                system=found.system,
                at=found.at,
                seconds=found.seconds,
                error=found.error,
            )
            .returning(DriftCheckRow.id)
        ).one()
        if found.counts:
            rows = [
                {"check_id": check, "kind": kind, "difference": difference.value, "objects": objects}
                for (kind, difference), objects in found.counts.items()
            ]
            connection.execute(insert(DriftCountRow), rows)
        connection.execute(delete(DriftCheckRow).where(DriftCheckRow.at < datetime.now(UTC) - KEPT))


def latest(store: Store, platform: str, *, succeeded: bool) -> list[Comparison]:
    """The latest comparison of each system, or the latest that succeeded. Raises StoreError."""
    newest = select(func.max(DriftCheckRow.id)).where(DriftCheckRow.platform == platform)
    if succeeded:
        newest = newest.where(DriftCheckRow.error == "")
    newest = newest.group_by(DriftCheckRow.system)
    checks = (
        select(DriftCheckRow.__table__).where(DriftCheckRow.id.in_(newest)).order_by(DriftCheckRow.system)
    )
    with store.reading() as connection:
        rows = connection.execute(checks).all()
        counts: dict[int, dict[tuple[str, Difference], int]] = {row.id: {} for row in rows}
        for count in connection.execute(
            select(DriftCountRow.__table__).where(DriftCountRow.check_id.in_(counts))
        ):
            counts[count.check_id][(count.kind, Difference(count.difference))] = count.objects
    return [Comparison(row.system, row.at, row.seconds, row.error, counts[row.id]) for row in rows]
