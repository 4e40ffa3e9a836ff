"""The server: what it has loaded, its listening socket, its threads."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

# Importing the handlers registers them.
from . import (
    api_admin,
    api_catalogue,
    api_data,
    api_grid,
    api_info,
    api_processes,
    api_replicas,
    api_rules,
    handshake,
    policy,
    relay,
    resources,
    rules,
    session,
)
from .agents import LocalAgent
from .api_processes import Agent
from .catalogue import Catalogue
from .config import ServerConfig, TlsServer
from .delayserver import DelayServer
from .errors import IrodsError
from .faults import Faults
from .log import Log
from .rules import RuleBase
from .rulescope import Scope
from .rulevalues import RuleError
from .wire import Channel, Disconnected, ProtocolError

HANDLERS = (api_admin, api_catalogue, api_data, api_grid, api_info, api_processes, api_replicas, api_rules)
_HANDSHAKE_TIMEOUT = 30.0
_BACKLOG = 512
RELOAD_SECONDS = 1.5
"""How long the port stays closed at a reload when nobody is connected, seconds."""


class TlsFiles:
    """The server's certificate, read again when a file has changed, so that a renewal needs no reload."""

    def __init__(self, files: TlsServer) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._loaded: tuple[tuple[int, ...], ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext:
        """Return the TLS settings of the present files.

        Raises `ProtocolError` when one of them cannot be used.
        """
        files = self._files
        try:
            paths = (files.certificate_chain_file, files.certificate_key_file, files.dh_params_file)
            state = tuple(part for path in paths for part in (path.stat().st_mtime_ns, path.stat().st_ino))
            with self._lock:
                if self._loaded is None or self._loaded[0] != state:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.minimum_version = ssl.TLSVersion.TLSv1_2
                    context.load_cert_chain(files.certificate_chain_file, files.certificate_key_file)
                    context.load_dh_params(str(files.dh_params_file))
                    self._loaded = state, context
                return self._loaded[1]
        except OSError as error:
            raise ProtocolError(f"TLS cannot be set up: {error}") from error


@dataclass(frozen=True)
class State:
    """What a connection works with: replaced as a whole when the server reloads."""

    config: ServerConfig
    rules: RuleBase
    points: policy.Points
    tls: TlsFiles | None
    catalogue: Catalogue | None
    log: Log
    started: float
    faults: Faults | None = None
    agents: Callable[[], Sequence[Agent]] = tuple
    """The server's agents at the moment."""
    _local: dict[str, bool] = field(default_factory=dict)

    def is_local(self, host: str) -> bool:
        """Return whether a storage resource's host is this server."""
        config = self.config
        if host in (
            config.host,
            socket.gethostname(),
            "localhost",
            *config.host_aliases.get(config.host, ()),
        ):
            return True
        if host not in self._local:
            self._local[host] = resources.is_own_address(host)
        return self._local[host]

    def exception(self, text: str) -> None:
        """Log what a rule in Python failed with, as its engine does."""
        fields = {"rule_engine_plugin": "python", "python_exception": text}
        self.log.write("error", "rule_engine", "caught python exception", **fields)


def load(
    config: ServerConfig,
    catalogue: Catalogue | None,
    log: Log,
    started: float,
    faults: Faults | None = None,
    *,
    agents: Callable[[], Sequence[Agent]] = tuple,
) -> State:
    """Read the rule bases that a configuration names.

    One with an error does not stop the server, it drops all policy, as on the real one; it is logged. So is
    what the stand-in does not carry out.
    """
    rule_base, problems = rules.load(config.rules_directory, config.rule_bases, python=config.python)
    for problem in problems:
        log.write("error", "rule_engine", problem)
    if rule_base.initialized:
        for line in rules.unsupported(config.rules_directory, config.rule_bases, policy.served()):
            log.write("warn", "rule_engine", line)
    if rule_base.python:
        for line in rule_base.python.unsupported(rule_base.by_name, policy.served()):
            log.write("warn", "rule_engine", line)
    tls = None if config.tls_server is None else TlsFiles(config.tls_server)
    return State(config, rule_base, policy.Points.of(rule_base), tls, catalogue, log, started, faults, agents)


def _negotiation(state: State, channel: Channel) -> str:
    """Return what the rules demand of a connection. Raises -1101000 or whatever the rule fails with."""
    scope = Scope(
        log=lambda line: state.log.write("info", "rule_engine", line),
        alive=channel.connected,
        exception=state.exception,
    )
    try:
        return state.rules.negotiation(scope)
    except RuleError as error:
        raise IrodsError(error.code, f"acPreConnect: {error.message}") from error


class Server:
    """Accepts connections on one address, with a thread for each."""

    def __init__(
        self,
        config: ServerConfig,
        catalogue: Catalogue | None,
        log: Log,
        address: tuple[str, int],
        faults: Faults | None = None,
        *,
        reload_seconds: float = RELOAD_SECONDS,
    ) -> None:
        """Listen on an address at once; port 0 takes a free one. Raises `OSError` when it is taken."""
        self._reload_seconds = reload_seconds
        self._known_hosts = resources.KnownHosts()
        self._started = time.time()
        self._catalogue = catalogue
        self._log = log
        self._faults = faults
        self._agents: dict[Channel, Agent] = {}
        self._lock = threading.Lock()
        self._state = load(config, catalogue, log, self._started, faults, agents=self._present)
        self._socket = socket.create_server(address, backlog=_BACKLOG, reuse_port=False)
        self._open: dict[Channel, threading.Thread] = {}
        self._stopping = False
        self._listening = threading.Event()
        self._listening.set()
        self._delay_server = self._new_delay_server()

    def _new_delay_server(self) -> DelayServer:
        state = self._state
        return DelayServer(state.config, lambda user, zone: LocalAgent(state, user, zone), self._log)

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self._socket.getsockname()[1])

    @property
    def state(self) -> State:
        """What new connections work with."""
        return self._state

    def reload(self, config: ServerConfig, interrupted: Callable[[], bool] = lambda: False) -> bool:
        """Serve with another configuration and freshly read rule bases; return False when interrupted.

        An outage, as on the real server: the port is closed until the last client has left, or the time that
        clients have is over and they are cut off, and for a moment beyond that. Until then they are served
        as before. Raises `OSError` when the port cannot be had again.
        """
        address = self._socket.getsockname()
        grace = self._state.config.grace_seconds
        self._listening.clear()
        self._close_socket()
        self._delay_server.stop()
        if not self._wait_for_clients(grace, interrupted):
            return False
        self._cut_off()
        time.sleep(self._reload_seconds)
        self._state = load(
            config, self._catalogue, self._log, self._started, self._faults, agents=self._present
        )
        self._socket = socket.create_server(address, backlog=_BACKLOG, reuse_port=False)
        self._delay_server = self._new_delay_server()
        self._delay_server.start()
        self._listening.set()
        return True

    @property
    def _closing(self) -> bool:
        """Whether there are to be no new connections, not even the one that was accepted a moment ago."""
        return self._stopping or not self._listening.is_set()

    def _close_socket(self) -> None:
        # Closing alone does not wake a thread that waits in accept.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _wait_for_clients(self, grace_seconds: float, interrupted: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + grace_seconds
        while time.monotonic() < deadline and self.connections:
            if interrupted():
                return False
            time.sleep(0.02)
        return True

    def start(self) -> None:
        """Serve in a thread of its own."""
        threading.Thread(target=self.serve, daemon=True, name="irodsServer").start()

    def serve(self) -> None:
        """Accept connections until `stop`."""
        if not self._stopping:
            self._delay_server.start()
        while True:
            self._listening.wait()
            try:
                connection, _ = self._socket.accept()
            except OSError:
                if self._stopping:
                    return
                if not self._listening.is_set():
                    continue
                raise
            channel = Channel(connection)
            thread = threading.Thread(target=self._run, args=(channel,), daemon=True, name="irodsAgent")
            # Together, because whoever ends the connections waits for their threads.
            with self._lock:
                if self._closing:
                    channel.close()
                    continue
                self._open[channel] = thread
                thread.start()

    def _run(self, channel: Channel) -> None:
        state = self._state
        try:
            channel.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel.sock.settimeout(_HANDSHAKE_TIMEOUT)
            startup = handshake.accept(
                channel,
                lambda: _negotiation(state, channel),
                None if state.tls is None else state.tls.context,
            )
            if startup is None:
                return
            channel.sock.settimeout(None)
            agent = Agent(threading.get_native_id(), time.time(), startup, str(channel.sock.getpeername()[0]))
            with self._lock:
                self._agents[channel] = agent
            self._resolve_hosts(state)
            if state.config.provider or startup.peer:
                session.Session(state, channel, startup).serve()
            else:
                relay.relay(state, channel, startup)
        except Disconnected:
            # Somebody only looked whether the port is open.
            return
        except (ProtocolError, OSError, IrodsError) as error:
            if not self._stopping:
                state.log.write("error", "agent", f"connection ended: {error}")
        finally:
            handshake.end(channel)
            if self._catalogue is not None:
                self._catalogue.close_thread()
            with self._lock:
                self._open.pop(channel, None)
                self._agents.pop(channel, None)

    def _present(self) -> list[Agent]:
        with self._lock:
            return list(self._agents.values())

    def _resolve_hosts(self, state: State) -> None:
        """Look up the hosts of all storage resources, as an iRODS agent does when it begins.

        A host that has no address is asked for again and again, by every new connection.
        """
        if state.catalogue is None or not state.config.resolve_attempts:
            return
        with state.catalogue.read() as tx:
            hosts = resources.hosts(tx)
        for host in hosts:
            if state.is_local(host) or self._known_hosts.resolve(
                host, state.config.resolve_attempts, lambda: self._stopping
            ):
                continue
            state.log.write("error", "resource", f"cannot resolve the host {host} of a storage resource")

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Stop listening, give open connections some time to end by themselves, then end them."""
        self._stopping = True
        self._listening.set()
        self._delay_server.stop()
        self._close_socket()
        self._wait_for_clients(grace_seconds, lambda: False)
        self._cut_off()
        if self._catalogue is not None:
            self._catalogue.close()

    def _cut_off(self) -> None:
        with self._lock:
            remaining = list(self._open.items())
        for channel, _ in remaining:
            channel.close()
        for _, thread in remaining:
            thread.join(timeout=5)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        with self._lock:
            return len(self._open)
