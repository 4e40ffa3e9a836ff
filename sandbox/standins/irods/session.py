"""One connection: authentication, then API requests until the client leaves."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import faults, handshake, pam, resources, users
from .access import Client, find_user
from .api import APIS, EXEC_MY_RULE, Api, Reply
from .catalogue import Catalogue
from .config import ServerConfig
from .dataobjects import STALE, OpenObjects, finish
from .errors import Code, IrodsError
from .federation import Federation, remote_client
from .genquery1 import Cursors
from .handshake import AUTHENTICATION_API, NEGOTIATE, PEER_OPTION, Startup
from .passwords import signature
from .peer import NAMES as FILE_APIS
from .peer import FileService, RemoteVault
from .policy import Policy
from .redact import arguments, without_secrets
from .resources import Resource
from .rulequeries import rows
from .rules import RuleBase
from .rulescope import Scope
from .sessionvariables import Identity
from .vault import LocalVault, Vault
from .wire import Channel, Disconnected, Message, ProtocolError, binary_json, error_stack

if TYPE_CHECKING:
    from .server import State


_ADMINISTRATOR, _USER = 5, 3
"""How iRODS numbers the privileges of users of the zone."""


def failure(error: IrodsError) -> Message:
    """Return the message that carries an API's refusal."""
    return Message("RODS_API_REPLY", error.body.encode(), error_stack(error.stack), b"", error.code)


class Session:
    """A client's, or another server's, connection to the catalog provider."""

    def __init__(self, state: State, channel: Channel, startup: Startup) -> None:
        self._state = state
        self._channel = channel
        self._startup = startup
        self._address = _address(channel)
        self._challenge = ""
        self._serves_files = False
        self._runs_rules = False
        self._hands_on = False
        self._vouched = False
        self._user: Client | None = None
        self.objects = OpenObjects()
        self._vaults: dict[str, RemoteVault] = {}
        self._files = FileService()
        self._federation = Federation(self)
        self._visited = False
        """Whether the requests come from another zone, which sends only what is about this one."""
        self.signature = ""
        self.cursors = Cursors()
        self._given: Mapping[str, Any] = {}
        self._quotas: bool | None = None
        self.provider: Channel | None = None
        """The connection to the catalog provider, on a server that has no catalogue."""
        self.parents: Mapping[str, str] = {}
        """The storage resources when the client logged in, as `resources.parents`."""

    @property
    def config(self) -> ServerConfig:
        """The server's configuration when the connection was made."""
        return self._state.config

    @property
    def rules(self) -> RuleBase:
        """The rules that counted when the connection was made."""
        return self._state.rules

    @property
    def state(self) -> State:
        """All that the server had loaded when the connection was made."""
        return self._state

    @cached_property
    def policy(self) -> Policy:
        """The rules around the APIs of this connection; of another server's client, of those it hands on."""
        state = self._state
        points = state.points.forwarded() if self._hands_on else state.points
        scope = Scope(
            request=self.request,
            log=self._log_rule,
            alive=self._channel.connected,
            exception=self._state.exception,
        )
        return Policy(state.rules, points, self._identity, scope)

    def _log_rule(self, line: str) -> None:
        self._state.log.write("info", "legacy", line, request_client_user=self._startup.client_user)

    def _identity(self) -> Identity:
        startup = self._startup
        scope = Scope(request=self.request)

        def privilege(name: str, zone: str) -> int:
            found = rows(scope, "USER_TYPE", {"USER_NAME": name, "USER_ZONE": zone})
            return _ADMINISTRATOR if any(row["USER_TYPE"] == "rodsadmin" for row in found) else _USER

        client = startup.client_user, startup.client_zone
        proxy = startup.proxy_user, startup.proxy_zone
        return Identity(*client, *proxy, privilege(*client), privilege(*proxy), self._address)

    def request(self, number: int, packed: str) -> Message:
        """Do an API for a rule: no policy enforcement points of this server are around it."""
        message = Message("RODS_API_REQ", packed.encode(), int_info=number)
        if self._state.catalogue is None and number != EXEC_MY_RULE:
            return self.hand_on(message)
        entry = APIS.get(number)
        if entry is None:
            return failure(IrodsError(Code.SYS_UNMATCHED_API_NUM))
        try:
            return self._carry_out(self._checked(entry), message)
        except IrodsError as error:
            return failure(error)

    def hand_on(self, message: Message) -> Message:
        """Have the catalog provider answer a request. Raises what `handshake.connect` raises."""
        if self.provider is None:
            config, startup = self.config, self._startup
            us = Startup(
                config.zone_user,
                config.zone,
                startup.client_user,
                startup.client_zone,
                f"{PEER_OPTION};{NEGOTIATE}",
            )
            host = config.provider_hosts[0]
            self.provider = handshake.connect(config, host, config.port, us, purpose=handshake.VOUCHED)
        self.provider.write(message)
        return self.provider.read()

    def vouch(self) -> None:
        """Act for the client without a login: a server of the zone vouches for it. Raises -827000."""
        if self._state.catalogue is None:
            return
        startup = self._startup
        with self.catalogue.read() as tx:
            self._user = find_user(tx, startup.client_user, startup.client_zone)
            self.parents = resources.parents(tx)
        if self._user is None:
            raise IrodsError(Code.CAT_INVALID_USER)

    def default_resource(self, path: str) -> str:
        """The storage resource of a new data object, by the rules of the server that the client is on."""
        if "default_resource" in self._given:
            return str(self._given["default_resource"])
        return self.rules.default_resource(self.policy.scope({"objPath": path}))

    @property
    def enforces_quotas(self) -> bool:
        """Whether quotas are enforced, by the rules of the server that the client is on; asked once."""
        if self._quotas is None:
            given = self._given.get("enforces_quotas")
            self._quotas = self.rules.enforces_quotas(self.policy.scope()) if given is None else given is True
        return self._quotas

    @property
    def catalogue(self) -> Catalogue:
        """The zone's catalogue. Raises -66000 on a server that has none."""
        if self._state.catalogue is None:
            raise IrodsError(Code.SYS_NOT_SUPPORTED)
        return self._state.catalogue

    @property
    def user(self) -> Client:
        """The user in whose name the connection acts. Raises -13000 before authentication."""
        if self._user is None:
            raise IrodsError(Code.SYS_NO_API_PRIV)
        return self._user

    def take_ticket(self, string: str) -> None:
        """Get in by a ticket from now on."""
        self._user = replace(self.user, ticket=string)

    def vault(self, resource: Resource) -> Vault:
        """Return the vault files of the host that owns a storage resource."""
        if self._state.is_local(resource.host):
            return LocalVault()
        if resource.host not in self._vaults:
            config = self.config
            us = Startup(
                config.zone_user, config.zone, config.zone_user, config.zone, f"{PEER_OPTION};{NEGOTIATE}"
            )
            channel = handshake.connect(config, resource.host, config.port, us)
            self._vaults[resource.host] = RemoteVault(channel)
        return self._vaults[resource.host]

    def remote(self, host: str, message: Message) -> Message:
        """Return another server's reply to a client's request, in the name of that client.

        Raises -21000 when this machine cannot resolve the host, and what `handshake.connect` raises.
        """
        if not resources.resolves(host):
            code = Code.SYS_INVALID_SERVER_HOST
            raise IrodsError(code, stack=[(code.value, f"Failed to resolve hostname: [{host}]")])
        us, config = self._startup, self.config
        them = Startup(
            config.zone_user, config.zone, us.client_user, us.client_zone, f"{PEER_OPTION};{NEGOTIATE}"
        )
        channel = handshake.connect(config, host, config.port, them, purpose=handshake.RULES)
        try:
            channel.write(message)
            return channel.read()
        except (OSError, ProtocolError) as error:
            raise IrodsError(Code.SYS_SOCK_CONNECT_ERR, f"{host}: {error}") from error
        finally:
            channel.close()

    @property
    def from_peer(self) -> bool:
        """Whether another server sends the requests, for one of its clients."""
        return self._startup.peer

    def answer_rule(self, message: Message) -> Message:
        """Answer an authenticated client's rule on a server without the catalogue."""
        self._runs_rules = True
        return self._answer(message, ())

    def serve(self) -> None:
        """Answer requests until the client leaves. Raises `ProtocolError` or `OSError` when it breaks off."""
        try:
            while True:
                try:
                    message = self._channel.read()
                except Disconnected:
                    return
                if message.type == "RODS_DISCONNECT":
                    return
                if message.type != "RODS_API_REQ":
                    raise ProtocolError(f"{message.type} instead of RODS_API_REQ")
                met = self._state.faults.meeting(message) if self._state.faults else ()
                reply = self._answer(message, met)
                faults.after(met, self._channel, reply)
                self._channel.write(reply)
        finally:
            self.close()

    def _answer(self, message: Message, met: Sequence[faults.Fault]) -> Message:
        number = message.int_info
        name = self._startup.client_user
        entry = APIS.get(number)
        try:
            faults.before(met, self._channel)
            reply = self._dispatch(entry, message)
        except IrodsError as error:
            reply = failure(error)
            # An empty answer is an error only in the protocol.
            if error.code != Code.CAT_NO_ROWS_FOUND:
                self._state.log.write(
                    "info", "api", f"API {number} failed: {error}", request_client_user=name
                )
        except Disconnected:
            raise
        except ProtocolError as error:
            reply = failure(IrodsError(Code.SYS_API_INPUT_ERR, str(error)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            # A request that the stand-in did not foresee must not end the client's session.
            self._state.log.write("error", "api", f"API {number}: {type(error).__name__}: {error}")
            reply = failure(IrodsError(Code.SYS_INTERNAL_ERR))
        self._log_call(number, entry, message, reply)
        return reply

    def _dispatch(self, entry: Api | None, message: Message) -> Message:
        if message.int_info == AUTHENTICATION_API:
            return self._authenticate(message).message()
        if message.int_info in FILE_APIS and self._serves_files:
            return self._files.answer(message)
        if message.int_info != EXEC_MY_RULE or not self._runs_rules:
            # Who has not logged in gets no answer but this.
            _ = self.user
        if entry is None:
            raise IrodsError(Code.SYS_UNMATCHED_API_NUM)
        checked = self._checked(entry)
        return self.policy.call(message.int_info, message, lambda changed: self._carry_out(checked, changed))

    def _checked(self, entry: Api) -> Api:
        if entry.admin and not self.user.admin:
            raise IrodsError(Code.SYS_NO_API_PRIV)
        return entry

    def _carry_out(self, entry: Api, message: Message) -> Message:
        if not self._visited and (reply := self._federation.answer(message)) is not None:
            return reply
        return entry.handler(self, message).message()

    def _log_call(self, number: int, entry: Api | None, message: Message, reply: Message) -> None:
        if not self._state.log.has_calls or self._vouched:
            # What servers ask for rules of theirs is no client's call.
            return
        name = (
            entry.name
            if entry
            else FILE_APIS.get(number, "AUTHENTICATION_APN" if number == AUTHENTICATION_API else "")
        )
        words = without_secrets(arguments(message))
        self._state.log.call(number, name, self._startup.client_user, reply.int_info, words)

    def _authenticate(self, message: Message) -> Reply:
        request = handshake.json_body(message)
        step, scheme = request.get("next_operation"), request.get("scheme")
        if step == "auth_agent_auth_request" and scheme == pam.SCHEME:
            return self._ask_pam(request)
        if step == "auth_agent_auth_request" and scheme in ("native", "zone_key"):
            self._challenge = secrets.token_hex(32)
            self.signature = signature(self._challenge)
            answer = {**request, "request_result": self._challenge}
            return Reply(body=binary_json(json.dumps(answer, sort_keys=True, separators=(",", ":"))))
        if step != "auth_agent_auth_response" or scheme not in ("native", "zone_key") or not self._challenge:
            raise IrodsError(Code.AUTHENTICATION_ERROR)
        challenge, self._challenge = self._challenge, ""
        digest = str(request.get("digest", ""))
        if scheme == "zone_key":
            zone, request["server_digest"] = handshake.check_keys(self.config, challenge, request)
            if zone != self.config.zone:
                self._visit(zone, str(request.get("purpose")))
                return Reply(body=binary_json(json.dumps(request, sort_keys=True, separators=(",", ":"))))
            # Never on a connection that carries a client's requests: the file API knows no permissions.
            self._serves_files = request.get("purpose") == handshake.FILES
            self._runs_rules = request.get("purpose") == handshake.RULES
            self._hands_on = request.get("purpose") == handshake.CLIENT
            self._given = request.get("settings") or {}
            self._vouched = request.get("purpose") == handshake.VOUCHED
            if self._vouched or self._runs_rules:
                self.vouch()
        else:
            self._log_in(
                str(request.get("user_name", "")), str(request.get("zone_name", "")), challenge, digest
            )
        return Reply(body=binary_json(json.dumps(request, sort_keys=True, separators=(",", ":"))))

    def _ask_pam(self, request: dict[str, Any]) -> Reply:
        pam.demand_tls(self._channel)
        name, hours = pam.check_request(self.config, request)
        with self.catalogue.write() as tx:
            result = pam.password_for(tx, self.config.zone, name, hours)
        answer = {key: value for key, value in request.items() if key != "a_pw"} | {"request_result": result}
        return Reply(body=binary_json(json.dumps(answer, sort_keys=True, separators=(",", ":"))))

    def _log_in(self, name: str, zone: str, challenge: str, digest: str) -> None:
        startup = self._startup
        with self.catalogue.read() as tx:
            proxy = users.check(tx, name, zone, challenge, digest)
            client = proxy
            if (startup.client_user, startup.client_zone) != (name, zone):
                if not proxy.admin:
                    raise IrodsError(Code.SYS_PROXYUSER_NO_PRIV)
                found = find_user(tx, startup.client_user, startup.client_zone)
                if found is None:
                    raise IrodsError(Code.CAT_INVALID_USER)
                client = found
            self.parents = resources.parents(tx)
        self._user = client

    def _visit(self, zone: str, purpose: str) -> None:
        """Take the requests of a user of another zone, whose server has proved itself, and nothing else."""
        if purpose != handshake.FEDERATION:
            raise IrodsError(Code.SYS_NO_API_PRIV)
        self._visited = True
        with self.catalogue.read() as tx:
            self._user = remote_client(tx, self._startup, zone)

    def close(self) -> None:
        """Give up all that the connection has open, its own socket apart."""
        for opened in self.objects.take_all():
            opened.file.close()
            if opened.writable:
                # The client went away without closing: nobody knows whether the bytes are complete.
                with self.catalogue.write() as tx:
                    finish(tx, opened.replica, opened.replica.size, STALE, "")
        self._files.close()
        self._federation.close()
        if self.provider is not None:
            self.provider.close()
        for vault in self._vaults.values():
            vault.disconnect()


def _address(channel: Channel) -> str:
    name = channel.sock.getpeername()
    return str(name[0]) if isinstance(name, tuple) else ""
