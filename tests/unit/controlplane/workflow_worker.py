"""A worker in a process of its own, which tests kill, freeze and stop.

Steps write what they do to the file `steps` of the platform's folder, one line each, and those that are to be
interrupted wait for its file `go`. What the worker says is in `<name>.log`.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from store_site import Site

from controlplane.cli.context import Context
from controlplane.cli.main import main as main_of_bic
from controlplane.model.secrets import Secret
from controlplane.store import open_store
from controlplane.workflows import dbos_engine, lease
from controlplane.workflows.database import Database
from controlplane.workflows.port import Json, Run, StepError, WorkerNameTakenError

PROCESSES = multiprocessing.get_context("forkserver")
# What takes long to import; modules of the tests cannot be imported that early.
PROCESSES.set_forkserver_preload(
    ["controlplane.store", "controlplane.systems.irods.system", "controlplane.workflows.dbos_engine"]
)

LEASE_SECONDS = 3.0
"""After which a worker that hangs loses its lease."""

lease.BEAT, lease.TIMEOUT = 0.3, LEASE_SECONDS
dbos_engine.WATCH, dbos_engine.POLL = 0.3, 0.1

WAIT = 4.0
"""Seconds that a workflow sleeps."""

STUCK = 60.0
"""Seconds after which a step that nobody lets go on ends with an error, and so does its test."""


def database(site: Site) -> Database:
    """The engine's database of a platform."""
    with open_store(site) as store:
        return Database.beside(store, site)


def note(folder: Path, *words: object) -> None:
    """Add a line to the steps' record, which survives a kill."""
    line = " ".join(str(word) for word in (*words, os.getpid(), time.time())) + "\n"
    descriptor = os.open(folder / "steps", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


class Workflows:
    """What the tests run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def step(self, key: Json, name: str, seconds: float = 0.0, *, hold: bool = False) -> Json:
        note(self.folder, "begin", key, name)
        time.sleep(seconds)
        end = time.monotonic() + STUCK
        while hold and not (self.folder / "go").exists():
            if time.monotonic() > end:
                raise TimeoutError("nobody let this step go on")
            time.sleep(0.05)
        note(self.folder, "end", key, name)
        return time.time()

    def held(self, run: Run, key: Json) -> Json:
        """Three steps; a test interrupts the second."""
        for name in ("first", "second", "third"):
            run.run_step(name, lambda name=name: self.step(key, name, hold=name == "second"))
        return {"key": key, "pid": os.getpid()}

    def waiting(self, run: Run, key: Json) -> Json:
        """A wait of a known length between two steps, then one for a signal."""
        begun = run.run_step("before", lambda: self.step(key, "before"))
        run.sleep(WAIT)
        ended = run.run_step("after", lambda: self.step(key, "after"))
        return [begun, ended, run.wait_for_signal("approved", 60), run.wait_for_signal("never", 0.1)]

    def short(self, run: Run, key: Json) -> Json:
        """One step of a moment."""
        run.run_step("only", lambda: self.step(key, "only", 0.1))
        return os.getpid()

    def failing(self, run: Run, key: Json) -> Json:
        """A step that fails, which the workflow survives when its argument says so."""
        try:
            run.run_step("bad", lambda: 1 // 0)
        except StepError as error:
            text = str(error)
        run.run_step("second", lambda: self.step(key, "second", hold=True))
        if key == "fatal":
            raise ValueError("it is\nfatal")
        return text


def main(site: Site, url: str, name: str, concurrency: int) -> None:
    """Work until SIGTERM."""
    if site.store:
        os.environ[site.store.where] = url
    log = os.open(site.state_dir / f"{name}.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", force=True)

    def lost(reason: str) -> None:
        logging.critical(reason)
        os._exit(3)

    work = Workflows(site.state_dir)
    workflows = {name: getattr(work, name) for name in ("held", "waiting", "short", "failing")}
    worker = dbos_engine.DbosWorker(database(site), workflows, lost, name=name, concurrency=concurrency)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        worker.start()
    except WorkerNameTakenError as error:
        sys.exit(str(error))
    logging.info("ready")
    ended.wait()
    worker.stop()
    os._exit(0)


def command(inventory: Path, environment: dict[str, str], name: str) -> None:
    """`bic worker` on an inventory, with the store whose URL is in TEST_STORE."""
    os.environ.update(environment)
    log = os.open(inventory.with_name(f"{name}.log"), os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    on_server(setattr)
    sys.argv = ["bic", "--inventory", str(inventory), "worker", "--name", name]
    main_of_bic()


def on_server(patch: Callable[[object, str, object], None]) -> None:
    """Let `bic` find its store in TEST_STORE: inventories name only databases that are entered over TLS."""
    load = Context.load
    patch(Context, "load", lambda cli: replace(load(cli), store=Secret.from_environment("TEST_STORE")))
