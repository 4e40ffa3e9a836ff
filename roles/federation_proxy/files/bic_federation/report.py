"""What the update found, as metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificate

from .feeds import Outcome
from .metrics import Sample, family

_STATES = ("accepted", "refused", "unreachable")


def not_after(certificate: Path) -> float:
    """When a certificate in PEM expires, in seconds since the epoch."""
    return load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc.timestamp()


def families(
    outcomes: Sequence[Outcome],
    accepted_at: Mapping[str, float | None],
    identity_providers: int,
    service_certificates: Mapping[str, Path],
    now: float,
) -> list[str]:
    """All metrics of one update; `accepted_at` has the time of each feed's copy by the feed's name."""
    copies = [(outcome.feed.name, outcome.copy) for outcome in outcomes if outcome.copy is not None]
    states: list[Sample] = [
        ({"feed": outcome.feed.name, "state": state}, float(state == outcome.state))
        for outcome in outcomes
        for state in _STATES
    ]
    certificates: list[Sample] = [
        ({"feed": outcome.feed.name, "certificate": str(number)}, not_after(path))
        for outcome in outcomes
        for number, path in enumerate(outcome.feed.certificates, 1)
    ]
    return [
        family("bic_federation_feed_state", "Whether the last download of a feed ended so.", states),
        family(
            "bic_federation_feed_in_use",
            "Whether there is a valid copy of a feed.",
            [({"feed": outcome.feed.name}, float(outcome.copy is not None)) for outcome in outcomes],
        ),
        family(
            "bic_federation_feed_valid_until_timestamp_seconds",
            "When the copy of a feed that is in use expires.",
            [({"feed": name}, copy.valid_until.timestamp()) for name, copy in copies],
        ),
        family(
            "bic_federation_feed_accepted_timestamp_seconds",
            "When the copy of a feed that is in use was accepted.",
            [({"feed": name}, at) for name, at in accepted_at.items() if at is not None],
        ),
        family(
            "bic_federation_feed_signed_by_certificate",
            "Which of the feed's pinned certificates, counted from 1, signed the copy that is in use.",
            [({"feed": name}, float(copy.signed_by)) for name, copy in copies],
        ),
        family(
            "bic_federation_feed_certificate_not_after_timestamp_seconds",
            "When a pinned certificate of a feed expires.",
            certificates,
        ),
        family(
            "bic_federation_service_certificate_not_after_timestamp_seconds",
            "When a certificate of our own service provider expires.",
            [({"key": name}, not_after(path)) for name, path in service_certificates.items()],
        ),
        family(
            "bic_federation_identity_providers",
            "Identity providers at which people can log in.",
            [({}, float(identity_providers))],
        ),
        family("bic_federation_update_timestamp_seconds", "When the feeds were last looked at.", [({}, now)]),
    ]
