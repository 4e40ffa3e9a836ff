"""What all connections of the outpost share: the server, its providers, the certificate, the metrics."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Histogram
from twisted.internet import ssl

from .certificates import context_of, self_signed
from .names import is_within
from .server_api import Provider, Server

LOG = logging.getLogger("authentik.outpost.ldap")


class Metrics:
    """Upstream's metrics of an LDAP outpost."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "authentik_outpost_ldap_request_duration_seconds",
            "LDAP request latencies in seconds",
            ["type", "app"],
            registry=self.registry,
        )
        self._rejected = Counter(
            "authentik_outpost_ldap_requests_rejected",
            "Total number of rejected requests",
            ["type", "reason"],
            registry=self.registry,
        )

    @contextmanager
    def timed(self, kind: str, application: str) -> Iterator[None]:
        """Count a request and how long it takes, however it ends."""
        start = monotonic()
        try:
            yield
        finally:
            self._requests.labels(kind, application).observe(monotonic() - start)

    def rejected(self, kind: str, reason: str) -> None:
        """Count a request that was refused."""
        self._rejected.labels(kind, reason).inc()


class Outpost:
    """The state that connections share."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.metrics = Metrics()
        self._providers: tuple[Provider, ...] = ()
        self._certificate: str | None = None
        self.tls: ssl.CertificateOptions = context_of(*self_signed("authentik"))

    def refresh(self) -> None:
        """Read the providers and their certificate anew; raises `ServerError`.

        One address has one certificate here: that of the first provider that names one. Without any, it is
        self-signed, as upstream.
        """
        providers = tuple(self.server.providers())
        wanted = next((provider.certificate for provider in providers if provider.certificate), None)
        if wanted is not None and wanted != self._certificate:
            self.tls = context_of(*self.server.certificate(wanted))
            self._certificate = wanted
            LOG.info("certificate %s", wanted)
        for provider in providers:
            if provider not in self._providers:
                LOG.info("provider %s with base %s", provider.name, provider.tree.base)
                if provider.cached:
                    LOG.warning(
                        "provider %s: cached mode is not carried out, it works directly", provider.name
                    )
        self._providers = providers

    @property
    def is_ready(self) -> bool:
        """Whether there is a provider."""
        return bool(self._providers)

    def provider_of(self, name: str) -> Provider | None:
        """The provider with the longest base that a name is below; raises `InvalidNameError`."""
        found = [provider for provider in self._providers if is_within(name, provider.tree.base)]
        return max(found, key=lambda provider: len(provider.tree.base), default=None)
