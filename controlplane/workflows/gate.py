"""How a worker stops: no step begins any more, and those that began come to their end."""

import threading
from types import TracebackType

from controlplane.workflows.port import Interrupted


class Gate:
    """Lets steps in, by `with`, until it is closed; then it raises Interrupted."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._inside = 0
        self._closed = False

    def __enter__(self) -> None:
        with self._change:
            if self._closed:
                raise Interrupted
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._change:
            self._inside -= 1
            self._change.notify_all()

    def close(self) -> None:
        """Let nothing in any more, and wait until nothing is inside."""
        with self._change:
            self._closed = True
            self._change.wait_for(lambda: not self._inside)
