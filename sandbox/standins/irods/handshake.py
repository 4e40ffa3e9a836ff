"""How a connection begins: start-up message, negotiation of TLS, version, shared secret; both ends of it.

Between servers it also ends with a proof that both have the zone's keys, or those of a federation. iRODS puts
that proof into the negotiation; only stand-ins talk to stand-ins here, so ours is a challenge answered with
an HMAC, which does not reveal the keys to the other side.
"""

import base64
import contextlib
import hmac
import json
import secrets
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .config import API_VERSION, RELEASE, ServerConfig
from .errors import Code, IrodsError
from .wire import Channel, Heartbeat, Message, Node, ProtocolError, binary_json, element, leaf

REQUIRE, REFUSE, DONT_CARE = "CS_NEG_REQUIRE", "CS_NEG_REFUSE", "CS_NEG_DONT_CARE"
USE_TLS, USE_TCP, FAILURE = "CS_NEG_USE_SSL", "CS_NEG_USE_TCP", "CS_NEG_FAILURE"
NEGOTIATE = "request_server_negotiation"
PEER_OPTION = "irods-standin-server"
AUTHENTICATION_API = 110000
# What a connection to another server is for: its files, the requests of a client, a client's rule, what rules
# ask for a client that the connecting server vouches for, and the requests of a client of this zone about the
# other server's zone.
FILES, CLIENT, RULES, VOUCHED, FEDERATION = "files", "client", "rules", "vouched", "federation"
_TIMEOUT = 30.0
_FAREWELL = 2.0


@dataclass(frozen=True, slots=True)
class Startup:
    """What a client says of itself before it is authenticated."""

    proxy_user: str
    proxy_zone: str
    client_user: str
    client_zone: str
    option: str

    @property
    def peer(self) -> bool:
        """Whether another server connects."""
        return self.option.startswith(PEER_OPTION)

    @property
    def negotiates(self) -> bool:
        """Whether the client asked for negotiation."""
        return NEGOTIATE in self.option

    def pack(self) -> bytes:
        """Return the packed `StartupPack_PI`."""
        return element(
            "StartupPack_PI",
            leaf("irodsProt", 1),
            leaf("reconnFlag", 0),
            leaf("connectCnt", 0),
            leaf("proxyUser", self.proxy_user),
            leaf("proxyRcatZone", self.proxy_zone),
            leaf("clientUser", self.client_user),
            leaf("clientRcatZone", self.client_zone),
            leaf("relVersion", RELEASE),
            leaf("apiVersion", API_VERSION),
            leaf("option", self.option),
        ).encode()


def version(status: int) -> Message:
    """Return the message that ends the start-up; a negative status says why there will be no session."""
    body = element(
        "Version_PI",
        leaf("status", status),
        leaf("relVersion", RELEASE),
        leaf("apiVersion", API_VERSION),
        leaf("reconnPort", 0),
        leaf("reconnAddr", ""),
        leaf("cookie", 400),
    )
    return Message("RODS_VERSION", body.encode())


def negotiation(status: int, result: str) -> Message:
    """Return the message in which each side says what it wants: a policy, or the result of both policies."""
    return Message(
        "RODS_CS_NEG_T", element("CS_NEG_PI", leaf("status", status), leaf("result", result)).encode()
    )


def accept(
    channel: Channel, demand: Callable[[], str], context: Callable[[], ssl.SSLContext] | None
) -> Startup | None:
    """Take a connection through its start-up as the server; afterwards it is encrypted if both sides agreed.

    `demand` asks the rule `acPreConnect`; `context` gives the TLS settings. Returns None for a
    heartbeat, which wants no session. Raises `ProtocolError` or `IrodsError` when there will be no
    session; the client has been told as far as the protocol allows.
    """
    try:
        first = channel.read()
    except Heartbeat:
        channel.sock.sendall(b"HEARTBEAT")
        return None
    if first.type != "RODS_CONNECT":
        raise ProtocolError(f"{first.type} instead of RODS_CONNECT")
    node = Node.parse(first.body)
    startup = Startup(
        node.get("proxyUser"),
        node.get("proxyRcatZone"),
        node.get("clientUser"),
        node.get("clientRcatZone"),
        node.get("option"),
    )
    result = USE_TCP
    try:
        policy = demand()
    except IrodsError as error:
        raise _refuse(channel, error.code, str(error)) from error
    if startup.negotiates:
        channel.write(negotiation(1, policy))
        reply = Node.parse(channel.read().body)
        pairs = dict(pair.split("=", 1) for pair in reply.get("result").split(";") if "=" in pair)
        result = pairs.get("cs_neg_result_kw", reply.get("result"))
        if reply.number("status") != 1 or result not in (USE_TLS, USE_TCP):
            raise _refuse(channel, Code.SERVER_NEGOTIATION_ERROR, f"negotiation failed: {result}")
        if policy == REQUIRE and result == USE_TCP:
            raise _refuse(channel, Code.SERVER_NEGOTIATION_ERROR, "request to use TCP refused")
        if policy == REFUSE and result == USE_TLS:
            raise _refuse(channel, Code.SERVER_NEGOTIATION_ERROR, "request to use TLS refused")
    elif policy == REQUIRE:
        text = "SSL is required by the server but not requested by the client"
        raise _refuse(channel, Code.SYS_INVALID_INPUT_PARAM, text)
    channel.write(version(0))
    if result == USE_TLS:
        if context is None:
            raise ProtocolError("TLS was agreed on, but server_config.json has no tls_server")
        channel.start_tls(context(), server_side=True)
        # The client's choice of encryption for parallel transfers, which are not offered.
        channel.read_header()
        secret = channel.read()
        if secret.type != "SHARED_SECRET":
            raise ProtocolError(f"{secret.type} instead of SHARED_SECRET")
    return startup


def _refuse(channel: Channel, code: int, text: str) -> IrodsError:
    channel.write(version(code))
    return IrodsError(code, text)


def agree(ours: str, theirs: str) -> str:
    """Return the result of a negotiation between a connecting and an accepting side's policy."""
    if REQUIRE in (ours, theirs):
        return FAILURE if REFUSE in (ours, theirs) else USE_TLS
    return USE_TCP if REFUSE in (ours, theirs) else USE_TLS


def client_context(config: ServerConfig) -> ssl.SSLContext:
    """Return the TLS settings for connections to other servers."""
    settings = config.tls_client
    context = ssl.create_default_context(
        cafile=settings.ca_certificate_file, capath=settings.ca_certificate_path
    )
    context.check_hostname = settings.verify_server == "hostname"
    context.verify_mode = ssl.CERT_NONE if settings.verify_server == "none" else ssl.CERT_REQUIRED
    return context


def connect(
    config: ServerConfig,
    host: str,
    port: int,
    startup: Startup,
    *,
    purpose: str = FILES,
    settings: Mapping[str, Any] | None = None,
) -> Channel:
    """Connect to another server and prove that we know the zone's keys, or the federation's.

    `settings` are what the other server is to go by instead of its own rules. Raises `IrodsError` with
    -162000 when it cannot be reached, -1825000 when the two do not agree on TLS and -147000 when the
    keys differ.
    """
    try:
        channel = Channel(socket.create_connection((host, port), _TIMEOUT))
    except OSError as error:
        raise IrodsError(Code.SYS_SOCK_CONNECT_ERR, f"{host}:{port}: {error}") from error
    try:
        _start(config, channel, host, startup)
        _prove_keys(config, channel, host, purpose, settings or {})
        channel.sock.settimeout(None)
    except (OSError, ProtocolError) as error:
        channel.close()
        raise IrodsError(Code.SYS_SOCK_CONNECT_ERR, f"{host}:{port}: {error}") from error
    except IrodsError:
        channel.close()
        raise
    return channel


def _start(config: ServerConfig, channel: Channel, host: str, startup: Startup) -> None:
    channel.write(Message("RODS_CONNECT", startup.pack()))
    theirs = Node.parse(channel.read().body).get("result")
    result = agree(config.client_server_policy, theirs)
    channel.write(negotiation(int(result != FAILURE), f"cs_neg_result_kw={result};"))
    if result == FAILURE:
        text = f"negotiation failed: our policy is {config.client_server_policy}, that of {host} {theirs}"
        raise IrodsError(Code.SERVER_NEGOTIATION_ERROR, text)
    answer = Node.parse(channel.read().body)
    if answer.number("status") < 0:
        raise IrodsError(answer.number("status"), f"{host} refused the connection")
    if result == USE_TLS:
        context = client_context(config)
        name = host if context.check_hostname else None
        channel.start_tls(context, server_hostname=name)
        channel.write(Message("AES-256-CBC"))
        channel.write(Message("SHARED_SECRET"))


def _prove_keys(
    config: ServerConfig, channel: Channel, host: str, purpose: str, settings: Mapping[str, Any]
) -> None:
    # As iRODS does, by the host's name alone: a server that `federation` does not list gets the zone's own
    # key.
    other = next((zone for zone in config.federation if host in zone.hosts), None)
    asked = {"scheme": "zone_key", "next_operation": "auth_agent_auth_request"}
    challenge = str(request_json(channel, AUTHENTICATION_API, asked)["request_result"])
    key = other.negotiation_key if other else config.negotiation_key
    ours = secrets.token_hex(32)
    answer = {
        "scheme": "zone_key",
        "next_operation": "auth_agent_auth_response",
        "digest": _proof(challenge, config.zone, config.zone_key, key),
        "challenge": ours,
        "purpose": purpose,
        "settings": dict(settings),
    }
    reply = request_json(channel, AUTHENTICATION_API, answer)
    if other and not hmac.compare_digest(
        str(reply.get("server_digest")), _proof(ours, other.name, other.zone_key, key)
    ):
        raise IrodsError(Code.ZONE_KEY_SIGNATURE_MISMATCH, f"{host} does not have the keys of {other.name}")


def check_keys(config: ServerConfig, challenge: str, request: dict[str, Any]) -> tuple[str, str]:
    """Return the zone of the server that answered a challenge, and our answer to its own.

    Raises -147000 when its keys are neither this zone's nor those of a federated one.
    """
    zones = [
        (config.zone, config.zone_key, config.negotiation_key),
        *((zone.name, zone.zone_key, zone.negotiation_key) for zone in config.federation),
    ]
    digest, theirs = str(request.get("digest", "")), str(request.get("challenge", ""))
    for zone, zone_key, key in zones:
        if hmac.compare_digest(digest, _proof(challenge, zone, zone_key, key)):
            return zone, _proof(theirs, config.zone, config.zone_key, key)
    raise IrodsError(Code.ZONE_KEY_SIGNATURE_MISMATCH)


def _proof(challenge: str, zone: str, zone_key: str, negotiation_key: str) -> str:
    """Return the answer to a challenge, which only a server of a zone with these keys knows."""
    text = f"{challenge}:{zone}:{zone_key}".encode()
    return base64.b64encode(hmac.digest(negotiation_key.encode(), text, "sha256")).decode()


def request(channel: Channel, number: int, document: dict[str, Any], bs: bytes = b"") -> Message:
    """Send an API request with JSON to another server and return its reply. Raises its error."""
    channel.write(Message("RODS_API_REQ", binary_json(json.dumps(document)).encode(), b"", bs, number))
    reply = channel.read()
    if reply.int_info < 0:
        raise IrodsError(reply.int_info)
    return reply


def request_json(channel: Channel, number: int, document: dict[str, Any]) -> dict[str, Any]:
    """Send an API request with JSON to another server and return the JSON of its reply."""
    return json_body(request(channel, number, document))


def json_body(message: Message) -> dict[str, Any]:
    """Return the JSON object in a message's `BinBytesBuf_PI`. Raises `ProtocolError` when there is none."""
    try:
        raw = base64.b64decode(Node.parse(message.body).get("buf")).rstrip(b"\0")
        document = json.loads(raw)
    except ValueError as error:
        raise ProtocolError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ProtocolError("not a JSON object")
    return document


def end(channel: Channel) -> None:
    """End a connection that the other side has said goodbye on: with TLS, it waits for our goodbye."""
    if isinstance(channel.sock, ssl.SSLSocket):
        with contextlib.suppress(OSError, ValueError):
            channel.sock.settimeout(_FAREWELL)
            channel.sock.unwrap()
    channel.close()
