"""A server without the catalogue: it passes its clients' requests on to the catalog provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import api_processes, handshake, pam
from .api import EXEC_MY_RULE
from .errors import IrodsError
from .handshake import AUTHENTICATION_API, NEGOTIATE, PEER_OPTION, Startup
from .session import Session, failure
from .wire import Channel, Disconnected, Message

if TYPE_CHECKING:
    from .server import State


def relay(state: State, channel: Channel, startup: Startup) -> None:
    """Pass a client's requests on to the catalog provider and its replies back, until one of them leaves.

    The client authenticates through the connection, so the provider enforces what it may do. This server's
    policies are around the requests, and rules that the client sends are run here. While the provider cannot
    be reached, every request is answered with the error that was met.
    """
    config = state.config
    us = Startup(
        startup.proxy_user,
        startup.proxy_zone,
        startup.client_user,
        startup.client_zone,
        f"{PEER_OPTION};{NEGOTIATE}",
    )
    here = Session(state, channel, startup)
    try:
        here.provider = handshake.connect(
            config,
            config.provider_hosts[0],
            config.port,
            us,
            purpose=handshake.CLIENT,
            settings=_settings(state, channel, startup),
        )
    except IrodsError as error:
        state.log.write("error", "agent", f"catalog provider {config.provider_hosts[0]}: {error}")
        while channel.read().type == "RODS_API_REQ":
            channel.write(failure(error))
        return
    authenticated = False
    try:
        while True:
            try:
                message = channel.read()
            except Disconnected:
                return
            if message.type == "RODS_DISCONNECT":
                return
            if message.int_info == EXEC_MY_RULE and authenticated:
                # Every server runs its clients' rules itself, or on the server that they name.
                channel.write(here.answer_rule(message))
                continue
            if api_processes.is_local(message) and authenticated:
                channel.write(api_processes.answer(state).message())
                continue
            if (
                message.int_info == AUTHENTICATION_API
                and handshake.json_body(message).get("scheme") == pam.SCHEME
            ):
                # The provider sees our own connection, which has TLS.
                try:
                    pam.demand_tls(channel)
                except IrodsError as error:
                    channel.write(failure(error))
                    continue
            reply = _with_policy(here, message) if authenticated else here.hand_on(message)
            if message.int_info == AUTHENTICATION_API:
                step = handshake.json_body(message).get("next_operation")
                authenticated = step == "auth_agent_auth_response" and reply.int_info >= 0
            state.log.call(message.int_info, "", startup.client_user, reply.int_info)
            channel.write(reply)
    finally:
        here.close()


def _with_policy(here: Session, message: Message) -> Message:
    """Have a request answered, with this server's rules around it."""
    try:
        return here.policy.call(message.int_info, message, here.hand_on)
    except IrodsError as error:
        return failure(error)


def _settings(state: State, channel: Channel, startup: Startup) -> dict[str, Any]:
    """Return what this server's rules say about what the provider does for its clients."""
    asking = Session(state, channel, startup)
    try:
        return {
            "default_resource": state.rules.default_resource(asking.policy.scope()),
            "enforces_quotas": state.rules.enforces_quotas(asking.policy.scope()),
        }
    finally:
        asking.close()
