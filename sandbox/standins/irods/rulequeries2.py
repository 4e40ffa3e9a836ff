"""The microservices that ask by GenQuery2, as the client: an answer is read row by row through its handle."""

import json

from .errors import Code
from .microservices import string
from .microservices_data import do
from .rulescope import Arguments, Scope, microservice
from .wire import Node, element, leaf

GEN_QUERY2 = 10221


@microservice("msi_genquery2_execute")
def execute(scope: Scope, arguments: Arguments) -> int:
    """Ask a query, whose first row is to be gone to: `(*handle, query)`."""
    fields = leaf("query_string", string(arguments, 1)), leaf("sql_only", 0), leaf("column_mappings", 0)
    reply = do(scope, GEN_QUERY2, element("Genquery2Input_PI", *fields))
    handle = str(max(map(int, scope.effects.queries), default=-1) + 1)
    scope.effects.queries[handle] = [[], *json.loads(Node.parse(reply.body).get("myStr"))]
    arguments[0] = handle
    return 0


@microservice("msi_genquery2_next_row")
def next_row(scope: Scope, arguments: Arguments) -> int:
    """Go to the next row: `(handle)`. Answers -408000 behind the last one."""
    found = scope.effects.queries.get(string(arguments, 0))
    if found is None:
        return Code.SYS_INVALID_INPUT_PARAM
    if len(found) < 2:
        return Code.END_OF_RESULTSET
    found.pop(0)
    return 0


@microservice("msi_genquery2_column")
def column(scope: Scope, arguments: Arguments) -> int:
    """Take a column of the present row: `(handle, number as text, *value)`."""
    found, number = scope.effects.queries.get(string(arguments, 0)), string(arguments, 1)
    if not found or not number.isdecimal() or int(number) >= len(found[0]):
        return Code.SYS_INVALID_INPUT_PARAM
    arguments[2] = found[0][int(number)]
    return 0


@microservice("msi_genquery2_free")
def free(scope: Scope, arguments: Arguments) -> int:
    """Forget an answer: `(handle)`."""
    if scope.effects.queries.pop(string(arguments, 0), None) is None:
        return Code.SYS_INVALID_INPUT_PARAM
    return 0
