"""The port for durable work, with workers in processes of their own: killed, frozen and stopped."""

import os
import signal
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psycopg
import pytest
import workflow_worker
from store_site import Site

from controlplane.errors import BadInputError
from controlplane.workflows.dbos_engine import DbosQueue
from controlplane.workflows.port import Backlog, Job, Queue, Status

SOON = 30.0
"""Seconds in which something happens that usually takes one or two."""


class Workers:
    """Starts workers on one platform, and ends them all."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.folder = site.state_dir
        self.processes: list[ForkServerProcess] = []

    def start(self, name: str = "one", concurrency: int = 1, *, wait: bool = True) -> ForkServerProcess:
        url = self.site.store.reveal() if self.site.store else ""
        said = self.said(name).count("INFO ready")
        process = workflow_worker.PROCESSES.Process(
            target=workflow_worker.main, args=(self.site, url, name, concurrency)
        )
        process.start()
        self.processes.append(process)
        if wait:
            until(lambda: self.said(name).count("INFO ready") > said, f"the start of {name}")
        return process

    def said(self, name: str) -> str:
        file = self.folder / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def steps(self) -> list[list[str]]:
        """What steps did: begin or end, key, step, process, time."""
        file = self.folder / "steps"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    def count(self, *words: str) -> int:
        return sum(line[: len(words)] == list(words) for line in self.steps())

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()


@pytest.fixture
def workers(site: Site) -> Iterator[Workers]:
    site.state_dir.mkdir(mode=0o700)
    made = Workers(site)
    yield made
    made.end()


@pytest.fixture
def queue(site: Site, workers: Workers) -> Iterator[Queue]:
    made = DbosQueue(workflow_worker.database(site))
    yield made
    made.close()


on_several_machines = pytest.mark.parametrize("site", ["postgresql"], indirect=True)
"""An embedded database has one worker."""


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end, f"not within {SOON:.0f} s: {what}"
        time.sleep(0.05)


def job(queue: Queue, id: str) -> Job:
    return queue.jobs([id])[id]


def ended(queue: Queue, id: str) -> Job:
    until(lambda: job(queue, id).status.ended, "the end of the work")
    return job(queue, id)


def test_a_killed_worker_goes_on_after_its_restart(workers: Workers, queue: Queue) -> None:
    first = workers.start()
    id = queue.enqueue("held", "k", key="k").id
    until(lambda: workers.count("begin", "k", "second"), "the second step")
    first.kill()
    first.join()
    assert job(queue, id).status is Status.RUNNING
    workers.let_go()
    second = workers.start()
    done = ended(queue, id)
    assert (done.status, done.result) == (Status.DONE, {"key": "k", "pid": second.pid})
    # What had ended is not done again; what was in flight is.
    assert [workers.count("begin", "k", step) for step in ("first", "second", "third")] == [1, 2, 1]


def test_the_backlog_is_what_has_not_ended(workers: Workers, queue: Queue) -> None:
    assert queue.backlog() == Backlog(0, 0, None)
    begun = datetime.now(UTC)
    ids = [queue.enqueue("held", key, key=key).id for key in ("one", "two")]
    backlog = queue.backlog()
    assert (backlog.queued, backlog.running) == (2, 0)
    assert backlog.oldest is not None
    # Stored in milliseconds.
    assert abs(backlog.oldest - begun) < timedelta(seconds=60)
    workers.start()
    until(lambda: queue.backlog().running == 1, "the first job")
    assert queue.backlog().queued == 1
    workers.let_go()
    for id in ids:
        ended(queue, id)
    assert queue.backlog() == Backlog(0, 0, None)


def test_waits_and_signals_outlive_the_worker(workers: Workers, queue: Queue) -> None:
    first = workers.start()
    id = queue.enqueue("waiting", "k", key="k").id
    until(lambda: workers.count("end", "k", "before"), "the wait")
    time.sleep(0.5)
    first.kill()
    first.join()
    queue.signal(id, "approved", {"by": "ada"}, once="approval-1")
    queue.signal(id, "approved", {"by": "bob"}, once="approval-1")
    time.sleep(workflow_worker.WAIT - 0.5)
    workers.start()
    restarted = time.time()
    done = ended(queue, id)
    assert isinstance(done.result, list)
    begun, went_on, signal_, none = done.result
    assert (signal_, none) == ({"by": "ada"}, None)
    assert went_on - begun >= workflow_worker.WAIT
    # The wait was over by then, and did not begin again.
    assert went_on - restarted < workflow_worker.WAIT - 0.5
    assert workers.count("begin", "k", "before") == 1


def test_a_failed_step_says_the_same_after_a_restart(workers: Workers, queue: Queue) -> None:
    first = workers.start(concurrency=2)
    survived = queue.enqueue("failing", "mild", key="a").id
    fatal = queue.enqueue("failing", "fatal", key="b").id
    until(lambda: workers.count("begin", "mild") and workers.count("begin", "fatal"), "both")
    first.kill()
    first.join()
    workers.let_go()
    workers.start()
    assert ended(queue, survived).result == "ZeroDivisionError: integer division or modulo by zero"
    failed = ended(queue, fatal)
    assert (failed.status, failed.error) == (Status.FAILED, "ValueError: it is fatal")
    lines = [line for line in workers.said("one").splitlines() if "fatal" in line]
    assert lines == ['ERROR failing of "fatal" failed: ValueError: it is fatal']


def test_a_key_is_queued_once_at_a_time(workers: Workers, queue: Queue) -> None:
    first = queue.enqueue("short", "k", key="k")
    again = queue.enqueue("short", "other", key="k")
    assert (first.new, again.new, again.id) == (True, False, first.id)
    assert job(queue, first.id).status is Status.QUEUED
    assert job(queue, first.id).worker == ""
    worker = workers.start()
    done = ended(queue, first.id)
    assert (done.result, done.error) == (worker.pid, "")
    later = queue.enqueue("short", "k", key="k")
    assert later.new
    ended(queue, later.id)
    queue.forget(timedelta(days=1))
    assert len(queue.jobs([first.id, later.id, "unknown"])) == 2
    time.sleep(1.1)
    queue.forget(timedelta(0))
    assert queue.jobs([first.id, later.id]) == {}
    with pytest.raises(BadInputError, match="no work with the id unknown"):
        queue.signal("unknown", "approved", None)


def test_a_worker_that_is_stopped_ends_its_step_and_no_more(workers: Workers, queue: Queue) -> None:
    worker = workers.start()
    id = queue.enqueue("held", "k", key="k").id
    until(lambda: workers.count("begin", "k", "second"), "the second step")
    worker.terminate()
    time.sleep(0.5)
    assert worker.is_alive()
    workers.let_go()
    worker.join(SOON)
    assert worker.exitcode == 0
    assert workers.count("end", "k", "second") == 1
    assert workers.count("begin", "k", "third") == 0
    workers.start()
    assert ended(queue, id).status is Status.DONE
    assert workers.count("begin", "k", "second") == 1


def test_a_name_is_one_workers(workers: Workers, site: Site) -> None:
    first = workers.start()
    second = workers.start(wait=False)
    second.join(SOON)
    assert second.exitcode == 1
    expected = "a worker named one runs already" if site.store else f"process {first.pid} works on this"
    assert expected in workers.said("one")


def test_nothing_listens_and_nothing_but_json_is_stored(workers: Workers, queue: Queue, site: Site) -> None:
    worker = workers.start()
    workers.let_go()
    for id in [queue.enqueue("held", "k", key="k").id, queue.enqueue("failing", "fatal", key="f").id]:
        ended(queue, id)
    sockets = {link for link in map(os.readlink, _open(worker.pid)) if link.startswith("socket:")}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            # 0A: listens. A socket that asks a name server would be a UDP one.
            assert f"socket:[{fields[9]}]" not in sockets or (table.startswith("tcp") and fields[3] != "0A")
    query = (
        "SELECT serialization FROM {0}workflow_status UNION SELECT serialization FROM {0}operation_outputs"
    )
    if site.store:
        with psycopg.connect(site.store.reveal()) as connection:
            found = {row[0] for row in connection.execute(query.format("workflows."))}
    else:
        file = site.state_dir / "workflows.sqlite"
        with sqlite3.connect(file) as embedded:
            found = {row[0] for row in embedded.execute(query.format(""))}
            assert embedded.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert {stat.S_IMODE(path.stat().st_mode) for path in site.state_dir.glob("workflows.*")} == {0o600}
    assert found == {"portable_json"}


def _open(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/fd").iterdir())


@on_several_machines
def test_the_work_of_a_dead_worker_is_taken_over(workers: Workers, queue: Queue) -> None:
    dead = workers.start("dead")
    id = queue.enqueue("held", "k", key="k").id
    until(lambda: workers.count("begin", "k", "second"), "the second step")
    other = workers.start("other")
    time.sleep(2 * workflow_worker.dbos_engine.WATCH)
    assert job(queue, id).worker == "dead", "it was alive"
    assert queue.workers() == ["dead", "other"]
    dead.kill()
    dead.join()
    until(lambda: job(queue, id).worker == "other", "the other worker")
    assert queue.enqueue("held", "k", key="k").id == id, "its key was free in between"
    workers.let_go()
    assert ended(queue, id).result == {"key": "k", "pid": other.pid}
    assert workers.count("begin", "k", "first") == 1
    assert queue.workers() == ["other"]


@on_several_machines
def test_a_worker_that_hangs_loses_its_work_and_ends(workers: Workers, queue: Queue) -> None:
    hung = workers.start("hung")
    id = queue.enqueue("held", "k", key="k").id
    until(lambda: workers.count("begin", "k", "second"), "the second step")
    os.kill(hung.pid, signal.SIGSTOP)
    begun = time.monotonic()
    other = workers.start("other")
    until(lambda: job(queue, id).worker == "other", "the other worker")
    assert time.monotonic() - begun > workflow_worker.LEASE_SECONDS - 1
    os.kill(hung.pid, signal.SIGCONT)
    hung.join(SOON)
    assert hung.exitcode == 3
    workers.let_go()
    assert ended(queue, id).result == {"key": "k", "pid": other.pid}


@on_several_machines
def test_workers_share_a_queue(workers: Workers, queue: Queue) -> None:
    keys = [f"facility-{number}" for number in range(12)]
    ids = [queue.enqueue("short", key, key=key).id for key in keys]
    started = [workers.start(name, concurrency=2, wait=False) for name in ("one", "two", "three")]
    results = {ended(queue, id).result for id in ids}
    assert results <= {process.pid for process in started}
    assert len(results) > 1
    assert all(workers.count("begin", key) == 1 for key in keys)
    running: dict[str, int] = {}
    for event, _, _, pid, _ in workers.steps():
        running[pid] = running.get(pid, 0) + (1 if event == "begin" else -1)
        assert running[pid] <= 2


@on_several_machines
def test_platforms_that_share_a_database_are_apart(workers: Workers, queue: Queue, site: Site) -> None:
    other = replace(site, name="other")
    with DbosQueue(workflow_worker.database(other)) as theirs:
        ours, their_id = (each.enqueue("short", "k", key="k").id for each in (queue, theirs))
        workers.start("one")
        assert ended(queue, ours).status is Status.DONE
        assert theirs.workers() == []
        assert job(theirs, their_id).status is Status.QUEUED
        workers.site = other
        # Of the same name, and on the same machine.
        workers.start("one")
        assert ended(theirs, their_id).status is Status.DONE
        assert (queue.workers(), theirs.workers()) == (["one"], ["one"])
