"""Writing a syntax tree: what `write` gives is read as an equal tree."""

from __future__ import annotations

from controlplane.rules.language import ast
from controlplane.rules.language.strings import bare, quoted

_PRIORITIES = {
    operator: priority
    for priority, operators in (
        (2, ("%%", "||")),
        (3, ("&&",)),
        (4, ("==", "!=", "like", "not like", "like regex")),
        (5, ("<=", ">=", "<", ">")),
        (6, ("++", "+", "-")),
        (7, ("*", "/", "%")),
        (8, ("^", "^^", ".")),
    )
    for operator in operators
}
"""How tightly operators bind (parser.cpp: new_ops); assignment is 1, what stands before an operand 10."""

_ASSIGNMENT, _UNARY, _VALUE = 1, 10, 20


def write(found: ast.RuleFile) -> str:
    """The text of a rule base."""
    return "".join(f"{_item(item)}\n" for item in found.items)


def write_expression(node: ast.Expression) -> str:
    """The text of one expression."""
    return _expression(node, 0)


def _item(item: ast.Item) -> str:
    match item:
        case ast.Rule(head, (ast.Alternative("", None, body, metadata),)):
            text = f"{_head(head)} {_block(body)}{_metadata(metadata)}"
        case ast.Rule(head, alternatives):
            text = f"{_head(head)} {{\n{''.join(map(_alternative, alternatives))}}}"
        case ast.Function(head, body, recovery, metadata):
            undo = "" if recovery is None else f" ::: {_expression(recovery, 0)}"
            text = f"{_head(head)} = {_expression(body, 0)}{undo}{_metadata(metadata)};"
        case ast.OldRule():
            text = _old_rule(item)
        case ast.DataType(head, constructors):
            cases = "".join(f" | {_constructor(constructor)}" for constructor in constructors)
            text = f"data {_head(head)}{' =' if cases else ''}{cases};"
        case ast.Constructor():
            text = f"constructor {_constructor(item)}"
        case ast.Extern(name, type_):
            text = f"{name} : {type_}"
        case ast.Directive(name, value):
            word = name not in ("include", "backwardCompatible")
            text = f"@{name}" if word else f"@{name} {quoted((value,))}"
    return text


def _constructor(constructor: ast.Constructor) -> str:
    return f"{constructor.name} : {constructor.type}"


def _head(head: ast.Head) -> str:
    result = f" : {head.result}" if head.result else ""
    return f"{head.name}({_arguments(head.parameters)}){result}"


def _alternative(alternative: ast.Alternative) -> str:
    condition = alternative.condition
    word = "or" if condition is None else f"on ({_expression(condition, 0)})"
    return f"{word} {_block(alternative.body)}{_metadata(alternative.metadata)}\n"


def _metadata(metadata: tuple[ast.Metadata, ...]) -> str:
    return "".join(
        f"\n@({', '.join(quoted((text,)) for text in (entry.attribute, entry.value, entry.unit))})"
        for entry in metadata
    )


def _block(block: ast.Block) -> str:
    return "{" + " ".join(_statement(statement) for statement in block.statements) + "}"


def _statement(statement: ast.Statement) -> str:
    undo = "" if statement.recovery is None else f" ::: {_expression(statement.recovery, 0)}"
    return f"{_expression(statement.action, 0)}{undo};"


def _arguments(arguments: tuple[ast.Expression, ...]) -> str:
    # The columns of a query without brackets would go on with the next argument.
    return ", ".join(_expression(argument, _ASSIGNMENT) for argument in arguments)


def _expression(node: ast.Expression, priority: int) -> str:
    """An expression where only what binds more tightly than a priority can stand without brackets."""
    if isinstance(node, ast.Binary | ast.Assignment):
        own, text = _chain(node)
        return f"({text})" if own <= priority else text
    if isinstance(node, ast.Unary):
        text = f"{node.operator} {_expression(node.operand, _UNARY)}"
        return f"({text})" if priority >= _VALUE else text
    if (value := _value(node)) is not None:
        return value
    return f"({_special(node)})" if priority else _special(node)


def _operator(node: ast.Expression) -> tuple[int, str, ast.Expression, ast.Expression] | None:
    """An operator with its priority and operands."""
    match node:
        case ast.Binary(operator, left, right):
            return _PRIORITIES[operator], operator, left, right
        case ast.Assignment(target, value):
            return _ASSIGNMENT, "=", target, value
    return None


def _chain(node: ast.Expression) -> tuple[int, str]:
    """Operators of one priority, each with the one before on its left, however many there are."""
    rights: list[str] = []
    priority = 0
    while (found := _operator(node)) and found[0] == (priority or found[0]):
        priority, operator, node, right = found
        rights.append(f" {operator} {_expression(right, priority)}")
    return priority, _expression(node, priority) + "".join(reversed(rights))


def _value(node: ast.Expression) -> str | None:
    """What binds most tightly, or None for what does not."""
    text = None
    match node:
        case ast.Variable(name) | ast.Number(name):
            text = name
        case ast.Boolean(value):
            text = "true" if value else "false"
        case ast.String(parts):
            text = quoted(parts)
        case ast.Path(parts):
            text = bare(parts)
        case ast.Call(name, arguments):
            text = f"{name}({_arguments(arguments)})"
        case ast.Application(function, arguments):
            # A path would go on with the parenthesis.
            applied = _expression(function, _VALUE)
            if isinstance(function, ast.Path):
                applied = f"({applied})"
            text = f"{applied}({_arguments(arguments)})"
        case ast.Tuple(items):
            text = f"({_arguments(items)})"
        case ast.Block():
            text = _block(node)
    return text


def _special(node: ast.Expression) -> str:
    """A control structure, a query, or an expression with its type."""
    match node:
        case ast.Typed(expression, type_):
            # The last operand alone would take the type.
            text = f"{_expression(expression, _VALUE)} : {type_}"
        case ast.If(condition, then, otherwise):
            rest = f" else {_otherwise(otherwise)}" if otherwise else ""
            text = f"if ({_expression(condition, 0)}) {_block(then)}{rest}"
        case ast.Choice(condition, then, otherwise):
            # Without brackets a block here would be that of an `if` without value.
            value = f"({_block(then)})" if isinstance(then, ast.Block) else _expression(then, _ASSIGNMENT)
            text = f"if {_expression(condition, 0)} then {value} else {_expression(otherwise, _ASSIGNMENT)}"
        case ast.While(condition, body):
            text = f"while ({_expression(condition, 0)}) {_block(body)}"
        case ast.For(first, condition, step, body):
            header = "; ".join(_expression(part, 0) for part in (first, condition, step))
            text = f"for ({header}) {_block(body)}"
        case ast.Foreach(variable, collection, body):
            among = "" if collection is None else f" in {_expression(collection, 0)}"
            text = f"foreach ({variable.name}{among}) {_block(body)}"
        case ast.Delay(condition, body):
            text = f"delay({_expression(condition, 0)}) {_block(body)}"
        case ast.Remote(host, condition, body):
            text = f"remote({_arguments((host, condition))}) {_block(body)}"
        case ast.Let(pattern, value, body):
            place = _expression(pattern, _PRIORITIES["||"])
            text = f"let {place} = {_expression(value, _ASSIGNMENT)} in {_expression(body, 0)}"
        case ast.Match(subject, cases):
            text = f"match {_expression(subject, _PRIORITIES['||'])} with" + "".join(
                f" | {_expression(case.pattern, _ASSIGNMENT)} => {_expression(case.value, _ASSIGNMENT)}"
                for case in cases
            )
        case ast.Query():
            text = _query(node)
        case _:
            raise TypeError(f"{type(node).__name__} is no expression")
    return text


def _otherwise(node: ast.Block | ast.If | ast.Choice) -> str:
    return _block(node) if isinstance(node, ast.Block) else _special(node)


def _query(query: ast.Query) -> str:
    columns = ", ".join(map(_column, query.columns))
    conditions = " and ".join(map(_condition, query.conditions))
    return f"select {columns}" + (f" where {conditions}" if conditions else "")


def _column(column: ast.Column) -> str:
    return f"{column.function}({column.name})" if column.function else column.name


def _condition(condition: ast.Condition) -> str:
    comparisons = f" {condition.junction} ".join(map(_comparison, condition.comparisons))
    return f"{_column(condition.column)} {comparisons}"


def _comparison(comparison: ast.Comparison) -> str:
    sign = {"<>": "!=", "not like": "NOT LIKE"}.get(comparison.operator, comparison.operator)
    return " ".join((sign, *map(_operand, comparison.operands)))


def _operand(node: ast.Expression) -> str:
    text = _expression(node, _VALUE)
    # A query knows no calls, and would divide the operand before by a path.
    return f"({text})" if isinstance(node, ast.Call | ast.Application | ast.Path) else text


def _old_rule(rule: ast.OldRule) -> str:
    parts = [
        " " if rule.condition is None else _old_condition(rule.condition),
        "##".join(map(_old_call, rule.actions)),
        "##".join(map(_old_call, rule.recoveries)),
        *([rule.id] if rule.id else []),
    ]
    return "|".join((_head(rule.head), *parts))


def _old_call(call: ast.Call) -> str:
    return f"{call.name}({', '.join(map(_old_argument, call.arguments))})"


def _old_argument(node: ast.Expression) -> str:
    return quoted(node.parts) if isinstance(node, ast.String) else _expression(node, _VALUE)


def _old_condition(node: ast.Expression) -> str:
    """A condition of the syntax with bars, in which every operator takes all to its right."""
    if isinstance(node, ast.Call):
        return _old_call(node)
    if not isinstance(node, ast.Binary):
        return _expression(node, _VALUE)
    left = _old_condition(node.left)
    compared = node.operator in ("==", "!=", "like", "not like")
    right = _old_argument(node.right) if compared else _old_condition(node.right)
    return f"{f'({left})' if isinstance(node.left, ast.Binary) else left} {node.operator} {right}"
