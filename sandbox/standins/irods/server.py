"""The server: what it has loaded, its listening socket, its threads."""

import socket
import ssl
import threading
import time
from dataclasses import dataclass, field

# Importing the handlers registers them.
from . import api_admin, api_catalogue, api_data, api_grid, api_info, handshake, rules, session
from .catalogue import Catalogue
from .config import ServerConfig, TlsServer
from .errors import IrodsError
from .faults import Faults
from .log import Log
from .rules import RuleBase
from .wire import Channel, Disconnected, ProtocolError

HANDLERS = (api_admin, api_catalogue, api_data, api_grid, api_info)
_HANDSHAKE_TIMEOUT = 30.0
_BACKLOG = 512


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
    negotiation: str
    tls: TlsFiles | None
    catalogue: Catalogue | None
    log: Log
    started: float
    faults: Faults | None = None
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
            self._local[host] = session.is_own_address(host)
        return self._local[host]


def load(
    config: ServerConfig,
    catalogue: Catalogue | None,
    log: Log,
    started: float,
    faults: Faults | None = None,
) -> State:
    """Read the rule bases that a configuration names.

    One with an error does not stop the server, it drops all policy, as on the real one; it is logged.
    """
    rule_base, problems = rules.load(config.rules_directory, config.rule_bases)
    for problem in problems:
        log.write("error", "rule_engine", problem)
    tls = None if config.tls_server is None else TlsFiles(config.tls_server)
    return State(config, rule_base, rule_base.negotiation, tls, catalogue, log, started, faults)


class Server:
    """Accepts connections on one address, with a thread for each."""

    def __init__(
        self,
        config: ServerConfig,
        catalogue: Catalogue | None,
        log: Log,
        address: tuple[str, int],
        faults: Faults | None = None,
    ) -> None:
        """Listen on an address at once; port 0 takes a free one. Raises `OSError` when it is taken."""
        self._started = time.time()
        self._catalogue = catalogue
        self._log = log
        self._faults = faults
        self._state = load(config, catalogue, log, self._started, faults)
        self._socket = socket.create_server(address, backlog=_BACKLOG, reuse_port=False)
        self._open: dict[Channel, threading.Thread] = {}
        self._lock = threading.Lock()
        self._stopping = False

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self._socket.getsockname()[1])

    @property
    def state(self) -> State:
        """What new connections work with."""
        return self._state

    def reload(self, config: ServerConfig) -> None:
        """Let new connections work with another configuration and freshly read rule bases."""
        self._state = load(config, self._catalogue, self._log, self._started, self._faults)

    def start(self) -> None:
        """Serve in a thread of its own."""
        threading.Thread(target=self.serve, daemon=True, name="irodsServer").start()

    def serve(self) -> None:
        """Accept connections until `stop`."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                if self._stopping:
                    return
                raise
            channel = Channel(connection)
            thread = threading.Thread(target=self._run, args=(channel,), daemon=True, name="irodsAgent")
            with self._lock:
                self._open[channel] = thread
            thread.start()

    def _run(self, channel: Channel) -> None:
        state = self._state
        try:
            channel.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel.sock.settimeout(_HANDSHAKE_TIMEOUT)
            startup = handshake.accept(
                channel, state.negotiation, None if state.tls is None else state.tls.context
            )
            if startup is None:
                return
            channel.sock.settimeout(None)
            if state.config.provider or startup.peer:
                session.Session(state, channel, startup).serve()
            else:
                session.relay(state, channel, startup)
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

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Stop listening, give open connections some time to end by themselves, then end them."""
        self._stopping = True
        # Closing alone does not wake a thread that waits in accept.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        deadline = time.monotonic() + grace_seconds
        while time.monotonic() < deadline and self.connections:
            time.sleep(0.1)
        with self._lock:
            remaining = list(self._open.items())
        for channel, _ in remaining:
            handshake.close(channel)
        for _, thread in remaining:
            thread.join(timeout=5)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        with self._lock:
            return len(self._open)
