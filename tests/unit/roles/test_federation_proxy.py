"""The pure parts of the role federation_proxy: which feeds are believed, who somebody is, what is found."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring

sys.path.insert(0, str(Path(__file__).parents[3] / "roles/federation_proxy/files"))

from bic_federation import envelope, identity, metrics, search
from bic_federation.config import ConfigError, load
from bic_federation.envelope import RefusedError

from sandbox.federation.feed import Entity, aggregate

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
MAX = timedelta(days=30)
ENTITY = Entity(
    "https://idp.example/idp", "https://idp.example/sso", "uni.example", {"en": "A university"}, "MIIB"
)


def document(days: float = 9) -> str:
    return aggregate([ENTITY], "https://feed.example", NOW + timedelta(days=days), "_feed")


def judged(tmp_path: Path, text: str) -> envelope.Envelope:
    path = tmp_path / "feed.xml"
    path.write_text(text)
    return envelope.read(path, NOW, MAX)


def test_a_whole_and_valid_feed_is_accepted(tmp_path: Path) -> None:
    found = judged(tmp_path, document())
    assert found.root == "urn:oasis:names:tc:SAML:2.0:metadata:EntitiesDescriptor"
    assert found.valid_until == NOW + timedelta(days=9)


def without_signature(text: str) -> str:
    return re.sub(r"<ds:Signature>.*?</ds:Signature>", "", text, flags=re.DOTALL)


def signature_inside(text: str) -> str:
    """A signed entity in an aggregate that is not signed: the classic wrapping."""
    signature = re.search(r"<ds:Signature>.*?</ds:Signature>", text, flags=re.DOTALL)
    assert signature is not None
    return without_signature(text).replace("<md:Extensions>", signature[0] + "<md:Extensions>", 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without_signature, "not signed"),
        (signature_inside, "not signed as a whole"),
        (lambda text: text.replace('URI="#_feed"', 'URI="#_other"'), "covers something else"),
        (lambda text: text.replace("entityID=", 'ID="_feed" entityID='), "occurs twice"),
        (lambda text: text.replace('ID="_feed"', ""), "ID is missing"),
        (lambda text: text.replace("rsa-sha256", "rsa-sha1"), "algorithm"),
        (lambda text: text.replace("rsa-sha256", "hmac-sha256"), "algorithm"),
        (lambda text: text.replace("xmlenc#sha256", "xmldsig#sha1"), "algorithm"),
        (
            lambda text: text.replace("xmldsig#enveloped-signature", "xslt"),
            "transforms the document",
        ),
        (lambda text: re.sub(r'validUntil="[^"]*"', "", text), "no validUntil"),
        (lambda text: re.sub(r'validUntil="[^"]*"', 'validUntil="soon"', text), "no time"),
        (lambda _: document(-1), "expired on 2026-11-25"),
        (lambda _: document(31), "more than 30 days"),
        (lambda text: text[:-30], "well-formed"),
        (lambda text: '<!DOCTYPE x [<!ENTITY a "b">]>' + text, "well-formed XML without entities"),
        (lambda _: "<html/>", "no SAML metadata"),
    ],
)
def test_a_feed_that_cannot_be_believed_is_refused(
    tmp_path: Path, change: Callable[[str], str], reason: str
) -> None:
    with pytest.raises(RefusedError, match=reason):
        judged(tmp_path, change(document()))


def test_a_person_is_known_by_the_first_identifier_that_there_is() -> None:
    said = {"eppn": ["Anna@Uni.example"], "subject_id": ["77@uni.example"], "mail": ["a@uni.example", "b@x"]}
    person = identity.person(said, ["subject_id", "eppn"])
    assert person.identifier == "77@uni.example"
    assert person.attributes["eppn"] == ["anna@uni.example"]
    assert person.attributes["mail"] == ["a@uni.example"]
    assert identity.person(said, ["eppn"]).identifier == "anna@uni.example"


def test_a_name_is_made_of_its_parts() -> None:
    said = {"eppn": ["a@uni.example"], "givenname": ["Zoé"], "surname": ["O'Brien\n<script>"]}
    assert identity.person(said, ["eppn"]).attributes["displayname"] == ["Zoé O'Brien <script>"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, "did not tell us"),
        ({"eppn": []}, "did not tell us"),
        ({"eppn": ["  "]}, "did not tell us"),
        ({"pairwise_id": ["a@uni.example"]}, "did not tell us"),
        ({"eppn": ["a@uni.example", "b@uni.example"]}, "2 different values"),
        ({"eppn": ["a"]}, "not like name@domain"),
        ({"eppn": ["a@b@uni.example"]}, "not like name@domain"),
        ({"eppn": ["a b@uni.example"]}, "not like name@domain"),
        ({"eppn": ["a" * 200 + "@uni.example"]}, "not like name@domain"),
    ],
)
def test_nobody_in_particular_is_refused(said: dict[str, list[str]], reason: str) -> None:
    with pytest.raises(identity.UnknownPersonError, match=reason):
        identity.person(said, ["eppn"])


def entity(text: str) -> Any:
    return fromstring(text).find(f"{envelope.METADATA}EntityDescriptor")


def test_the_index_has_what_people_type() -> None:
    assert search.entry(entity(document())) == {
        "id": "https://idp.example/idp",
        "names": {"en": "A university"},
        "words": "uni.example",
    }


def test_an_institution_that_hides_itself_is_not_in_the_index() -> None:
    hidden = Entity(
        "https://idp.example/idp",
        "https://idp.example/sso",
        "uni.example",
        {},
        "MIIB",
        categories=("http://refeds.org/category/hide-from-discovery",),
    )
    assert search.entry(entity(aggregate([hidden], "f", NOW, "_f"))) is None


def test_an_institution_without_a_name_is_found_by_its_entity_id() -> None:
    nameless = Entity("https://idp.example/idp", "https://idp.example/sso", "uni.example", {}, "MIIB")
    found = search.entry(entity(aggregate([nameless], "f", NOW, "_f")))
    assert found is not None
    assert found["names"] == {"en": "https://idp.example/idp"}


def test_metrics_are_written_as_prometheus_reads_them(tmp_path: Path) -> None:
    text = metrics.family("bic_x", "What it is.", [({"feed": 'a"b'}, 1764158400.0), ({}, 0.0)])
    assert text == '# HELP bic_x What it is.\n# TYPE bic_x gauge\nbic_x{feed="a\\"b"} 1764158400\nbic_x 0\n'
    assert metrics.family("bic_x", "What it is.", []) == ""
    metrics.write(tmp_path / "x.prom", [text])
    assert [path.name for path in tmp_path.iterdir()] == ["x.prom"]


def test_settings_that_miss_a_key_name_it(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"feeds": [{"name": "national"}]}))
    with pytest.raises(ConfigError, match="'url' is missing"):
        load(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match=re.escape(str(path))):
        load(path)
