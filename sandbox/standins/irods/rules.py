"""The rule engine of a server: the rule bases that it has read, and what they say where policy is asked for.

If any rule base cannot be parsed, none of them counts and the built-in policy applies: iRODS fails open in
the same way. What the stand-in would not carry out of a rule base is told when it is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Importing the microservices registers them.
from . import delayqueue, evaluation, microservices, microservices_data, rulequeries, rulequeries2
from .column_names import NUMBERS
from .errors import Code, IrodsError
from .evaluation import SPECIAL, Evaluation
from .pythonrules import CONTINUE, PythonRules
from .pythonrules import load as load_python
from .rulelang import RuleSyntaxError, location, parse
from .rulescope import MICROSERVICES, Arguments, Effects, Scope
from .ruletree import Call, Operation, Query, Rule, Variable, expressions, within
from .rulevalues import FUNCTIONS, RuleError
from .sessionvariables import NAMES as SESSION_VARIABLES

LIBRARIES = (delayqueue, evaluation, microservices, microservices_data, rulequeries, rulequeries2)

# What iRODS's own policy plugin answers where no rule base has a rule.
DEFAULT_NEGOTIATION = "CS_NEG_REFUSE"
DEFAULT_RESOURCE = "demoResc"
_NEGOTIATION, _CREATE, _QUOTA = "acPreConnect", "acSetRescSchemeForCreate", "acRescQuotaPolicy"


@dataclass(frozen=True)
class RuleBase:
    """All rules that count, in order; none, and not `initialized`, when a rule base could not be parsed."""

    rules: Sequence[Rule] = ()
    initialized: bool = True
    python: PythonRules | None = None
    """The rules in Python, of a server that has the engine for them."""
    by_name: Mapping[str, Sequence[Rule]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found: dict[str, list[Rule]] = {}
        for rule in self.rules:
            found.setdefault(rule.name, []).append(rule)
        object.__setattr__(self, "by_name", found)

    def has(self, name: str) -> bool:
        """Return whether there is a rule of a name, or an answer to whoever asks for it."""
        return name in self.by_name or (self.python is not None and self.python.has(name))

    def run(
        self, name: str, arguments: Arguments, scope: Scope, structures: Sequence[object] | None = None
    ) -> int:
        """Carry out a policy rule; its parameters' last values are left in the arguments.

        A rule in Python comes first, with `structures` where these are what it gets instead. Only when it
        says so, the rule language is asked too, as in `control` of irods_re_plugin.hpp.

        Returns the integer that it ends with, 0 for anything else. Raises `RuleError`.
        """
        if self.python is not None and self.python.has(name):
            given = arguments if structures is None else list(structures)
            status = self.python.run(name, given, scope, self._call)
            if status not in (CONTINUE, Code.SYS_NOT_SUPPORTED):
                return status
            if name not in self.by_name:
                return 0
        result = Evaluation(self.by_name, scope).call(name, arguments, 0)
        return result if isinstance(result, int) and not isinstance(result, bool) else 0

    def _call(self, name: str, arguments: Arguments, scope: Scope) -> int:
        """Carry out a rule or microservice for a rule in Python. Raises `RuleError`."""
        if self.has(name):
            return self.run(name, arguments, scope)
        result = Evaluation(self.by_name, scope).call(name, arguments, 0)
        return result if isinstance(result, int) and not isinstance(result, bool) else 0

    def negotiation(self, scope: Scope) -> str:
        """What the server demands of an incoming connection, from the rule `acPreConnect`.

        Raises `RuleError` when the rule fails: the connection is refused then.
        """
        if not self.has(_NEGOTIATION):
            return DEFAULT_NEGOTIATION
        arguments: Arguments = [""]
        self.run(_NEGOTIATION, arguments, scope)
        return str(arguments[0])

    def default_resource(self, scope: Scope) -> str:
        """The storage resource of new data objects, from the rule `acSetRescSchemeForCreate`."""
        values = self._settings(_CREATE, scope).settings.get("msiSetDefaultResc")
        return str(values[0]) if values else DEFAULT_RESOURCE

    def enforces_quotas(self, scope: Scope) -> bool:
        """Whether quotas are enforced, from the rule `acRescQuotaPolicy`; not if that fails."""
        return self._settings(_QUOTA, scope).settings.get("msiSetRescQuotaPolicy") == ("on",)

    def _settings(self, name: str, scope: Scope) -> Effects:
        if not self.has(name):
            return Effects()
        try:
            self.run(name, [], scope)
        except RuleError as error:
            scope.log(f"{name} failed: {error.code} {error.message}")
            return Effects()
        return scope.effects


def load(directory: Path, names: Sequence[str], *, python: bool = False) -> tuple[RuleBase, list[str]]:
    """Read the rule bases `NAME.re` of a directory, in order; return the rules and what to log as errors.

    With `python`, the rules in `core.py` too, whose mistakes are logged when somebody asks for a rule.
    """
    modules = load_python(directory) if python else None
    rules: list[Rule] = []
    for name in names:
        path = directory / f"{name}.re"
        try:
            rules += parse(path.read_text())
        except RuleSyntaxError as error:
            # As the real engine, which reads no further.
            return RuleBase((), initialized=False, python=modules), [str(error.named(name))]
        except OSError as error:
            return RuleBase((), initialized=False, python=modules), [
                f"{path}: cannot be read: {error.strerror}"
            ]
    return RuleBase(tuple(rules), python=modules), []


def unsupported(directory: Path, names: Sequence[str], points: frozenset[str]) -> list[str]:
    """Return a line for each rule base with rules that the stand-in does not carry out, and why not.

    `points` are the policy enforcement points that the stand-in comes to.
    """
    parsed = {name: parse((directory / f"{name}.re").read_text()) for name in names}
    known = {rule.name for rules in parsed.values() for rule in rules}
    known |= set(MICROSERVICES) | set(FUNCTIONS) | SPECIAL
    lines = []
    for name, rules in parsed.items():
        reasons = {
            rule.name: problems
            for rule in rules
            if (problems := sorted(set(_problems(rule, known)) | _never(rule.name, points)))
        }
        if reasons:
            listed = "; ".join(f"{rule} ({', '.join(problems)})" for rule, problems in reasons.items())
            lines.append(f"STAND-IN: of the rule base {name}, these rules are not carried out: {listed}")
    return lines


def _never(name: str, points: frozenset[str]) -> set[str]:
    point = name.startswith(("pep_", "ac"))
    return {"no such policy enforcement point here"} if point and name not in points else set()


def _problems(rule: Rule, known: set[str]) -> list[str]:
    found = []
    inside = [*expressions(rule.body), *(within(rule.condition) if rule.condition is not None else ())]
    # A key of a key-value list looks like a call without arguments.
    keys = {
        id(expression.operands[1])
        for expression in inside
        if isinstance(expression, Operation) and expression.operator == "."
    }
    for expression in inside:
        match expression:
            case Call(name, _, _) if name not in known and id(expression) not in keys:
                found.append(f"unknown: {name}")
            case Query(columns, conditions, _):
                names = [name for _, name in columns] + [condition.column for condition in conditions]
                found += [f"unknown column: {name}" for name in names if name not in NUMBERS]
            case Variable(name, _) if name.startswith("$") and name[1:] not in SESSION_VARIABLES:
                found.append(f"unknown session variable: {name}")
    found += [f"pattern as parameter: {name}" for name in rule.parameters if not name.startswith("*")]
    return found


def execute(
    rule_base: RuleBase, source: str, scope: Scope, inputs: Mapping[str, str] | None = None
) -> Effects:
    """Carry out the first rule of a text that a client sent, with the expressions that it sent as variables.

    Raises -1201000 for a syntax error and the code of the action that failed otherwise. An engine whose rule
    bases could not be read does nothing and says so to nobody, as the real one.
    """
    debug = Code.RE_UNKNOWN_ERROR.value
    try:
        rule = next(iter(parse(source)), None)
        given = {name: parse(f"given = {value}")[0].body[0] for name, value in (inputs or {}).items()}
    except RuleSyntaxError as error:
        raise IrodsError(Code.RE_PARSER_ERROR, stack=[(debug, f"DEBUG: {error}")]) from error
    if rule is None:
        raise IrodsError(Code.RE_PARSER_ERROR)
    if not rule_base.initialized:
        return scope.effects
    engine = Evaluation(rule_base.by_name, scope)
    try:
        variables = {name: engine.value(statement.expressions[0], {}) for name, statement in given.items()}
        engine.block(rule.body, variables)
    except RuleError as failure:
        text = f"DEBUG: {failure.message}\n{location(source, failure.offset or 0)}"
        raise IrodsError(failure.code, stack=[(debug, text)]) from failure
    return scope.effects
