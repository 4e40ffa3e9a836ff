"""The worker: takes tasks from the queue, looks at blueprint files, removes what has run out."""

import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from . import clock, events, notifications, tasks
from .blueprints import files, importer
from .models.core import SESSION, TOKEN
from .models.operations import EVENT
from .settings import Settings
from .store import Row, Store

_LOG = logging.getLogger("authentik.worker")
_POLL_SECONDS = 0.2
_CLEAN_SECONDS = 60.0
_LOOK_SECONDS = 2.0
_BEAT_SECONDS = 10.0

Actor = Callable[[Settings, Store, dict[str, Any]], None]


class Worker:
    """Does tasks until it is stopped."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self._stopped = threading.Event()
        self._cleaned = self._looked = self._beaten = float("-inf")
        self.name = f"{uuid.uuid4()}@{socket.gethostname()}"

    def stop(self) -> None:
        """Make `run` return after the task in hand."""
        self._stopped.set()

    def run(self) -> None:
        """Do tasks until stopped."""
        with self.store.write() as tx:
            tasks.requeue_running(tx)
        while not self._stopped.is_set():
            if not self.step():
                self._stopped.wait(_POLL_SECONDS)
        self.store.close_thread()

    def step(self) -> bool:
        """Do one task, or what is due without one; whether there was a task."""
        if time.monotonic() - self._cleaned > _CLEAN_SECONDS:
            self._cleaned = time.monotonic()
            remove_expired(self.store)
        if time.monotonic() - self._beaten > _BEAT_SECONDS:
            self._beaten = time.monotonic()
            with self.store.write() as tx:
                tasks.beat(tx, self.name)
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            files.discover(self.settings.blueprints, self.store, importer.ACTOR)
        with self.store.read() as tx:
            waiting = tx.find("authentik_tasks.task", state="queued")
        if waiting is None:
            return False
        with self.store.write() as tx:
            task = tasks.take(tx)
        if task is not None:
            self._do(task)
        return task is not None

    def _do(self, task: Row) -> None:
        status, message = "info", "Task finished processing without errors"
        try:
            ACTORS[task["actor_name"]](self.settings, self.store, task["arguments"])
        except Exception as error:
            _LOG.exception("task %s failed", task["actor_name"])
            status, message = "error", str(error)
        with self.store.write() as tx:
            tasks.finish(tx, task, status, message)


def remove_expired(store: Store) -> None:
    """Remove tokens, sessions and events that have run out."""
    with store.write() as tx:
        for model in (TOKEN, SESSION, EVENT):
            expiring = "json_extract(data, '$.expires') < ?"
            if model == TOKEN:
                expiring += " AND json_extract(data, '$.expiring') = 1"
            for row in tx.rows(model, expiring, (clock.now(),)):
                tx.delete(model, row["pk"])


ACTORS: dict[str, Actor] = {
    importer.ACTOR: importer.task,
    events.DISPATCH: notifications.dispatch,
    notifications.SEND: notifications.deliver,
}
