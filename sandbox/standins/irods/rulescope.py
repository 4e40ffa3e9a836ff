"""What surrounds a rule while it runs, and the register of the microservices that it can call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .errors import Code, IrodsError
from .rulevalues import Value
from .wire import Message

Arguments = list[Value | None]
"""What a rule or microservice is called with, and where it leaves what it gives back; None is not set yet."""


@dataclass(slots=True)
class Effects:
    """What the actions of a rule did: settings by microservice, and lines written for the client."""

    settings: dict[str, tuple[Value | None, ...]] = field(default_factory=dict)
    stdout: str = ""
    stderr: str = ""
    status: int = 0
    """What a microservice has set as the outcome of the operation that the policy is about."""
    queries: dict[str, list[list[str]]] = field(default_factory=dict)
    """The answers of GenQuery2 that are being read, by handle; the first row is the present one."""


def _no_request(number: int, _body: str) -> Message:
    raise IrodsError(Code.SYS_NOT_SUPPORTED, f"no client's connection to ask API {number} on")


@dataclass(slots=True)
class Scope:
    """What surrounds a rule: session variables (without the dollar), the catalogue, the log.

    `request` asks the zone, as an API with a packed structure, in the name of the client. `alive` tells
    whether there is still somebody to run for. `exception` logs what a rule in Python failed with.
    """

    variables: Mapping[str, Value] = field(default_factory=dict)
    request: Callable[[int, str], Message] = _no_request
    log: Callable[[str], None] = lambda _line: None
    alive: Callable[[], bool] = lambda: True
    exception: Callable[[str], None] = lambda _text: None
    effects: Effects = field(default_factory=Effects)


Microservice = Callable[[Scope, Arguments], int]
MICROSERVICES: dict[str, Microservice] = {}
"""What rules can call beside rules and functions; answers iRODS's status, or raises."""


def microservice(name: str) -> Callable[[Microservice], Microservice]:
    """Register a microservice under its iRODS name."""

    def register(function: Microservice) -> Microservice:
        MICROSERVICES[name] = function
        return function

    return register
