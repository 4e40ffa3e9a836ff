"""Can people log in with their institution's account: does the proxy answer, and is its metadata fresh?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx

from controlplane.health.net import certificate_lasts, fetch
from controlplane.health.port import (
    NOBODY,
    Check,
    CheckFailedError,
    FindingError,
    Probe,
    Severity,
    UnseenError,
    machine,
    service,
)
from controlplane.model import Platform
from controlplane.model.platform import service_name
from controlplane.systems.prometheus.query import Watcher, watcher_of

Fetch = Callable[[str], httpx.Response]
"""Gets a page of the proxy. Raises CheckFailedError."""

PORT = 443
VALIDITY_LEFT = timedelta(days=2)
"""Feeds are fetched every hour and valid for some days: with less left, newer ones were not accepted."""

_VALID_UNTIL = re.compile(r'\bvalidUntil="([^"]+)"')


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe per federation proxy, and one of its feeds where there is a Prometheus."""
    for host in platform.hosts_with("federation_proxy"):
        name = service_name("federation_proxy", platform.domain)
        # Its host may serve other names on the same port.
        page = partial(fetch, ca_file=platform.ca_file, addresses=platform.service_addresses)
        base = f"https://{name}"
        checks = (
            Check(
                "login",
                partial(_offers_logins, base, page),
                "Nobody can log in with their institution's account.",
                "FederationProxyDown#look",
            ),
            Check(
                "metadata",
                partial(_knows_institutions, base, page),
                "People of institutions whose metadata expire cannot log in any more.",
                "FederationFeedExpiring#look",
            ),
            Check(
                "own metadata",
                partial(_publishes_itself, base, page),
                "Institutions that read our expired metadata refuse our logins.",
                "FederationMetadataOld#look",
            ),
            Check(
                "certificate",
                partial(certificate_lasts, name, PORT, platform.ca_file, str(host.address)),
                "When it has ended, browsers refuse the page on the way to every institution.",
                "README#certificates",
                Severity.WARNING,
            ),
        )
        yield Probe(
            "Federation",
            host.name,
            checks,
            provides=service("federation_proxy", host.name),
            needs=(machine(host.name),),
        )
        if watcher := watcher_of(platform, host):
            accepted = Check(
                "accepted",
                partial(_accepted, watcher, host.name),
                "The last good copy serves until it expires; what changed since is not known here.",
                "FederationFeedRefused#look",
                Severity.WARNING,
            )
            yield Probe(
                "Federation",
                f"{host.name}, feeds",
                (accepted,),
                needs=(machine(host.name),),
                through=(watcher.provided,),
                serves=NOBODY,
            )


def _accepted(watcher: Watcher, host: str) -> str:
    samples = watcher.samples(f'bic_federation_feed_state{{host="{host}", state="refused"}}')
    if not samples:
        raise UnseenError(f"Prometheus on {watcher.host.name} has measured nothing of feeds there")
    refused = sorted(sample.labels.get("feed", "?") for sample in samples if sample.value)
    if refused:
        raise FindingError(f"refused: {', '.join(refused)}")
    return f"{len(samples)} feeds, none refused"


def _offers_logins(base: str, fetch: Fetch) -> str:
    described = _json(fetch(f"{base}/.well-known/openid-configuration"))
    if not isinstance(described, dict) or not {"issuer", "authorization_endpoint"} <= described.keys():
        raise CheckFailedError(f"{base} does not answer as an OpenID Connect provider does")
    issuer, where = str(described["issuer"]), str(described["authorization_endpoint"])
    if not where.startswith(f"{issuer}/"):
        raise FindingError(f"{base} sends people to {where}, which is not below its issuer {issuer}")
    return f"{issuer} offers logins"


def _knows_institutions(base: str, fetch: Fetch) -> str:
    """An entity's metadata is valid as long as the feed that it came in."""
    entries = _json(fetch(f"{base}/discovery/institutions.json"))
    if not isinstance(entries, list) or not entries:
        raise FindingError(f"{base} knows no institution at which people could log in")
    try:
        # The first and the last are of the first and the last feed.
        chosen = [str(entry["id"]) for entry in (entries[0], entries[-1])]
    except (KeyError, TypeError) as error:
        raise CheckFailedError(f"{base}/discovery/institutions.json is not the proxy's list") from error
    left = min(
        _validity_left(f"{base}/entities/%7Bsha1%7D{hashlib.sha1(name.encode()).hexdigest()}", fetch)  # noqa: S324
        for name in chosen
    )
    if left < VALIDITY_LEFT:
        raise FindingError(
            f"the metadata of institutions expire in {_hours(left)}: no newer feed was accepted"
        )
    return f"{len(entries)} institutions, valid for {left.days} days"


def _publishes_itself(base: str, fetch: Fetch) -> str:
    left = _validity_left(f"{base}/metadata/sp.xml", fetch)
    if left < VALIDITY_LEFT:
        raise FindingError(f"our own metadata expire in {_hours(left)}: they are not signed anew")
    return f"our own metadata are valid for {left.days} days"


def _validity_left(url: str, fetch: Fetch) -> timedelta:
    found = _VALID_UNTIL.search(fetch(url).text)
    try:
        until = datetime.fromisoformat(found[1] if found else "")
    except ValueError as error:
        raise CheckFailedError(f"{url} does not say until when it is valid") from error
    return until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)


def _json(answer: httpx.Response) -> object:
    try:
        return answer.json()
    except ValueError as error:
        raise CheckFailedError(f"{answer.url} does not answer in JSON") from error


def _hours(left: timedelta) -> str:
    return f"{left.total_seconds() / 3600:.0f} hours"
