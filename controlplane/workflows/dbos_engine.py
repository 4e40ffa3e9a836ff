"""The port on DBOS, which keeps queue, steps and results in the database and needs no server of its own.

Nothing else imports `dbos`. Beyond what its documentation asks for, this is what makes it safe here:

- Everything is stored as JSON; DBOS would pickle, and unpickling runs code.
- The application's version is `VERSION`, not a hash of the source, so that work outlives an upgrade of bic.
- A worker's name is its executor's id. It holds the name's lease before DBOS starts and goes on with what its
  last process left; the work of other names is taken over only under their lease, see `lease`.
- Work that is taken over goes back on its queue by executor id. `resume_workflow` would do that whoever runs
  it by then, so that two watchdogs could start it twice, and would let its key be queued again.
- The queue is registered in memory, where its concurrency is this worker's own; in DBOS's table it is that of
  all workers.
- No port is opened and nobody is called: no admin server, no Conductor, no telemetry.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Self, cast
from uuid import uuid4

from dbos import (
    DBOS,
    DBOSClient,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    EnqueueOptions,
    PortableWorkflowError,
    WorkflowStatus,
)
from dbos import error as dbos_errors
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from controlplane.errors import BadInputError, BicError
from controlplane.workflows.database import SCHEMA, Database
from controlplane.workflows.gate import Gate
from controlplane.workflows.lease import FileLease, Lost, PostgresLease, living
from controlplane.workflows.messages import quiet, reason
from controlplane.workflows.port import Backlog, Job, Json, Status, StepError, Ticket, Workflow

log = logging.getLogger(__name__)

VERSION = "1"
"""The version of what workflows record: their names, their arguments, and the names and order of their steps.

Raised only when code can no longer go on from what older code has recorded. A worker takes work of its own
version alone, so work of an older one is finished by workers that still run it.
"""

QUEUE = "work"
EMBEDDED_WORKER = "embedded"
"""The worker beside an embedded database: there is one at a time, and the next one goes on with its work."""

POLL = 0.5
"""Seconds between two looks into the queue in PostgreSQL."""

EMBEDDED_POLL = 0.1
"""Seconds between two looks into the queue in an embedded database, which nobody else looks into."""

WATCH = 10.0
"""Seconds between two looks for workers that are gone. Their work is on the queue again at most this much and
`lease.TIMEOUT` after they hung or lost power or network, and this much after their process ended."""

STATUSES = {
    "ENQUEUED": Status.QUEUED,
    "DELAYED": Status.QUEUED,
    "PENDING": Status.RUNNING,
    "SUCCESS": Status.DONE,
    "ERROR": Status.FAILED,
    "CANCELLED": Status.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": Status.FAILED,
}


class QueueError(BicError):
    """The queue's database cannot be used."""


class WorkflowError(BicError):
    """Why a workflow failed, in words; all that is stored of an exception."""


class DbosQueue:
    """The queue of a platform (`port.Queue`), without running anything."""

    def __init__(self, database: Database) -> None:
        """Connect. Raises QueueError when the database cannot be used."""
        quiet()
        self._database = database
        self._engine: Engine | None = None
        with _usable(self._database):
            database.prepare()
            if database.file is None:
                self._engine = database.engine(f"{database.application} queue")
                _create_schema(database, self._engine)
            else:
                DBOS.migrate(_text(database))
            self._client = _client(database, self._engine)

    def enqueue(self, workflow: str, argument: Json, *, key: str) -> Ticket:
        """Queue a run, unless one with this key is queued or running."""
        options: EnqueueOptions = {
            "workflow_name": workflow,
            "queue_name": QUEUE,
            "workflow_id": str(uuid4()),
            "app_version": _version(self._database),
            # Unique among all platforms. Work of another version may have no worker left, and must not
            # hold this up.
            "deduplication_id": f"{_version(self._database)}/{workflow}/{key}",
            "duplication_policy": "return-existing",
        }
        with _usable(self._database):
            id = self._client.enqueue(options, argument).get_workflow_id()
        return Ticket(id, new=id == options["workflow_id"])

    def jobs(self, ids: Iterable[str]) -> dict[str, Job]:
        """What the database has on these runs."""
        if not (wanted := list(ids)):
            return {}
        with _usable(self._database):
            found = self._client.list_workflows(workflow_ids=wanted, load_input=False)
        return {status.workflow_id: _job(status) for status in found}

    def signal(self, id: str, name: str, value: Json, *, once: str = "") -> None:
        """Leave the signal in the database, where the run finds it."""
        with _usable(self._database):
            try:
                self._client.send(id, {"value": value}, topic=name, idempotency_key=once or None)
            except dbos_errors.DBOSNonExistentWorkflowError as error:
                raise BadInputError(f"no work with the id {id} is known") from error

    def backlog(self) -> Backlog:
        """What the database has on runs that have not ended."""
        with _usable(self._database):
            found = self._client.list_queued_workflows(
                queue_name=QUEUE,
                application_name=self._database.application,
                load_input=False,
                load_output=False,
            )
        waiting = [
            run.created_at for run in found if STATUSES[run.status] is Status.QUEUED and run.created_at
        ]
        oldest = datetime.fromtimestamp(min(waiting) / 1000, UTC) if waiting else None
        return Backlog(len(waiting), len(found) - len(waiting), oldest)

    def workers(self) -> list[str]:
        """Those that hold a lease; beside an embedded database nobody else needs to know of it."""
        if self._engine is None:
            return []
        with _usable(self._database):
            return living(self._database, self._engine)

    def forget(self, age: timedelta) -> None:
        """Delete runs that ended, with their steps and results."""
        ended = [name for name, status in STATUSES.items() if status.ended]
        before = (datetime.now(UTC) - age).isoformat()
        with _usable(self._database):
            old = self._client.list_workflows(
                status=ended, completed_before=before, load_input=False, load_output=False
            )
            if old:
                self._client.delete_workflows([status.workflow_id for status in old])

    def close(self) -> None:
        """End the connections."""
        self._client.destroy()
        if self._engine is not None:
            self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DbosWorker:
    """A worker (`port.Worker`). DBOS allows one in a process at a time."""

    def __init__(
        self,
        database: Database,
        workflows: Mapping[str, Workflow],
        lost: Lost,
        *,
        name: str = EMBEDDED_WORKER,
        concurrency: int = 1,
    ) -> None:
        """Know the work.

        `concurrency` workflows run at the same time. `lost` is called when the lease is lost; it must end
        the process, for others are taking over its work.
        """
        self._database = database
        self._workflows = workflows
        self._name = name if database.file is None else EMBEDDED_WORKER
        self._concurrency = concurrency
        self._stopping = threading.Event()
        self._gate = Gate()
        self._engine: Engine | None = None
        self._lease = FileLease(database.file) if database.file else PostgresLease(database, self._name, lost)
        self._watchdog: threading.Thread | None = None
        self._dbos: DBOS | None = None

    def start(self) -> None:
        """Take the name, start DBOS, and look after the others' work."""
        quiet()
        with _usable(self._database):
            self._database.prepare()
            self._lease.acquire()
            try:
                self._launch()
            except BaseException:
                DBOS.destroy(destroy_registry=True)
                self._lease.release()
                raise
        if isinstance(self._lease, PostgresLease):
            self._watchdog = threading.Thread(
                target=self._watch, args=(self._lease,), name="watchdog", daemon=True
            )
            self._watchdog.start()

    def stop(self) -> None:
        """Take no more work, wait for the steps in flight, end the connections."""
        self._stopping.set()
        if self._dbos is not None:
            for event in self._dbos.background_thread_stop_events:
                event.set()
        self._gate.close()
        if self._watchdog is not None:
            self._watchdog.join()
        DBOS.destroy(destroy_registry=True)
        self._lease.release()
        if self._engine is not None:
            self._engine.dispose()

    def _launch(self) -> None:
        config: DBOSConfig = {
            "name": self._database.application,
            "application_version": _version(self._database),
            "executor_id": self._name,
            "serializer": DBOSPortableJSONSerializer(),
            "dbos_system_schema": SCHEMA,
            "enable_otlp": False,
            "log_level": "WARNING",
        }
        if self._database.file is None:
            self._engine = self._database.engine(f"{self._database.application} work")
            config["system_database_engine"] = self._engine
        else:
            config["system_database_url"] = _text(self._database)
        for name, workflow in self._workflows.items():
            DBOS.workflow(name=name)(self._body(name, workflow))
        self._dbos = DBOS(config=config)
        self._dbos._registry._register_internal_queue(
            QUEUE,
            worker_concurrency=self._concurrency,
            polling_interval_sec=EMBEDDED_POLL if self._database.file else POLL,
        )
        DBOS.launch()

    def _body(self, name: str, workflow: Workflow) -> Callable[[Json], Json]:
        run = _DbosRun(self._gate, self._stopping)

        def body(argument: Json) -> Json:
            try:
                return workflow(run, argument)
            except Exception as error:
                said = reason(error)
                log.error("%s of %s failed: %s", name, json.dumps(argument), said)  # noqa: TRY400 - in one line
                raise WorkflowError(said) from error

        return body

    def _watch(self, lease: PostgresLease) -> None:
        while True:
            try:
                self._take_over(lease)
            except SQLAlchemyError as error:
                log.warning("could not look for workers that are gone: %s", reason(error))
            if self._stopping.wait(WATCH):
                return

    def _take_over(self, lease: PostgresLease) -> None:
        running = DBOS.list_workflows(
            status="PENDING",
            app_version=_version(self._database),
            application_name=self._database.application,
            load_input=False,
            load_output=False,
        )
        for name in sorted({status.executor_id or "" for status in running} - {self._name}):
            with lease.unheld(name) as gone:
                if gone:
                    taken = DBOS._recover_pending_workflows([name])
                    log.warning("worker %s is gone: %d of its jobs are queued again", name, len(taken))


class _DbosRun:
    """`port.Run` within a workflow of DBOS, which finds the run by the thread."""

    def __init__(self, gate: Gate, stopping: threading.Event) -> None:
        self._gate = gate
        self.stopping = stopping

    def run_step(self, name: str, step: Callable[[], Json]) -> Json:
        def told() -> Json:
            try:
                return step()
            except Exception as error:
                raise StepError(reason(error)) from error

        with self._gate:
            try:
                return DBOS.run_step({"name": name}, told)
            except PortableWorkflowError as error:
                # What was recorded the first time.
                raise StepError(error.message) from error

    def sleep(self, seconds: float) -> None:
        with self._gate:
            pass
        DBOS.sleep(seconds)

    def wait_for_signal(self, name: str, timeout: float) -> Json:
        with self._gate:
            pass
        message = cast("dict[str, Json] | None", DBOS.recv(name, timeout))
        return message["value"] if message else None


def _client(database: Database, engine: Engine | None) -> DBOSClient:
    return DBOSClient(
        system_database_url=_text(database),
        system_database_engine=engine,
        dbos_system_schema=SCHEMA,
        serializer=DBOSPortableJSONSerializer(),
        application_name=database.application,
        retry_connection_errors=False,
    )


def _create_schema(database: Database, engine: Engine) -> None:
    """Let work be queued before the first worker is started; later changes to the schema are the workers'."""
    with engine.connect() as connection:
        known = connection.scalar(text("SELECT to_regclass(:table)"), {"table": f"{SCHEMA}.dbos_migrations"})
    if known is None:
        DBOS.migrate(_text(database), schema=SCHEMA)


def _version(database: Database) -> str:
    """`VERSION` as DBOS wants it: different for each application in a database."""
    return f"{database.application}/{VERSION}"


def _text(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


def _job(status: WorkflowStatus) -> Job:
    ours = STATUSES[status.status]
    error = ""
    if ours is Status.FAILED:
        error = {
            "CANCELLED": "cancelled",
            "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "given up: every worker that ran it died",
        }.get(status.status, str(status.error))
    return Job(
        id=status.workflow_id,
        workflow=status.name,
        status=ours,
        worker=(status.executor_id or "") if status.dequeued_at else "",
        begun=_time(status.dequeued_at),
        ended=_time(status.completed_at) if ours.ended else None,
        result=status.output if ours is Status.DONE else None,
        error=error,
    )


def _time(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


@contextmanager
def _usable(database: Database) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, dbos_errors.DBOSException) as error:
        said = reason(error)
        if database.url.password:
            said = said.replace(str(database.url.password), "***")
        raise QueueError(f"the queue's database cannot be used: {said}") from error
