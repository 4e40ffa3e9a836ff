"""The command `authentik-ldap`: serve LDAP until told to end."""

import logging
import os
import sys
from typing import Any

from ldaptor.protocols.ldap.ldapserver import BaseLDAPServer
from prometheus_client.twisted import MetricsResource
from twisted.internet import interfaces, protocol, reactor, task, threads
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from .outpost import Outpost
from .protocol import Connection
from .server_api import Server, ServerError
from .settings import SettingError, Settings, read

LOG = logging.getLogger("authentik.outpost.ldap")
REFRESH_SECONDS = 5.0
# Each bind waits for the server in a thread of its own.
THREADS = 32


class Factory(protocol.ServerFactory):
    """Makes a connection for each client."""

    noisy = False

    def __init__(self, outpost: Outpost) -> None:
        self._outpost = outpost

    def buildProtocol(self, addr: interfaces.IAddress | None) -> BaseLDAPServer:
        """Return the protocol of a new client."""
        connection = Connection(self._outpost)
        connection.factory = self
        return connection


@implementer(interfaces.IOpenSSLContextFactory)
class CurrentCertificate:
    """TLS with the certificate that the outpost has at the moment, so a new one needs no restart."""

    def __init__(self, outpost: Outpost) -> None:
        self._outpost = outpost

    def getContext(self) -> Any:  # noqa: ANN401 - Twisted's and OpenSSL's
        """Return the context of the next connection."""
        return self._outpost.tls.getContext()


class Ping(Resource):
    """204 when there is a provider, else 503."""

    isLeaf = True

    def __init__(self, outpost: Outpost) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._outpost = outpost

    def render_GET(self, request: Any) -> bytes:  # noqa: ANN401 - Twisted's
        """Answer a health check."""
        request.setResponseCode(204 if self._outpost.is_ready else 503)
        return b""


def serve(settings: Settings) -> None:
    """Listen, and run until a signal ends the process."""
    outpost = Outpost(Server(settings.url, settings.token, insecure=settings.insecure))
    loop: Any = reactor
    loop.suggestThreadPoolSize(THREADS)
    factory = Factory(outpost)
    loop.listenTCP(settings.ldap.port, factory, interface=settings.ldap.host)
    loop.listenSSL(settings.ldaps.port, factory, CurrentCertificate(outpost), interface=settings.ldaps.host)
    site: Any = Resource()  # type: ignore[no-untyped-call]
    metrics: Any = MetricsResource
    site.putChild(b"metrics", metrics(outpost.metrics.registry))
    prefix: Any = Resource()  # type: ignore[no-untyped-call]
    site.putChild(b"outpost.goauthentik.io", prefix)
    prefix.putChild(b"ping", Ping(outpost))
    listener: Any = Site
    loop.listenTCP(settings.metrics.port, listener(site), interface=settings.metrics.host)
    refresh = task.LoopingCall(threads.deferToThread, _refresh, outpost)
    refresh.start(REFRESH_SECONDS)
    loop.addSystemEventTrigger("after", "shutdown", outpost.server.close)
    LOG.info("LDAP on %s:%d, LDAPS on %s:%d", *_pair(settings.ldap), *_pair(settings.ldaps))
    loop.run()


def _pair(address: Any) -> tuple[str, int]:  # noqa: ANN401
    return address.host, address.port


def _refresh(outpost: Outpost) -> None:
    try:
        outpost.refresh()
    except (ServerError, ValueError, KeyError) as problem:
        # What was read before stays in force; the next round tries again.
        LOG.warning("providers cannot be read: %s: %s", type(problem).__name__, problem)


def main() -> None:
    """Run the outpost as the environment says."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    # Its lines would name every request's address with all parameters.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = read(os.environ)
    except SettingError as problem:
        print(f"authentik-ldap: {problem}", file=sys.stderr)
        raise SystemExit(2) from None
    serve(settings)


if __name__ == "__main__":
    main()
