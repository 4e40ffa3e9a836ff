"""The queue of what the worker does: rows of the store, taken one at a time."""

from datetime import timedelta
from typing import Any

from . import clock
from .models.operations import TASK
from .store import Row, Tx

_ALIVE_SECONDS = 30


def enqueue(tx: Tx, actor: str, arguments: dict[str, Any], related: tuple[str, str] | None = None) -> Row:
    """Queue a task; `related` is the model and key of the object that it is about."""
    model, pk = related or (None, None)
    return tx.insert(
        TASK, {"actor_name": actor, "arguments": arguments, "rel_obj_model": model, "rel_obj_id": pk}
    )


def take(tx: Tx) -> Row | None:
    """Take the oldest queued task."""
    queued = tx.find(TASK, state="queued")
    if queued is None:
        return None
    return tx.update(TASK, queued["pk"], {"state": "running", "mtime": clock.now()})


def requeue_running(tx: Tx) -> None:
    """Queue again what a killed worker had taken."""
    for task in tx.select(TASK, state="running"):
        tx.update(TASK, task["pk"], {"state": "queued", "mtime": clock.now()})


def finish(tx: Tx, task: Row, status: str, message: str = "") -> None:
    """Record how a task ended: `info`, `warning` or `error`."""
    messages = [{"event": message, "log_level": status}] if message else []
    tx.update(
        TASK,
        task["pk"],
        {
            "state": "done",
            "aggregated_status": "done" if status == "info" else status,
            "messages": messages,
            "mtime": clock.now(),
        },
    )


def beat(tx: Tx, worker: str) -> None:
    """Record that a worker lives."""
    tx.connection.execute(
        "INSERT INTO workers (name, seen) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET seen = excluded.seen",
        (worker, clock.now()),
    )


def living_workers(tx: Tx) -> list[str]:
    """Return the workers that were seen within the last half minute."""
    since = clock.later(timedelta(seconds=-_ALIVE_SECONDS))
    rows = tx.connection.execute("SELECT name FROM workers WHERE seen > ? ORDER BY name", (since,))
    return [name for (name,) in rows]
