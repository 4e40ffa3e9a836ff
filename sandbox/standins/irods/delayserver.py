"""The delay server: runs the rules of the queue on the server that the grid configuration names as leader.

Every server looks at the grid configuration; the one that is named as successor makes itself the leader. A
rule runs as the user who submitted it, with the rule bases of the leader.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from typing import Protocol

from . import delayqueue
from .config import ServerConfig
from .delayqueue import DELETE, LOCK, MODIFY
from .errors import Code, IrodsError
from .evaluation import Evaluation
from .log import Log
from .rulelang import RuleSyntaxError, parse_actions
from .rulequeries import rows
from .rules import RuleBase
from .rulescope import Scope
from .rulevalues import RuleError
from .wire import Node, ProtocolError, element, leaf

_LEADER, _MIGRATE = 20009, 20011
_DUE = "RULE_EXEC_ID,RULE_EXEC_NAME,RULE_EXEC_FREQUENCY,RULE_EXEC_CONTEXT"


class Agent(Protocol):
    """A connection for the delay server: what it may ask, and the rules that it runs with."""

    @property
    def rules(self) -> RuleBase:
        """The rules that the server has read."""

    def scope(self) -> Scope:
        """Return what a rule runs with."""

    def close(self) -> None:
        """End the connection."""


Connect = Callable[[str, str], Agent]
"""Returns an agent for a user of a zone; with empty names for the server's own administrator."""


class DelayServer:
    """A thread that looks into the queue every few seconds."""

    def __init__(self, config: ServerConfig, connect: Connect, log: Log) -> None:
        self._config, self._connect, self._log = config, connect, log
        self._host = config.host
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="irodsDelayServer")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End when the rule that is running has ended."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        config = self._config
        looked, trouble = time.monotonic(), ""
        while not self._stopped.wait(min(config.migration_seconds, config.delay_server_seconds)):
            due = time.monotonic() - looked >= config.delay_server_seconds
            try:
                self.look(execute=due)
                trouble = ""
            except (IrodsError, RuleError, OSError, ProtocolError) as error:
                # Said once: a catalogue that is away stays away for many looks.
                if str(error) != trouble:
                    self._log.write("error", "delay_server", str(error))
                trouble = str(error)
            looked = time.monotonic() if due else looked

    def look(self, *, execute: bool = True) -> None:
        """Take over from another server if that is wanted, and run all rules that are due as the leader."""
        agent = self._connect("", "")
        try:
            scope = agent.scope()
            if not self._leads(scope) or not execute:
                return
            now = f"{int(time.time()):011d}"
            due = rows(scope, _DUE, {"RULE_EXEC_LOCK_HOST": ""}, {"RULE_EXEC_TIME": f"<= '{now}'"})
            for row in due:
                if self._stopped.is_set():
                    return
                self._run_rule(scope, row)
        finally:
            agent.close()

    def _leads(self, scope: Scope) -> bool:
        leader, successor = (self._configured(scope, option) for option in ("leader", "successor"))
        if successor == self._host != leader:
            self._log.write("info", "delay_server", f"taking over the delay server from {leader}")
            packed = element("migration", leaf("leader", self._host), leaf("successor", ""))
            scope.request(_MIGRATE, packed)
            return True
        return leader == self._host

    @staticmethod
    def _configured(scope: Scope, option: str) -> str:
        packed = element("grid", leaf("name_space", "delay_server"), leaf("option_name", option))
        reply = scope.request(_LEADER, packed)
        if reply.int_info < 0:
            raise IrodsError(reply.int_info, f"delay_server {option}")
        return Node.parse(reply.body).get("option_value")

    def _run_rule(self, scope: Scope, row: dict[str, str]) -> None:
        rule_id = row["RULE_EXEC_ID"]
        packed = element(
            "lock", leaf("rule_id", rule_id), leaf("lock_host", self._host),
            leaf("lock_host_pid", os.getpid()),
        )  # fmt: skip
        if scope.request(LOCK, packed).int_info < 0:
            return
        status = self._execute(row)
        following = delayqueue.following(row["RULE_EXEC_FREQUENCY"], time.time(), success=status >= 0)
        if following is None:
            scope.request(DELETE, element("RULE_EXEC_DEL_INP_PI", leaf("ruleExecId", rule_id)))
            return
        words = {"exeTime": following[0], "exeFrequency": following[1], "lockHost": "", "lockHostPid": ""}
        words |= {"lockTime": "", "lastExeTime": f"{int(time.time()):011d}", "exeStatus": ""}
        pairs = element(
            "KeyValPair_PI",
            leaf("ssLen", len(words)),
            *(leaf("keyWord", word) for word in words),
            *(leaf("svalue", value) for value in words.values()),
        )
        scope.request(MODIFY, element("RULE_EXEC_MOD_INP_PI", leaf("ruleId", rule_id), pairs))

    def _execute(self, row: dict[str, str]) -> int:
        """Run one rule as the user who submitted it; return its code, which is also logged when negative."""
        rule_id, text = row["RULE_EXEC_ID"], row["RULE_EXEC_NAME"]
        try:
            context = json.loads(row["RULE_EXEC_CONTEXT"])
            agent = self._connect(context["user"], context["zone"])
        except (ValueError, KeyError, IrodsError) as error:
            self._failed(rule_id, Code.SYS_INTERNAL_ERR, str(error))
            return Code.SYS_INTERNAL_ERR
        try:
            if agent.rules.initialized:
                Evaluation(agent.rules.by_name, agent.scope()).block(
                    parse_actions(text), context["variables"]
                )
        except RuleError as error:
            self._failed(rule_id, error.code, error.message)
            return error.code
        except RuleSyntaxError as error:
            self._failed(rule_id, Code.RE_PARSER_ERROR, str(error))
            return Code.RE_PARSER_ERROR
        finally:
            agent.close()
        return 0

    def _failed(self, rule_id: str, code: int, message: str) -> None:
        text = f"Rule exec for [{rule_id}] failed. status = [{int(code)}] {message}"
        self._log.write("error", "delay_server", text)
