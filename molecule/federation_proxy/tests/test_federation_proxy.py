"""The role federation_proxy: people log in by their institutions; forged metadata and forged logins fail."""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import pytest
from conftest import reachable
from journey import NAME, REDIRECT_URI, Journey, returned
from testinfra.host import Host

from controlplane.at_address import AtAddress
from controlplane.model import load_platform
from sandbox.federation import control
from sandbox.federation.idp import IdentityProvider, LoginRequest
from sandbox.federation.institutions import Directory, Person, institution
from sandbox.federation.keys import key_pair
from sandbox.fleet.spec import FleetSpec, fleet_of

testinfra_hosts = ["ansible://mol-federation"]

ABROAD = institution("beispielstadt")
JUERGEN = ABROAD.people[0]
MANY = 6000
#: Seconds that one step may take at most when this machine does much else; what is promised is 1.
GENEROUS = 15


@pytest.fixture(scope="module")
def fleet() -> FleetSpec:
    return fleet_of(load_platform(Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "molecule/nation"))


@pytest.fixture(scope="module")
def world(fleet: FleetSpec) -> control.World:
    return control.World(fleet)


@pytest.fixture(autouse=True)
def registered(host: Host, fleet: FleetSpec) -> None:
    """The institutions know the service, as federations see to it."""
    control.register(fleet, host.file("/var/lib/satosa-metadata/backend.xml").content)


@pytest.fixture
def secret(state_dir: Path) -> str:
    return (state_dir / "secrets/federation_client_secret").read_text().strip()


@pytest.fixture
def journey(address: str, tls: ssl.SSLContext) -> Iterator[Journey]:
    with httpx.Client(transport=AtAddress({NAME: address}, tls), timeout=120) as browser:
        yield Journey(browser)


@pytest.fixture
def second(address: str, tls: ssl.SSLContext) -> Iterator[Journey]:
    with httpx.Client(transport=AtAddress({NAME: address}, tls), timeout=120) as browser:
        yield Journey(browser)


def password_of(world: control.World, name: str) -> str:
    return world.directory.passwords()[name]


def claims(token: str) -> dict[str, object]:
    """What a token says; that it is signed by the proxy's key is for the login server to check."""
    body = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))


def update(host: Host) -> str:
    """Look at the feeds now; returns what the metrics say."""
    host.run("systemctl start bic-federation-update.service")
    return host.file("/var/lib/prometheus/node-exporter/federation_metadata.prom").content_string


def value(metrics: str, sample: str) -> float:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", metrics, re.MULTILINE)
    assert found is not None, f"{sample} is not in\n{metrics}"
    return float(found[1])


def refused(answer: httpx.Response, error: str = "access_denied") -> str:
    """That nobody was logged in, and why."""
    assert answer.status_code == 303, answer.text
    query = returned(answer)
    assert query.get("error") == error, query
    return query["error_description"]


class Forger:
    """Somebody who answers a login request in an institution's name."""

    def __init__(
        self, world: control.World, directory: Directory | None = None, services: Path | None = None
    ) -> None:
        services = services or world.folder / "services"
        self.provider = IdentityProvider(ABROAD, world.base_url, directory or world.directory, services)

    def asked(self, location: str) -> tuple[LoginRequest, str]:
        query = dict(parse_qsl(urlsplit(location).query))
        return self.provider.read(query), query["RelayState"]


def test_somebody_from_abroad_logs_in(journey: Journey, world: control.World, secret: str) -> None:
    fields = journey.log_in("Beispielstadt", "jweiss", password_of(world, "jweiss@beispielstadt.example"))
    code = journey.code(journey.answer(fields))
    answer = journey.tokens(code, secret)
    assert answer.status_code == 200, answer.text
    identity = claims(answer.json()["id_token"])
    assert identity["iss"] == f"https://{NAME}"
    assert identity["sub"] == "jweiss@beispielstadt.example"
    assert identity["nonce"] == journey.nonce
    assert identity["aud"] == ["authentik"]
    person = journey.person(answer.json()["access_token"])
    assert person == {
        "sub": "jweiss@beispielstadt.example",
        "subject_id": "jweiss@beispielstadt.example",
        "eduperson_principal_name": "jweiss@beispielstadt.example",
        "email": "jweiss@beispielstadt.example",
        "name": "Jürgen Weiß",
        "given_name": "Jürgen",
        "family_name": "Weiß",
        "home_organization": "beispielstadt.example",
        "entitlements": ["urn:mace:dir:entitlement:common-lib-terms"],
        "assurance": [
            "https://refeds.org/assurance",
            "https://refeds.org/assurance/IAP/medium",
            "https://refeds.org/assurance/ID/eppn-unique-no-reassign",
        ],
    }


def test_an_older_institution_names_people_by_eppn(
    journey: Journey, world: control.World, secret: str
) -> None:
    fields = journey.log_in("Northbridge", "tobrien7", password_of(world, "tobrien7@northbridge.example"))
    answer = journey.tokens(journey.code(journey.answer(fields)), secret).json()
    person = journey.person(answer["access_token"])
    assert person["sub"] == "tobrien7@northbridge.example"
    assert person["name"] == "Tara O'Brien"
    assert "subject_id" not in person


def test_a_wrong_password_is_not_let_in_by_the_institution(journey: Journey) -> None:
    with pytest.raises(AssertionError, match="do not belong together"):
        journey.log_in("Beispielstadt", "jweiss", "wrong")


def test_an_unsigned_answer_is_refused(journey: Journey, world: control.World) -> None:
    forger = Forger(world)
    request, relay = forger.asked(journey.discover("Beispielstadt"))
    response = forger.provider.answer(request, JUERGEN, signed=False)
    assert "SAMLResponse" not in refused(journey.answer({"SAMLResponse": response, "RelayState": relay}))


def test_an_answer_signed_by_a_stranger_is_refused(
    journey: Journey, world: control.World, tmp_path: Path
) -> None:
    forger = Forger(world, Directory(tmp_path))
    request, relay = forger.asked(journey.discover("Beispielstadt"))
    refused(journey.answer({"SAMLResponse": forger.provider.answer(request, JUERGEN), "RelayState": relay}))


def test_an_answer_to_another_address_is_refused(journey: Journey, world: control.World) -> None:
    forger = Forger(world)
    request, relay = forger.asked(journey.discover("Beispielstadt"))
    response = forger.provider.answer(replace(request, answer_url="https://other.example/acs"), JUERGEN)
    assert "another service" in refused(journey.answer({"SAMLResponse": response, "RelayState": relay}))


def test_an_answer_for_another_audience_is_refused(
    journey: Journey, world: control.World, tmp_path: Path
) -> None:
    ours = (world.folder / "services/platform.xml").read_text()
    other = f"https://{NAME}/another"
    (tmp_path / "other.xml").write_text(
        ours.replace(f'entityID="https://{NAME}/saml/metadata"', f'entityID="{other}"')
    )
    request, relay = Forger(world).asked(journey.discover("Beispielstadt"))
    elsewhere = Forger(world, services=tmp_path).provider
    response = elsewhere.answer(replace(request, service=other), JUERGEN)
    refused(journey.answer({"SAMLResponse": response, "RelayState": relay}))


def test_an_answer_is_good_for_one_login(journey: Journey, second: Journey, world: control.World) -> None:
    forger = Forger(world)
    request, relay = forger.asked(journey.discover("Beispielstadt"))
    response = forger.provider.answer(request, JUERGEN)
    _, other_relay = forger.asked(second.discover("Beispielstadt"))
    journey.code(journey.answer({"SAMLResponse": response, "RelayState": relay}))
    refused(second.answer({"SAMLResponse": response, "RelayState": other_relay}))


def test_an_institution_cannot_speak_for_another_domain(
    journey: Journey, world: control.World, secret: str
) -> None:
    forger = Forger(world)
    request, relay = forger.asked(journey.discover("Beispielstadt"))
    said = ABROAD.attributes(JUERGEN)
    said["eduPersonPrincipalName"] = ["cadoret@confluent.example"]
    said["schacHomeOrganization"] = ["confluent.example"]
    response = forger.provider.answer(request, JUERGEN, attributes=said)
    code = journey.code(journey.answer({"SAMLResponse": response, "RelayState": relay}))
    person = journey.person(journey.tokens(code, secret).json()["access_token"])
    assert person["sub"] == "jweiss@beispielstadt.example"
    assert "eduperson_principal_name" not in person
    assert "home_organization" not in person


def test_nobody_is_somebody_of_another_domain(journey: Journey, world: control.World) -> None:
    forger = Forger(world)
    request, relay = forger.asked(journey.discover("Beispielstadt"))
    said = ABROAD.attributes(Person("cadoret", "Claire", "Cadoret"))
    said |= {name: ["cadoret@confluent.example"] for name in ("subject-id", "eduPersonPrincipalName")}
    response = forger.provider.answer(request, JUERGEN, attributes=said)
    reason = refused(journey.answer({"SAMLResponse": response, "RelayState": relay}))
    assert "did not tell us who you are" in reason


def test_the_login_server_must_prove_itself(
    journey: Journey, second: Journey, world: control.World, secret: str
) -> None:
    forger = Forger(world)

    def code_of(login: Journey) -> str:
        request, relay = forger.asked(login.discover("Beispielstadt"))
        response = forger.provider.answer(request, JUERGEN)
        return login.code(login.answer({"SAMLResponse": response, "RelayState": relay}))

    code = code_of(journey)
    assert journey.tokens(code, "x" * 40).status_code == 401
    assert journey.tokens(code, secret, code_verifier="x" * 64).status_code == 400
    assert journey.tokens(code, secret, redirect_uri=f"{REDIRECT_URI}more").status_code == 400
    code = code_of(second)
    assert second.tokens(code, secret).status_code == 200
    assert second.tokens(code, secret).status_code == 400


def test_requests_of_the_login_server_are_exact(journey: Journey) -> None:
    assert journey.authorize(redirect_uri=f"{REDIRECT_URI}more").status_code == 400
    assert journey.authorize(client_id="somebody").status_code == 400
    for changes in ({"code_challenge": "", "code_challenge_method": ""}, {"code_challenge_method": "plain"}):
        assert "PKCE" in refused(journey.authorize(**changes), "invalid_request")


def test_the_discovery_page_sends_people_nowhere_else(journey: Journey) -> None:
    page = journey.browser.get(f"https://{NAME}/discovery/?return=https://evil.example/&entityID=x")
    assert "evil.example" not in page.text
    assert f'data-return="https://{NAME}/saml/disco"' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_metadata_queries_find_institutions_by_hash_and_by_name(
    journey: Journey, world: control.World
) -> None:
    name = ABROAD.entity_id(world.base_url)
    by_name = journey.browser.get(f"https://{NAME}/entities/{quote(name, safe='')}")
    assert by_name.headers["content-type"] == "application/samlmetadata+xml"
    assert f'entityID="{name}"' in by_name.text
    assert (
        journey.browser.get(f"https://{NAME}/entities/{quote('https://no.example/', safe='')}").status_code
        == 404
    )
    assert journey.browser.get(f"https://{NAME}/entities/%7Bsha1%7D{'0' * 40}").status_code == 404


def test_our_metadata_is_signed_and_says_what_federations_ask(host: Host, journey: Journey) -> None:
    text = journey.browser.get(f"https://{NAME}/metadata/sp.xml").text
    for expected in (
        "http://refeds.org/category/research-and-scholarship",
        "http://refeds.org/metadata/contactType/security",
        "https://www.mol.example/privacy",
        f"https://{NAME}/saml/acs/post",
    ):
        assert expected in text
    host.check_output(
        "xmlsec1 --verify --enabled-key-data raw-x509-cert --pubkey-cert-pem /etc/satosa/keys/sp-first.crt"
        " --id-attr:ID urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor"
        " /var/lib/satosa-metadata/backend.xml"
    )


def test_secrets_are_for_their_services_alone(host: Host, secret: str) -> None:
    assert host.file("/etc/satosa/state.env").mode == 0o600
    assert host.file("/etc/satosa/state.env").user == "root"
    for name in ("keys/sp-first.key", "keys/oidc.key", "clients.json"):
        kept = host.file(f"/etc/satosa/{name}")
        assert (kept.user, kept.mode) == ("satosa", 0o600)
    logs = host.check_output("journalctl --no-pager -u satosa -u nginx -u bic-federation-update")
    assert secret not in logs
    assert "Weiß" not in logs


@pytest.mark.parametrize(
    "unit", ["satosa", "bic-federation-update", "bic-federation-check", "satosa-metadata"]
)
def test_the_services_are_confined(host: Host, unit: str) -> None:
    exposure = host.run("systemd-analyze security --no-pager %s.service", unit).stdout.splitlines()[-1]
    assert float(re.search(r"(\d+\.\d)", exposure)[1]) < 2.5  # type: ignore[index]


def test_only_https_is_open(address: str, host: Host) -> None:
    assert reachable(address, 443)
    assert not reachable(address, 80)
    assert host.service("satosa").is_running


def test_metrics_say_that_logins_are_possible(host: Host) -> None:
    host.check_output("systemctl start bic-federation-check.service")
    metrics = host.file("/var/lib/prometheus/node-exporter/federation_proxy.prom").content_string
    assert value(metrics, "bic_federation_proxy_up") == 1
    host.check_output("systemctl stop satosa.socket satosa.service")
    try:
        host.check_output("systemctl start bic-federation-check.service")
        metrics = host.file("/var/lib/prometheus/node-exporter/federation_proxy.prom").content_string
        assert value(metrics, "bic_federation_proxy_up") == 0
    finally:
        host.check_output("systemctl start satosa.socket satosa.service")


def test_a_forged_and_an_expired_feed_are_refused_and_the_last_good_copy_stays(
    host: Host, fleet: FleetSpec, journey: Journey, tmp_path: Path
) -> None:
    try:
        good = update(host)
        assert value(good, 'bic_federation_feed_state{feed="edugain",state="accepted"}') == 1
        control.publish(fleet, "edugain", more=3, keys=key_pair(tmp_path, "stranger"))
        forged = update(host)
        assert value(forged, 'bic_federation_feed_state{feed="edugain",state="refused"}') == 1
        assert "its signature is not by its certificate" in host.check_output(
            "journalctl --no-pager -n 5 -u bic-federation-update"
        )
        control.publish(fleet, "edugain", more=3, valid=timedelta(days=-1))
        expired = update(host)
        assert value(expired, 'bic_federation_feed_state{feed="edugain",state="refused"}') == 1
        for metrics in (forged, expired):
            for sample in (
                'bic_federation_feed_valid_until_timestamp_seconds{feed="edugain"}',
                'bic_federation_feed_in_use{feed="edugain"}',
                "bic_federation_identity_providers",
            ):
                assert value(metrics, sample) == value(good, sample)
        assert journey.login_page("Beispielstadt").status_code == 200
    finally:
        control.publish(fleet, "edugain")
        update(host)


def test_a_copy_serves_until_it_expires_and_no_longer(
    host: Host, fleet: FleetSpec, world: control.World, journey: Journey
) -> None:
    name = quote(ABROAD.entity_id(world.base_url), safe="")
    try:
        control.publish(fleet, "edugain", valid=timedelta(minutes=2))
        metrics = update(host)
        assert value(metrics, 'bic_federation_feed_state{feed="edugain",state="accepted"}') == 1
        expires = value(metrics, 'bic_federation_feed_valid_until_timestamp_seconds{feed="edugain"}')
        assert journey.browser.get(f"https://{NAME}/entities/{name}").status_code == 200
        time.sleep(max(0, expires + 2 - datetime.now(UTC).timestamp()))
        assert value(update(host), 'bic_federation_feed_in_use{feed="edugain"}') == 0
        assert journey.browser.get(f"https://{NAME}/entities/{name}").status_code == 404
    finally:
        control.publish(fleet, "edugain")
        assert value(update(host), 'bic_federation_feed_in_use{feed="edugain"}') == 1


def test_thousands_of_institutions_are_answered_quickly(
    host: Host, fleet: FleetSpec, world: control.World, journey: Journey, secret: str
) -> None:
    try:
        control.publish(fleet, "edugain", more=MANY)
        metrics = update(host)
        assert value(metrics, "bic_federation_identity_providers") == MANY + 3
        host.check_output("systemctl restart satosa.service")
        password = password_of(world, "jweiss@beispielstadt.example")
        fields = journey.log_in("Beispielstadt", "jweiss", password)
        tokens = journey.tokens(journey.code(journey.answer(fields)), secret).json()
        assert journey.person(tokens["access_token"])["sub"] == "jweiss@beispielstadt.example"
        # pytest shows it with -rP, and the log of the scenario keeps it.
        print(
            f"a login among {MANY + 3} institutions:", *(f"{k} {v:.2f} s" for k, v in journey.seconds.items())
        )
        assert max(journey.seconds.values()) < GENEROUS
    finally:
        control.publish(fleet, "edugain")
        update(host)
