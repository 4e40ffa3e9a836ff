"""The Ansible callback plugin `bic_progress`: a line per task, with how far the run is and the time left."""

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback.default import CallbackModule as DefaultCallback

DOCUMENTATION = r"""
name: bic_progress
type: stdout
short_description: A line per task with role, hosts, progress and time left
description:
  - Prints one line when a task starts and one for the hosts on which it changed something. Failures and the
    recap are those of the default callback.
  - The time left comes from the durations of an earlier run, scaled by how fast this run has been so far.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
options:
  progress_record:
    description: File with the durations of an earlier run; a run that ends well replaces it.
    type: path
    env:
      - name: BIC_PROGRESS_RECORD
  progress_first_record:
    description: File to use while I(progress_record) does not exist yet. It is never written.
    type: path
    env:
      - name: BIC_PROGRESS_FIRST_RECORD
"""

META_ACTIONS = ("meta", "ansible.builtin.meta")
DEBUG_ACTIONS = ("debug", "ansible.builtin.debug")
#: How much slower or faster than the earlier run this one is taken to be, at the most.
SPEED_LIMITS = (0.2, 4.0)
#: Seconds of the earlier run after which the speed of this one says something.
SPEED_AFTER = 10.0


class Forecast:
    """How far a run is, judged by the tasks of an earlier run, as `(name, seconds)` in their order."""

    def __init__(self, earlier: list[tuple[str, float]]) -> None:
        self._earlier = earlier
        self._position = 0

    def at(self, name: str, elapsed: float) -> tuple[float, float] | None:
        """The share done (0 to 1) and the seconds left when the task `name` starts after `elapsed` seconds.

        A task that the earlier run did not have is taken to stand where the run was. None without an
        earlier run.
        """
        names = [task for task, _ in self._earlier]
        if name in names[self._position :]:
            self._position = names.index(name, self._position) + 1
        before = sum(seconds for _, seconds in self._earlier[: max(self._position - 1, 0)])
        total = sum(seconds for _, seconds in self._earlier)
        if not total:
            return None
        speed = 1.0
        if before >= SPEED_AFTER:
            speed = min(max(elapsed / before, SPEED_LIMITS[0]), SPEED_LIMITS[1])
        return before / total, (total - before) * speed


def clock(seconds: float) -> str:
    """Seconds as `m:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


class CallbackModule(DefaultCallback):  # type: ignore[misc]
    """Prints the progress of a playbook run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "bic_progress"

    def __init__(self) -> None:
        super().__init__()
        self._started = time.monotonic()
        self._task_started = self._started
        self._task_name = ""
        self._changed: list[str] = []
        self._done: list[tuple[str, float]] = []
        self._failed = False
        self._forecast = Forecast([])

    def set_options(self, task_keys: Any = None, var_options: Any = None, direct: Any = None) -> None:  # noqa: ANN401
        """Take the options, and hide what this callback says itself."""
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        self.set_option("display_ok_hosts", False)
        self.set_option("display_skipped_hosts", False)
        for option in ("progress_record", "progress_first_record"):
            path = Path(self.get_option(option) or os.devnull)
            if path.is_file():
                self._forecast = Forecast([(name, seconds) for name, seconds in json.loads(path.read_text())])
                return

    def v2_playbook_on_play_start(self, play: Any) -> None:  # noqa: ANN401
        """Say which play starts."""
        self._end_task()
        self._display.display(f"\n{play.get_name()}", color="bright blue")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ANN401
        """Say which task starts, how far the run is and how long it will still take."""
        self._end_task()
        if task.action not in META_ACTIONS:
            self._task_name = task.get_name().strip()
            self._say_task()

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:  # noqa: ANN401
        """Say which handler starts."""
        self.v2_playbook_on_task_start(task, False)

    def v2_playbook_on_cleanup_task_start(self, task: Any) -> None:  # noqa: ANN401
        """Say which cleanup task starts."""
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result: Any) -> None:  # noqa: ANN401
        """Remember the hosts that changed; show what a debug task says."""
        if result.result.get("changed", False):
            self._changed.append(result.host.get_name())
        if result.task.action in DEBUG_ACTIONS:
            self._display.display(f"      {result.host.get_name()}: {result.result.get('msg', '')}")

    def v2_runner_item_on_ok(self, result: Any) -> None:  # noqa: ANN401
        """Stay quiet: the task as a whole is reported."""

    def v2_playbook_on_include(self, included_file: Any) -> None:  # noqa: ANN401
        """Stay quiet: the included tasks report themselves."""

    def v2_runner_retry(self, result: Any) -> None:  # noqa: ANN401
        """Say that a task waits, the first time only."""
        if result.result.get("attempts") == 1:
            self._display.display(f"      waiting: {result.host.get_name()}")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ANN401
        """Show a failure in full."""
        self._failed = self._failed or not ignore_errors
        super().v2_runner_on_failed(result, ignore_errors=ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:  # noqa: ANN401
        """Show a host that does not answer."""
        self._failed = True
        super().v2_runner_on_unreachable(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ANN401
        """Show the recap, and keep the durations of a run that ended well for the next forecast."""
        self._end_task()
        elapsed = time.monotonic() - self._started
        self._display.display(f"\nran {len(self._done)} tasks in {clock(elapsed)}")
        super().v2_playbook_on_stats(stats)
        record = self.get_option("progress_record")
        if record and not self._failed:
            path = Path(record)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            temporary.write_text(json.dumps([(name, round(seconds, 2)) for name, seconds in self._done]))
            temporary.replace(path)

    def _say_task(self) -> None:
        self._task_started = time.monotonic()
        forecast = self._forecast.at(self._task_name, self._task_started - self._started)
        left = (
            f"{forecast[0]:4.0%}, {clock(forecast[1])} left"
            if forecast
            else clock(time.monotonic() - self._started)
        )
        self._display.display(f"  [{left}] {self._task_name}")

    def _end_task(self) -> None:
        if self._task_name:
            self._done.append((self._task_name, time.monotonic() - self._task_started))
        if self._changed:
            self._display.display(f"      changed: {', '.join(sorted(set(self._changed)))}", color="yellow")
        self._task_name = ""
        self._changed = []
