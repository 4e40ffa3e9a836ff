"""What health says of a federation proxy."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from https_pages import answering

from controlplane.health.net import fetch
from controlplane.health.port import CheckFailedError
from controlplane.systems.federation import probes

IDP = "https://idp.example/idp"
ENTITY = "/entities/%7Bsha1%7D" + hashlib.sha1(IDP.encode()).hexdigest()  # noqa: S324
LIST = "/discovery/institutions.json"
INSTITUTIONS = json.dumps([{"id": IDP, "names": {"en": "A university"}, "words": ""}])


def valid_for(**span: float) -> str:
    until = datetime.now(UTC) + timedelta(**span)
    return f'<md:EntityDescriptor entityID="x" validUntil="{until:%Y-%m-%dT%H:%M:%SZ}"/>'


def provider(issuer: str, authorization: str) -> str:
    return json.dumps({"issuer": issuer, "authorization_endpoint": authorization})


WELL_KNOWN = "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("check", "pages", "found"),
    [
        (
            probes._offers_logins,
            {WELL_KNOWN: provider("https://f.example", "https://f.example/saml/oidc/authorization")},
            "https://f.example offers logins",
        ),
        (
            probes._knows_institutions,
            {LIST: INSTITUTIONS, ENTITY: valid_for(days=9, hours=1)},
            "1 institutions, valid for 9 days",
        ),
        (
            probes._publishes_itself,
            {"/metadata/sp.xml": valid_for(days=13, hours=1)},
            "our own metadata are valid for 13 days",
        ),
    ],
)
def test_what_is_well_is_said_in_a_few_words(
    tmp_path: Path, check: Callable[[str, probes.Fetch], str], pages: dict[str, str], found: str
) -> None:
    with answering(tmp_path, pages) as (base, ca_file):
        assert check(base, partial(fetch, ca_file=ca_file)) == found


@pytest.mark.parametrize(
    ("check", "pages", "reason"),
    [
        (probes._offers_logins, {}, "answers 404"),
        (probes._offers_logins, {WELL_KNOWN: "<html>"}, "does not answer in JSON"),
        (probes._offers_logins, {WELL_KNOWN: "{}"}, "does not answer as an OpenID Connect provider"),
        (
            probes._offers_logins,
            {WELL_KNOWN: provider("https://f.example", "https://evil.example/")},
            "not below its issuer",
        ),
        (probes._knows_institutions, {LIST: "[]"}, "knows no institution"),
        (probes._knows_institutions, {LIST: "[1]"}, "is not the proxy's list"),
        (probes._knows_institutions, {LIST: INSTITUTIONS}, "answers 404"),
        (probes._knows_institutions, {LIST: INSTITUTIONS, ENTITY: "<x/>"}, "does not say until when"),
        (
            probes._knows_institutions,
            {LIST: INSTITUTIONS, ENTITY: valid_for(hours=20.2)},
            "expire in 20 hours: no newer feed",
        ),
        (probes._publishes_itself, {"/metadata/sp.xml": valid_for(hours=-1)}, "not signed anew"),
    ],
)
def test_what_is_not_well_is_named(
    tmp_path: Path, check: Callable[[str, probes.Fetch], str], pages: dict[str, str], reason: str
) -> None:
    with answering(tmp_path, pages) as (base, ca_file), pytest.raises(CheckFailedError, match=reason):
        check(base, partial(fetch, ca_file=ca_file))
