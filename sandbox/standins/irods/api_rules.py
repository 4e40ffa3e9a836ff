"""The APIs of rules: running a client's, and the queue of delayed ones."""

import base64

from . import delayqueue, rules
from .api import EXEC_MY_RULE, Reply, api
from .config import PYTHON_ENGINE
from .errors import Code, IrodsError
from .session import Session
from .wire import Message, Node, element, leaf, text

# The real server sends its whole output buffer, padded with zero bytes.
_OUTPUT_BUFFER = 5443
_CHANGEABLE = {
    "exeTime": "exe_time",
    "exeFrequency": "exe_frequency",
    "priority": "priority",
    "lastExeTime": "last_exe_time",
    "exeStatus": "exe_status",
    "lockHost": "lock_host",
    "lockHostPid": "lock_host_pid",
    "lockTime": "lock_ts",
}


def _output_buffer(content: str) -> str:
    raw = content.encode()
    if not raw:
        return element("BinBytesBuf_PI", leaf("buflen", 0))
    padded = raw.ljust(_OUTPUT_BUFFER, b"\0")
    return element(
        "BinBytesBuf_PI", leaf("buflen", len(padded)), leaf("buf", base64.b64encode(padded).decode())
    )


@api(EXEC_MY_RULE, "EXEC_MY_RULE_AN")
def execute_rule(session: Session, message: Message) -> Reply:
    """Run a client's rule, here or on the server that it names, and answer what it wrote."""
    node = Node.parse(message.body)
    host = node.child("RHostAddr_PI").get("hostAddr")
    if host and not session.from_peer and not session.state.is_local(host):
        reply = session.remote(host, message)
        if reply.int_info < 0:
            # As on the real server, the other's error stack stays behind.
            raise IrodsError(reply.int_info)
        return Reply(reply.int_info, reply.body.decode())
    instance = node.keywords().get("instance_name")
    if instance is not None and instance not in session.config.rule_engine_instances:
        raise IrodsError(Code.SYS_INVALID_INPUT_PARAM, f"no rule engine instance {text(instance)}")
    if instance is not None and text(instance).startswith(PYTHON_ENGINE):
        raise IrodsError(Code.SYS_NOT_SUPPORTED, "the stand-in runs no rules in Python for clients")
    given = {
        parameter.get("label"): parameter.child("STR_PI").get("myStr")
        for parameter in node.child("MsParamArray_PI").children("MsParam_PI")
        if parameter.get("label").startswith("*") and parameter.get("type") == "STR_PI"
    }
    effects = rules.execute(session.rules, node.get("myRule"), session.policy.scope(), given)
    output = element(
        "ExecCmdOut_PI", _output_buffer(effects.stdout), _output_buffer(effects.stderr), leaf("status", 0)
    )
    parameter = element("MsParam_PI", leaf("label", "ruleExecOut"), leaf("type", "ExecCmdOut_PI"), output)
    return Reply(body=element("MsParamArray_PI", leaf("paramLen", 1), leaf("oprType", 0), parameter))


@api(delayqueue.SUBMIT, "RULE_EXEC_SUBMIT_AN")
def submit(session: Session, message: Message) -> Reply:
    """Put a rule into the queue of delayed rules; answers its id."""
    node = Node.parse(message.body)
    names = ("ruleName", "exeTime", "exeFrequency", "priority", "exeContext")
    with session.catalogue.write() as tx:
        rule_id = delayqueue.submit(tx, session.user.name, {name: node.get(name) for name in names})
    return Reply(rule_id, element("IRODS_STR_PI", leaf("myStr", rule_id)))


@api(delayqueue.DELETE, "RULE_EXEC_DEL_AN")
def delete(session: Session, message: Message) -> Reply:
    """Take a rule out of the queue: an administrator any, others their own."""
    rule_id = Node.parse(message.body).get("ruleExecId")
    with session.catalogue.write() as tx:
        owner = tx.value("select user_name from r_rule_exec where rule_exec_id = ?", (rule_id,))
        if owner is None:
            raise IrodsError(Code.CAT_NO_ROWS_FOUND)
        if not session.user.admin and owner != session.user.name:
            raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION)
        tx.execute("delete from r_rule_exec where rule_exec_id = ?", (rule_id,))
    return Reply()


@api(delayqueue.MODIFY, "RULE_EXEC_MOD_AN", admin=True)
def modify(session: Session, message: Message) -> Reply:
    """Change when and how often a rule in the queue runs."""
    node = Node.parse(message.body)
    changes = node.keywords()
    if not set(changes) <= set(_CHANGEABLE):
        raise IrodsError(Code.SYS_INVALID_INPUT_PARAM)
    with session.catalogue.write() as tx:
        for keyword, value in changes.items():
            tx.execute(
                f"update r_rule_exec set {_CHANGEABLE[keyword]} = ? where rule_exec_id = ?",  # noqa: S608
                (value, node.get("ruleId")),
            )
    return Reply()


@api(delayqueue.LOCK, "DELAY_RULE_LOCK_AN", admin=True)
def lock(session: Session, message: Message) -> Reply:
    """Take a rule of the queue for one delay server. Raises -819000 when another has it."""
    node = Node.parse(message.body)
    with session.catalogue.write() as tx:
        taken = tx.execute(
            "update r_rule_exec set lock_host = ?, lock_host_pid = ?, lock_ts = ?"
            " where rule_exec_id = ? and lock_host = ''",
            (node.get("lock_host"), node.get("lock_host_pid"), tx.now, node.get("rule_id")),
        )
    if not taken:
        raise IrodsError(Code.CAT_SUCCESS_BUT_WITH_NO_INFO)
    return Reply()
