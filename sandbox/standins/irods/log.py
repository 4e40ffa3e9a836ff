"""The server's log: JSON lines with the keys of iRODS 5's own, to syslog or standard output.

Beside it there is an optional log of API calls, one JSON line a request, in the file that the environment
variable `IRODS_STANDIN_CALL_LOG` names; it is there for tests that count calls.
"""

import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from logging.handlers import SysLogHandler
from pathlib import Path

CALL_LOG_VARIABLE = "IRODS_STANDIN_CALL_LOG"
_SYSLOG_SOCKET = "/dev/log"
_LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
_IDENTIFIERS = {"server": "irodsServer", "agent": "irodsAgent", "delay_server": "irodsDelayServer"}
"""What is one process each of a real server → its name in syslog."""
_KINDS = {"server": "server", "agent_factory": "server", "delay_server": "delay_server"}
"""Category → who writes it, where it is not an agent."""


class Log:
    """Writes log lines of one server."""

    def __init__(self, zone: str, *, syslog: bool) -> None:
        self._zone = zone
        self._host = socket.gethostname()
        self._loggers = {kind: _logger(kind, ident, syslog) for kind, ident in _IDENTIFIERS.items()}
        call_log = os.environ.get(CALL_LOG_VARIABLE)
        self._calls = (
            None if not call_log else os.open(call_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        )
        self._lock = threading.Lock()

    def write(self, level: str, category: str, message: str, **fields: str) -> None:
        """Write a line; categories are iRODS's (`server`, `agent`, `authentication`, `rule_engine`, ...)."""
        kind = _KINDS.get(category, "agent")
        line = {
            "log_category": category,
            "log_level": level,
            "log_message": message,
            **fields,
            "server_host": self._host,
            "server_pid": os.getpid(),
            "server_timestamp": _now(),
            "server_type": kind,
            "server_zone": self._zone,
        }
        self._loggers[kind].log(_LEVELS[level], "%s", json.dumps(line))

    @property
    def has_calls(self) -> bool:
        """Whether there is a log of API calls."""
        return self._calls is not None

    def call(self, number: int, name: str, user: str, result: int, arguments: Sequence[str] = ()) -> None:
        """Write a line about an API request to the call log, if there is one.

        Arguments must hold no secrets.
        """
        if self._calls is None:
            return
        line = {
            "time": _now(),
            # Each connection has a thread of its own.
            "connection": threading.get_native_id(),
            "api_number": number,
            "api_name": name,
            "user": user,
            "result": result,
        }
        if arguments:
            line["arguments"] = list(arguments)
        with self._lock:
            os.write(self._calls, json.dumps(line).encode() + b"\n")


def _logger(kind: str, ident: str, syslog: bool) -> logging.Logger:
    logger = logging.Logger(f"irods-standin-{kind}", logging.INFO)
    handler: logging.Handler
    if syslog and Path(_SYSLOG_SOCKET).exists():
        handler = SysLogHandler(_SYSLOG_SOCKET, facility=SysLogHandler.LOG_LOCAL0)
        handler.ident = f"{ident}[{os.getpid()}]: "
        handler.append_nul = False
    else:
        handler = logging.StreamHandler(sys.stdout)
    logger.addHandler(handler)
    return logger


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
