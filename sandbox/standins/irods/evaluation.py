"""Carries out rules: expressions, control structures, and the choice among several rules of one name.

The order of things is that of iRODS 5.0.2's own engine. Of several rules of a name, the first whose condition
holds is carried out; when it fails, its recoveries run, backwards, and the next one is tried, unless the
failed one had come to `cut`. Parameters are passed both ways.
"""

import json
import time
from collections.abc import Mapping, Sequence

from . import rulequeries, rulevalues
from .errors import Code, IrodsError
from .rulelang import RuleSyntaxError, parse
from .rulescope import MICROSERVICES, Arguments, Scope
from .ruletree import (
    Block,
    Call,
    Choice,
    Expression,
    Literal,
    Operation,
    Query,
    Rule,
    Statement,
    Text,
    Variable,
)
from .rulevalues import RuleError, Unsupported, Value, boolean, kind

SPECIAL = frozenset(
    ("errorcode", "errormsg", "fail", "failmsg", "succeed", "cut", "break", "nop", "eval", "assign")
)
"""Functions that are about the course of the rule itself."""
DELAY, REMOTE = "delay", "remote"
"""The microservices behind the blocks of these names."""

_MAX_DEPTH = 64
# After so many turns a loop is slowed down, so that one without end does not take the machine.
_FREE_TURNS = 10_000
_TURN_SECONDS = 0.005


class _Break(Exception):
    pass


class _Succeed(Exception):
    pass


class Evaluation:
    """One run of a rule with all that it calls."""

    def __init__(self, rules: Mapping[str, Sequence[Rule]], scope: Scope) -> None:
        self._rules = rules
        self._scope = scope
        self._depth = 0
        self._turns = 0

    def call(self, name: str, arguments: Arguments, offset: int) -> Value:
        """Carry out a rule, or else a microservice."""
        candidates = self._rules.get(name, ())
        fitting = [rule for rule in candidates if len(rule.parameters) == len(arguments)]
        if fitting:
            return self._first_of(fitting, arguments)
        if candidates or name not in MICROSERVICES:
            raise Unsupported(name, offset)
        try:
            status = MICROSERVICES[name](self._scope, arguments)
        except RuleError as error:
            raise RuleError(
                error.code, error.message, offset if error.offset is None else error.offset
            ) from error
        except IrodsError as error:
            raise RuleError(error.code, f"{name}: {error}", offset) from error
        except (IndexError, TypeError) as error:
            given = ", ".join("nothing" if value is None else kind(value) for value in arguments)
            message = f"error: {name} does not take {given or 'no arguments'}"
            raise RuleError(Code.USER_PARAM_TYPE_ERR, message, offset) from error
        if status < 0:
            raise RuleError(status, f"error: {name} failed", offset)
        return status

    def _first_of(self, candidates: Sequence[Rule], arguments: Arguments) -> Value:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise RuleError(Code.RE_UNKNOWN_ERROR, "rules call each other without end")
        try:
            failure = RuleError(Code.NO_RULE_FOUND_ERR, "no rule")
            for rule in candidates:
                try:
                    return self.rule(rule, arguments)
                except RuleError as error:
                    failure = error
                    if error.code == Code.CUT_ACTION_PROCESSED_ERR:
                        break
            raise failure
        finally:
            self._depth -= 1

    def rule(self, rule: Rule, arguments: Arguments) -> Value:
        """Carry out one rule, if its condition holds; its parameters' last values go into the arguments."""
        local: dict[str, Value] = {
            name: value for name, value in zip(rule.parameters, arguments, strict=True) if value is not None
        }
        if rule.condition is not None and not self._holds(rule.condition, local):
            raise RuleError(Code.RULE_FAILED_ERR, f"no condition of rule {rule.name} holds", rule.offset)
        try:
            return self.block(rule.body, local)
        finally:
            for position, name in enumerate(rule.parameters):
                if name in local:
                    arguments[position] = local[name]

    def block(self, body: tuple[Statement, ...], local: dict[str, Value]) -> Value:
        """Carry out actions up to their end, or to where they say that they are done."""
        try:
            return self.actions(body, local)
        except (_Succeed, _Break):
            return 0

    def _holds(self, condition: Expression, local: dict[str, Value]) -> bool:
        try:
            return self.value(condition, local) is True
        except RuleError:
            # As in iRODS: a condition that cannot be evaluated does not hold.
            return False

    def actions(self, body: tuple[Statement, ...], local: dict[str, Value]) -> Value:
        """Carry out actions in order and return what the last one gave."""
        result: Value = 0
        cut = False
        for position, statement in enumerate(body):
            expression = statement.expressions[0] if statement.expressions else None
            if isinstance(expression, Call) and expression.name == "cut":
                cut = True
                continue
            try:
                result = self._statement(statement, local)
            except RuleError as error:
                self._recover(body[: position + 1], local)
                if cut:
                    text = f"cut: {error.message}"
                    raise RuleError(Code.CUT_ACTION_PROCESSED_ERR, text, error.offset) from error
                raise
        return result

    def _recover(self, done: tuple[Statement, ...], local: dict[str, Value]) -> None:
        for statement in reversed(done):
            if not statement.keyword and len(statement.expressions) > 1:
                try:
                    self.value(statement.expressions[1], local)
                except RuleError as error:
                    self._scope.log(f"executeRuleRecovery Failed: {error.code} {error.message}")

    def _statement(self, statement: Statement, local: dict[str, Value]) -> Value:
        blocks = statement.blocks
        match statement.keyword, statement.expressions:
            case "", (expression, *_):
                return self.value(expression, local)
            case "if", (condition,):
                chosen = 0 if boolean(self.value(condition, local), statement.offset) else 1
                return self.actions(blocks[chosen], local) if chosen < len(blocks) else 0
            case "while", (condition,):
                self._loop(condition, None, blocks[0], local)
            case "for", (first, condition, step):
                self.value(first, local)
                self._loop(condition, step, blocks[0], local)
            case "foreach", (Variable(name, offset), over):
                self._each(name, self.value(over, local), (blocks[0], local, offset))
            case "delay", (hint,):
                later: Arguments = [self.value(hint, local), statement.text, pack(local)]
                return self.call(DELAY, later, statement.offset)
            case "remote", (host, *_):
                there: Arguments = [self.value(host, local), statement.text, pack(local)]
                return self.call(REMOTE, there, statement.offset)
        return 0

    def _loop(
        self,
        condition: Expression,
        step: Expression | None,
        body: tuple[Statement, ...],
        local: dict[str, Value],
    ) -> None:
        while boolean(self.value(condition, local)):
            self._turn()
            try:
                self.actions(body, local)
            except _Break:
                return
            if step is not None:
                self.value(step, local)

    def _each(
        self, name: str, over: Value, turn: tuple[tuple[Statement, ...], dict[str, Value], int]
    ) -> None:
        body, local, offset = turn
        if isinstance(over, str | int | float | rulevalues.Time):
            raise RuleError(Code.RE_TYPE_ERROR, f"error: foreach does not take {kind(over)}", offset)
        before = local.get(name)
        # A key-value list is gone through by its keys.
        for item in list(over) if isinstance(over, dict | list) else over:
            self._turn()
            local[name] = item
            try:
                self.actions(body, local)
            except _Break:
                break
        local.pop(name, None)
        if before is not None:
            local[name] = before

    def _turn(self) -> None:
        self._turns += 1
        if self._turns > _FREE_TURNS:
            time.sleep(_TURN_SECONDS)
            if not self._scope.alive():
                raise RuleError(Code.SYS_SOCK_CONNECT_ERR, "a rule without end: its client is gone")

    def value(self, expression: Expression, local: dict[str, Value]) -> Value:  # noqa: PLR0911, PLR0912
        """Return the value of an expression. Raises `RuleError`."""
        match expression:
            case Literal(value):
                return value
            case Variable(name, offset):
                return self._variable(name, offset, local)
            case Text(parts):
                return "".join(
                    rulevalues.text(self.value(part, local)) if isinstance(part, Variable) else part
                    for part in parts
                )
            case Operation("=", (target, right), _):
                return self._assign(target, self.value(right, local), local)
            case Operation(".", (left, key), offset):
                return self._member(self.value(left, local), self._key(key, local), offset)
            case Operation("&&" | "||" | "%%" as operator, (left, right), offset):
                first = boolean(self.value(left, local), offset)
                if first == (operator != "&&"):
                    return first
                return boolean(self.value(right, local), offset)
            case Operation("!", (inner,), offset):
                return not boolean(self.value(inner, local), offset)
            case Operation("-", (inner,), offset):
                return rulevalues.binary("-", 0, self.value(inner, local), offset)
            case Operation(operator, (left, right), offset):
                return rulevalues.binary(operator, self.value(left, local), self.value(right, local), offset)
            case Choice(condition, left, right):
                return self.value(left if boolean(self.value(condition, local)) else right, local)
            case Block(body):
                return self.actions(body, local)
            case Query():
                return rulequeries.ask(self._scope, expression, lambda inner: self.value(inner, local))
            case Call():
                return self._call(expression, local)
            case _:
                raise Unsupported("this expression")

    def _variable(self, name: str, offset: int, local: dict[str, Value]) -> Value:
        if name.startswith("*"):
            if name not in local:
                message = f"error: unable to read local variable {name}."
                raise RuleError(Code.RE_UNABLE_TO_READ_LOCAL_VAR, message, offset)
            return local[name]
        if name[1:] not in self._scope.variables:
            message = f"error: unable to read session variable {name}."
            raise RuleError(Code.RE_UNABLE_TO_READ_SESSION_VAR, message, offset)
        return self._scope.variables[name[1:]]

    def _assign(self, target: Expression, value: Value, local: dict[str, Value]) -> Value:
        match target:
            case Variable(name, _) if name.startswith("*"):
                local[name] = value
            case Operation(".", (Variable(name, offset), key), _) if name.startswith("*"):
                pairs = local.setdefault(name, {})
                if not isinstance(pairs, dict) or not isinstance(value, str):
                    message = "error: a key-value list holds strings alone"
                    raise RuleError(Code.RE_PATTERN_NOT_MATCHED, message, offset)
                pairs[self._key(key, local)] = value
            case Variable(name, offset):
                message = f"Update session variable {name} not allowed!"
                raise RuleError(-1, message, offset)
            case _:
                raise RuleError(Code.RE_PATTERN_NOT_MATCHED, "malformatted pattern error")
        return 0

    def _key(self, key: Expression, local: dict[str, Value]) -> str:
        if isinstance(key, Call) and not key.arguments:
            return key.name
        return rulevalues.text(self.value(key, local))

    @staticmethod
    def _member(pairs: Value, key: str, offset: int) -> str:
        if not isinstance(pairs, dict):
            raise RuleError(Code.RE_TYPE_ERROR, f"error: {kind(pairs)} has no keys", offset)
        if key not in pairs:
            raise RuleError(Code.UNMATCHED_KEY_OR_INDEX, f"unmatched key {key}", offset)
        return pairs[key]

    def _call(self, call: Call, local: dict[str, Value]) -> Value:
        if call.name in SPECIAL:
            return self._special(call, local)
        name, offset = call.name, call.offset
        if name in rulevalues.FUNCTIONS:
            values = [self.value(argument, local) for argument in call.arguments]
            return rulevalues.apply(name, values, offset)
        arguments: Arguments = [
            None
            if isinstance(argument, Variable) and argument.name.startswith("*") and argument.name not in local
            else self.value(argument, local)
            for argument in call.arguments
        ]
        try:
            return self.call(name, arguments, offset)
        finally:
            for argument, value in zip(call.arguments, arguments, strict=True):
                if isinstance(argument, Variable) and argument.name.startswith("*") and value is not None:
                    local[argument.name] = value

    def _special(self, call: Call, local: dict[str, Value]) -> Value:
        match call.name, call.arguments:
            case "errorcode", (inner,):
                return self._outcome(inner, local)[0]
            case "errormsg", (inner, Variable(name, _)):
                code, message = self._outcome(inner, local)
                local[name] = message
                return code
            case "fail", ():
                raise RuleError(Code.FAIL_ACTION_ENCOUNTERED_ERR, "fail action encountered", call.offset)
            case "fail", (inner,):
                raise RuleError(self._integer(inner, local), "fail action encountered", call.offset)
            case (("failmsg" | "fail"), (inner, message)):
                text = rulevalues.text(self.value(message, local))
                raise RuleError(self._integer(inner, local), text, call.offset)
            case "succeed", ():
                raise _Succeed
            case "break", ():
                raise _Break
            case (("nop" | "cut"), ()):
                return 0
            case "assign", (target, inner):
                return self._assign(target, self.value(inner, local), local)
            case "eval", (inner,):
                source = rulevalues.text(self.value(inner, local))
                try:
                    body = parse(f"evaluated {{ {source} }}")[0].body
                except (RuleSyntaxError, IndexError) as error:
                    raise RuleError(Code.RE_PARSER_ERROR, str(error), call.offset) from error
                return self.actions(body, local)
        raise Unsupported(call.name, call.offset)

    def _outcome(self, inner: Expression, local: dict[str, Value]) -> tuple[int, str]:
        try:
            self.value(inner, local)
        except RuleError as error:
            return error.code, error.message
        return 0, ""

    def _integer(self, inner: Expression, local: dict[str, Value]) -> int:
        value = self.value(inner, local)
        if not isinstance(value, int) or isinstance(value, bool):
            raise RuleError(Code.RE_TYPE_ERROR, f"error: a code is an integer, not {kind(value)}")
        return value


def pack(local: Mapping[str, Value]) -> str:
    """Return the variables that a block takes along to another time or place: those that are plain values."""
    plain = {name: value for name, value in local.items() if isinstance(value, str | int | float | bool)}
    return json.dumps(plain, sort_keys=True)
