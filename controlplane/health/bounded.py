"""Waiting for work only so long."""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TooLateError(Exception):
    """Work that has not ended in time."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` returns or raises; TooLateError when it has done neither after `seconds`.

    Work that hangs goes on in a thread that keeps no command alive, and nobody hears of it any more.
    """
    answer: queue.SimpleQueue[tuple[T] | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put((work(),))
        except BaseException as error:
            answer.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        came = answer.get(timeout=max(0.0, seconds))
    except queue.Empty:
        raise TooLateError(f"no answer within {seconds:g} s") from None
    if isinstance(came, BaseException):
        raise came
    return came[0]
