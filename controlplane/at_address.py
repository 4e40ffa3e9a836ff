"""HTTPS to the platform's own public names, at the addresses of the hosts that have them.

The control plane reaches every host by the address in the inventory. So it does with services that have a
public name: it works before the name is in any DNS, and where the name leads elsewhere from outside.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import httpx


class AtAddress(httpx.HTTPTransport):
    """Sends requests for some names to addresses; the certificate must still be for the name."""

    def __init__(self, addresses: Mapping[str, str], verify: ssl.SSLContext, connections: int = 10) -> None:
        """Reach each name that is a key at its address, and everything else as its name says."""
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        super().__init__(verify=verify, limits=limits, trust_env=False)
        self._addresses = addresses

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer."""
        if address := self._addresses.get(request.url.host):
            # A copy: cookies, redirects and messages belong to the name.
            request = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": request.url.host},
            )
        return super().handle_request(request)
