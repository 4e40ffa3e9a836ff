"""The rule engine: policy read from the rule bases, and the rules that clients send.

Only the microservices that the stand-in knows are carried out; any other is the rule engine's error. If
any rule base cannot be parsed, none of them counts and the built-in policy applies: iRODS fails open in
the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import Code, IrodsError
from .rulelang import (
    Call,
    Expression,
    Literal,
    Operation,
    Rule,
    RuleSyntaxError,
    Statement,
    Variable,
    location,
    parse,
)

Value = str | int | float
# What iRODS's default policy plugin answers where no rule base has a rule.
DEFAULT_NEGOTIATION = "CS_NEG_DONT_CARE"
DEFAULT_RESOURCE = "demoResc"
_POLICIES = ("CS_NEG_REFUSE", "CS_NEG_DONT_CARE", "CS_NEG_REQUIRE")
_MAX_DEPTH = 64


class _Fail(Exception):
    def __init__(self, code: int, message: str, offset: int) -> None:
        super().__init__(message)
        self.code, self.message, self.offset = code, message, offset


@dataclass(slots=True)
class Effects:
    """What the actions of a rule did: settings by microservice, and lines written for the client."""

    settings: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class RuleBase:
    """All rules that count, in order; empty when a rule base could not be parsed."""

    rules: Sequence[Rule] = ()

    def run(
        self, rule: Rule, arguments: list[Expression], caller: dict[str, Value], effects: Effects, depth: int
    ) -> None:
        """Carry out a rule's actions; variables given as arguments get the parameters' last values."""
        if depth > _MAX_DEPTH:
            raise IrodsError(Code.RE_UNKNOWN_ERROR, "rules call each other without end")
        local: dict[str, Value] = {}
        for parameter, argument in zip(rule.parameters, arguments, strict=False):
            if not isinstance(argument, Variable) or argument.name in caller:
                local[parameter] = self._value(argument, caller, effects, depth)
        self._block(rule.body, local, effects, depth)
        for parameter, argument in zip(rule.parameters, arguments, strict=False):
            if isinstance(argument, Variable) and parameter in local:
                caller[argument.name] = local[parameter]

    def _block(
        self, body: tuple[Statement, ...], local: dict[str, Value], effects: Effects, depth: int
    ) -> None:
        for statement in body:
            if statement.keyword == "if":
                chosen = 0 if self._value(statement.expressions[0], local, effects, depth) else 1
                if chosen < len(statement.blocks):
                    self._block(statement.blocks[chosen], local, effects, depth)
            elif statement.keyword == "block":
                self._block(statement.blocks[0], local, effects, depth)
            elif statement.keyword:
                raise IrodsError(
                    Code.NO_RULE_OR_MSI_FUNCTION_FOUND_ERR, f"{statement.keyword} is not supported"
                )
            else:
                self._value(statement.expressions[0], local, effects, depth)

    def _value(  # noqa: PLR0911 - one kind of expression each
        self, expression: Expression, local: dict[str, Value], effects: Effects, depth: int
    ) -> Value:
        match expression:
            case Literal(value):
                return value
            case Variable(name):
                if name not in local:
                    raise IrodsError(Code.RE_UNKNOWN_ERROR, f"DEBUG: unknown variable {name}")
                return local[name]
            case Operation("=", (Variable(name), right)):
                local[name] = self._value(right, local, effects, depth)
                return local[name]
            case Operation(operator, (left, right)) if operator in ("++", "==", "!="):
                first, second = (
                    self._value(left, local, effects, depth),
                    self._value(right, local, effects, depth),
                )
                if operator == "++":
                    return f"{first}{second}"
                return int((first == second) == (operator == "=="))
            case Operation("-", (Literal(value),)) if not isinstance(value, str):
                return -value
            case Call(name, arguments, offset):
                return self._call(name, list(arguments), (local, effects, depth), offset)
            case _:
                raise IrodsError(Code.NO_RULE_OR_MSI_FUNCTION_FOUND_ERR, "expression is not supported")

    def _call(
        self,
        name: str,
        arguments: list[Expression],
        state: tuple[dict[str, Value], Effects, int],
        offset: int,
    ) -> Value:
        local, effects, depth = state
        rule = next((rule for rule in self.rules if rule.name == name and rule.condition is None), None)
        if rule is not None:
            self.run(rule, arguments, local, effects, depth + 1)
            return 0
        values = [self._value(argument, local, effects, depth) for argument in arguments]
        match name, values:
            case "writeLine", ["stdout", written]:
                effects.stdout += f"{written}\n"
            case "writeLine", ["stderr", written]:
                effects.stderr += f"{written}\n"
            case "failmsg", [int(code), message]:
                raise _Fail(code, str(message), offset)
            case "fail", []:
                raise _Fail(Code.RE_UNKNOWN_ERROR, "", offset)
            case "fail", [int(code)]:
                raise _Fail(code, "", offset)
            case (("msiSetDefaultResc" | "msiSetRescQuotaPolicy"), [_, *_]):
                effects.settings[name] = tuple(values)
            case _:
                raise IrodsError(
                    Code.NO_RULE_OR_MSI_FUNCTION_FOUND_ERR, f"DEBUG: {name} is not supported by the stand-in"
                )
        return 0

    def _policy(self, name: str, arguments: list[Expression], local: dict[str, Value]) -> Effects | None:
        """Run a policy rule; None when there is none or it fails."""
        rule = next((rule for rule in self.rules if rule.name == name and rule.condition is None), None)
        if rule is None:
            return None
        effects = Effects()
        try:
            self.run(rule, arguments, local, effects, 0)
        except (_Fail, IrodsError):
            return None
        return effects

    @property
    def negotiation(self) -> str:
        """What the server demands of incoming connections, from the rule `acPreConnect`."""
        local: dict[str, Value] = {}
        self._policy("acPreConnect", [Variable("*OUT")], local)
        found = str(local.get("*OUT", DEFAULT_NEGOTIATION))
        return found if found in _POLICIES else DEFAULT_NEGOTIATION

    @property
    def default_resource(self) -> str:
        """The storage resource of new data objects, from the rule `acSetRescSchemeForCreate`."""
        effects = self._policy("acSetRescSchemeForCreate", [], {})
        values = effects.settings.get("msiSetDefaultResc") if effects else None
        return str(values[0]) if values else DEFAULT_RESOURCE

    @property
    def enforces_quotas(self) -> bool:
        """Whether quotas are enforced, from the rule `acRescQuotaPolicy`."""
        effects = self._policy("acRescQuotaPolicy", [], {})
        return effects is not None and effects.settings.get("msiSetRescQuotaPolicy") == ("on",)


def load(directory: Path, names: Sequence[str]) -> tuple[RuleBase, list[str]]:
    """Read the rule bases `NAME.re` of a directory, in order; return the rules and what to log as errors."""
    rules: list[Rule] = []
    problems: list[str] = []
    for name in names:
        path = directory / f"{name}.re"
        try:
            rules += parse(path.read_text())
        except RuleSyntaxError as error:
            problems.append(f"{path}: {error}")
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror}")
    return RuleBase(() if problems else tuple(rules)), problems


def execute(rule_base: RuleBase, source: str) -> Effects:
    """Carry out the first rule of a text that a client sent.

    Raises -1201000 for a syntax error, the code of `failmsg`, and -1097000 for what the stand-in does not
    know.
    """
    debug = Code.RE_UNKNOWN_ERROR.value
    try:
        rule = next(iter(parse(source)), None)
    except RuleSyntaxError as error:
        raise IrodsError(Code.RE_PARSER_ERROR, stack=[(debug, f"DEBUG: {error}")]) from error
    if rule is None:
        raise IrodsError(Code.RE_PARSER_ERROR)
    effects = Effects()
    try:
        rule_base.run(rule, [], {}, effects, 0)
    except _Fail as failure:
        text = f"DEBUG: {failure.message}\n{location(source, failure.offset)}"
        raise IrodsError(failure.code, stack=[(debug, text)]) from failure
    return effects
