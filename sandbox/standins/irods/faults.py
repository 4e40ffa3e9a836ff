"""What goes wrong on purpose, for tests: refusals, lost connections, slowness.

A server without faults does not look at this. One that has some numbers its calls, logins left out, from the
moment of `arm`, and asks before and after each whether a fault meets it.
"""

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .errors import IrodsError
from .handshake import AUTHENTICATION_API
from .redact import arguments
from .wire import Channel, Disconnected, Message, pack


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the calls that it meets; conditions that are not given are met by every call."""

    code: int = 0
    """Refuse the call with this error code; it does nothing."""
    cut: str = ""
    """`before`: end the connection instead of doing the call. `after`: do it, and end the connection with no
    reply. `amid`: do it, and end the connection in the middle of the reply."""
    seconds: float = 0.0
    """Wait before doing the call."""
    action: Callable[[], None] | None = None
    """Called where the connection is cut, or before the call where it is not."""
    number: int = 0
    """Meet only the call of this number; the first is 1."""
    names: str = ""
    """Meet only changes that name this object, as an argument or as a part of a path."""
    apis: frozenset[int] = frozenset()
    """Meet only calls of these API numbers."""

    def meets(self, number: int, message: Message) -> bool:
        """Return whether the fault meets a call."""
        return (
            self.number in (0, number)
            and (not self.apis or message.int_info in self.apis)
            and (not self.names or _name(self.names, arguments(message)))
        )


def _name(name: str, words: Sequence[str]) -> bool:
    # Not as a part of a longer name.
    pattern = re.compile(rf"(?<![\w.@-]){re.escape(name)}(?![\w.@-])")
    return any(pattern.search(word) for word in words)


class Faults:
    """The faults of one server, which may be changed while it runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: tuple[Fault, ...] = ()
        self._calls = 0

    @property
    def calls(self) -> int:
        """How many calls there were since `arm`, those that were cut included."""
        return self._calls

    def arm(self, faults: Sequence[Fault] = ()) -> None:
        """Replace all faults and begin to count at 1 again; none are left without an argument."""
        with self._lock:
            self._faults = tuple(faults)
            self._calls = 0

    def meeting(self, message: Message) -> Sequence[Fault]:
        """Count a call and return the faults that meet it."""
        if message.int_info == AUTHENTICATION_API:
            return ()
        with self._lock:
            self._calls += 1
            return [fault for fault in self._faults if fault.meets(self._calls, message)]


def before(met: Sequence[Fault], channel: Channel) -> None:
    """Let faults happen to a call that is not done yet.

    Raises `IrodsError` to refuse it, `Disconnected` when its connection was ended.
    """
    for fault in met:
        time.sleep(fault.seconds)
        if fault.action and fault.cut in ("", "before"):
            fault.action()
        if fault.cut == "before":
            channel.close()
            raise Disconnected("cut off by a fault, before the call")
        if fault.code:
            raise IrodsError(fault.code)


def after(met: Sequence[Fault], channel: Channel, reply: Message) -> None:
    """Let faults happen to a call that was done and is not answered yet.

    Raises `Disconnected` when its connection was ended.
    """
    for fault in met:
        if fault.cut not in ("after", "amid"):
            continue
        if fault.action:
            fault.action()
        if fault.cut == "amid":
            packed = pack(reply)
            channel.sock.sendall(packed[: len(packed) // 2])
        channel.close()
        raise Disconnected("cut off by a fault, after the call")
