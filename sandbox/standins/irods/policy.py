"""Policy enforcement points: the rules that run before and after the APIs of one connection.

They run on the server that the client is connected to, with that server's rule bases. An API that a server
without the catalogue hands on as a whole is met by the provider's rules too; what it does itself, with the
catalogue's help, is not. Both are as in iRODS 5.0.2.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from . import peps
from .api import APIS
from .errors import IrodsError
from .rules import RuleBase
from .rulescope import Effects, Scope
from .rulevalues import RuleError, Value
from .sessionvariables import Identity, Variables
from .staticpeps import (
    AFTER,
    BEFORE,
    CLOSE,
    OPENING,
    STATIC,
    WRITE,
    Descriptors,
    StaticPoint,
    Subject,
    exists,
)
from .wire import Message

# What a server without the catalogue passes to the provider as it is.
FORWARDED = frozenset(
    (
        "GEN_QUERY_AN", "GENQUERY2_AN", "GENERAL_ADMIN_AN", "USER_ADMIN_AN", "MOD_AVU_METADATA_AN",
        "MOD_ACCESS_CONTROL_AN", "ATOMIC_APPLY_METADATA_OPERATIONS_APN", "COLL_CREATE_AN",
        "DATA_OBJ_RENAME_AN", "RULE_EXEC_SUBMIT_AN", "RULE_EXEC_DEL_AN",
    )
)  # fmt: skip
_SKIP_OPERATION = 5001000
_SERVED_ELSEWHERE = frozenset(("acPreConnect", "acSetRescSchemeForCreate", "acRescQuotaPolicy"))


def served() -> frozenset[str]:
    """Return the names of all policy enforcement points that the stand-in comes to."""
    static = {point.rule for points in STATIC.values() for point in points}
    return frozenset(peps.points()) | static | _SERVED_ELSEWHERE


@dataclass(frozen=True, slots=True)
class _Api:
    """The points of one API for which there are rules."""

    phases: Mapping[str, str]
    before: tuple[StaticPoint, ...]
    after: tuple[StaticPoint, ...]


@dataclass(frozen=True, slots=True)
class Points:
    """The APIs that have policy, found once when the rule bases are read: all others cost nothing."""

    by_api: Mapping[int, _Api] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: RuleBase) -> "Points":
        """Return the points for which a rule base has rules."""
        found: dict[int, _Api] = {}
        dynamic = peps.points()
        for number in {*dynamic.values(), *STATIC}:
            phases = {
                name.rpartition("_")[2]: name
                for name, api in dynamic.items()
                if api == number and rules.has(name)
            }
            static = [point for point in STATIC.get(number, ()) if rules.has(point.rule)]
            if phases or static:
                found[number] = _Api(
                    phases,
                    tuple(point for point in static if point.when == BEFORE),
                    tuple(point for point in static if point.when == AFTER),
                )
        return cls(found)

    def forwarded(self) -> "Points":
        """Return the points that requests of clients of other servers come to."""
        return Points({number: api for number, api in self.by_api.items() if APIS[number].name in FORWARDED})


class Policy:
    """The rules around the APIs of one connection."""

    def __init__(
        self, rules: RuleBase, points: Points, identity: Callable[[], Identity], scope: Scope
    ) -> None:
        """`identity` is asked once, when the first rule runs: it may have to ask the catalogue."""
        self._rules, self._points, self._identify, self._scope = rules, points, identity, scope
        self._descriptors = Descriptors()

    @cached_property
    def _identity(self) -> Identity:
        return self._identify()

    def scope(self, variables: Mapping[str, Value] | None = None) -> Scope:
        """Return what a rule of this connection runs with."""
        known = Variables(self._identity.variables() | dict(variables or {}))
        given = self._scope
        made = Scope(known, given.request, given.log, given.alive, given.exception)
        known.scope = made
        return made

    def call(self, number: int, message: Message, perform: Callable[[Message], Message]) -> Message:
        """Do an API with the rules around it. Raises its refusal, or that of a rule."""
        if CLOSE in self._points.by_api and number in (*OPENING, WRITE):
            perform = self._watched(number, perform)
        api = self._points.by_api.get(number)
        if api is None:
            return perform(message)
        try:
            return self._with_rules(number, api, message, perform)
        finally:
            self._try(api, "finally", number, message)

    def _watched(self, number: int, perform: Callable[[Message], Message]) -> Callable[[Message], Message]:
        """Return an operation that keeps what closing has to know: its request names a descriptor alone."""

        def watch(message: Message) -> Message:
            created = number in OPENING and not exists(message, self._scope)
            reply = perform(message)
            if reply.int_info >= 0 and number == WRITE:
                self._descriptors.written(message)
            elif reply.int_info >= 0:
                self._descriptors.opened(number, message, reply.int_info, created=created)
            return reply

        return watch

    def _with_rules(
        self, number: int, api: _Api, message: Message, perform: Callable[[Message], Message]
    ) -> Message:
        try:
            status = self._dynamic(api, "pre", number, message)
            reply = Message("RODS_API_REPLY")
            if status != _SKIP_OPERATION:
                reply = self._operation(number, api, message, perform)
                if reply.int_info < 0:
                    self._try(api, "except", number, message)
                    return reply
            self._dynamic(api, "post", number, message)
        except IrodsError:
            self._try(api, "except", number, message)
            raise
        return reply

    def _operation(
        self, number: int, api: _Api, message: Message, perform: Callable[[Message], Message]
    ) -> Message:
        opening = self._descriptors.closing(message) if number == CLOSE else None
        for point in api.before:
            for subject in point.subjects(message, opening, self._scope):
                effects = self._static(point, subject)
                message = point.change(effects, message) if point.change else message
        # What is removed cannot be asked for any more.
        subjects = [
            (point, subject)
            for point in api.after
            for subject in point.subjects(message, opening, self._scope)
        ]
        reply = perform(message)
        if reply.int_info >= 0:
            for point, subject in subjects:
                self._static(point, subject)
        return reply

    def _dynamic(self, api: _Api, phase: str, number: int, message: Message) -> int:
        """Carry out a dynamic point's rules. Raises with their code and, as iRODS, without their text."""
        name = api.phases.get(phase)
        if name is None:
            return 0
        scope = self.scope()
        try:
            given = peps.parameters(number, message, self._identity)
            structures = peps.structures(number, message, self._identity)
            status = self._rules.run(name, given, scope, structures)
        except RuleError as error:
            scope.log(f"{name} failed: {error.code} {error.message}")
            raise IrodsError(error.code) from error
        if status < 0:
            # A rule that ends with a negative number has succeeded as a rule, and refuses the operation.
            raise IrodsError(status)
        return status

    def _try(self, api: _Api, phase: str, number: int, message: Message) -> None:
        try:
            self._dynamic(api, phase, number, message)
        except IrodsError as error:
            self._scope.log(f"{phase} failed after all: {error}")

    def _static(self, point: StaticPoint, subject: Subject) -> Effects:
        """Carry out a static point's rules. Raises with the code that a microservice or the rule has set."""
        arguments, variables = subject
        scope = self.scope(variables)
        status = 0
        try:
            status = self._rules.run(point.rule, [*arguments], scope)
        except RuleError as error:
            status = error.code
            scope.log(f"{point.rule} failed: {error.code} {error.message}")
        if min(status, scope.effects.status) < 0 and point.refuses:
            raise IrodsError(min(scope.effects.status, 0) or status)
        return scope.effects
