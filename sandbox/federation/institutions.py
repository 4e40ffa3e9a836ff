"""Three made-up institutions abroad and at home, with people and what is said about them."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.federation.keys import KeyPair, key_pair, write


@dataclass(frozen=True)
class Person:
    """Somebody who logs in at their institution by `login`; `email` is in the institution's domain."""

    login: str
    given_name: str
    surname: str
    affiliation: str = "staff"


@dataclass(frozen=True)
class Institution:
    """An identity provider: `slug` is its place on the server, `scope` the domain it may vouch for."""

    slug: str
    scope: str
    names: dict[str, str]
    """Display names, by language."""
    keywords: str
    federation: str
    """Name of the national federation in which it is registered."""
    people: tuple[Person, ...]
    sends_subject_id: bool = True
    """Older identity providers send eduPersonPrincipalName alone."""

    def entity_id(self, base_url: str) -> str:
        """Its name in metadata."""
        return f"{base_url}/{self.slug}/idp"

    def login_url(self, base_url: str) -> str:
        """Where service providers send people."""
        return f"{base_url}/{self.slug}/sso"

    def attributes(self, person: Person) -> dict[str, list[str]]:
        """What it says about a person, by the names of pysaml2's attribute maps."""
        said = {
            "eduPersonPrincipalName": [f"{person.login}@{self.scope}"],
            "mail": [f"{person.login}@{self.scope}"],
            "displayName": [f"{person.given_name} {person.surname}"],
            "givenName": [person.given_name],
            "sn": [person.surname],
            "schacHomeOrganization": [self.scope],
            "eduPersonScopedAffiliation": [f"{person.affiliation}@{self.scope}"],
            "eduPersonEntitlement": ["urn:mace:dir:entitlement:common-lib-terms"],
            "eduPersonAssurance": [
                "https://refeds.org/assurance",
                "https://refeds.org/assurance/IAP/medium",
                "https://refeds.org/assurance/ID/eppn-unique-no-reassign",
            ],
        }
        if self.sends_subject_id:
            said["subject-id"] = [f"{person.login}@{self.scope}"]
        return said


INSTITUTIONS = (
    Institution(
        slug="confluent",
        scope="confluent.example",
        names={"fr": "Université du Confluent", "en": "University of the Confluence"},
        keywords="confluent lyon",
        federation="national",
        people=(
            Person("cadoret", "Claire", "Cadoret"),
            Person("zfaure", "Zoé", "Faure-Müller", "student"),
        ),
    ),
    Institution(
        slug="beispielstadt",
        scope="beispielstadt.example",
        names={"de": "Universität Beispielstadt", "en": "University of Beispielstadt"},
        keywords="unibs beispielstadt",
        federation="abroad",
        people=(
            Person("jweiss", "Jürgen", "Weiß"),
            Person("aokafor", "Adaeze", "Okafor", "student"),
        ),
    ),
    Institution(
        slug="northbridge",
        scope="northbridge.example",
        names={"en": "Northbridge Institute of Technology"},
        keywords="nit",
        federation="abroad",
        people=(
            Person("tobrien", "Tomás", "O'Brien"),
            Person("tobrien7", "Tara", "O'Brien"),
        ),
        sends_subject_id=False,
    ),
)


def institution(slug: str) -> Institution:
    """Return the institution at `slug`; raises `KeyError` when there is none."""
    return {known.slug: known for known in INSTITUTIONS}[slug]


class Directory:
    """What the institutions keep for themselves: their signing keys and their people's passwords."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.passwords_file = folder / "passwords.json"

    def keys(self, slug: str) -> KeyPair:
        """The signing key of an institution."""
        return key_pair(self._folder / "keys", f"idp-{slug}")

    def passwords(self) -> dict[str, str]:
        """All passwords, by `LOGIN@SCOPE`; those that do not exist yet are made."""
        known: dict[str, str] = {}
        if self.passwords_file.exists():
            known = json.loads(self.passwords_file.read_text())
        people = [f"{person.login}@{place.scope}" for place in INSTITUTIONS for person in place.people]
        missing = [name for name in people if name not in known]
        if missing:
            known.update({name: secrets.token_urlsafe(12) for name in missing})
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write(self.passwords_file, (json.dumps(known, indent=2) + "\n").encode(), 0o600)
        return known

    def person(self, slug: str, login: str, password: str) -> Person | None:
        """The person who may log in so, or None."""
        place = institution(slug)
        stored = self.passwords().get(f"{login}@{place.scope}", "")
        if not secrets.compare_digest(stored.encode(), password.encode()) or not stored:
            return None
        return next((person for person in place.people if person.login == login), None)


def server_config(place: Institution, base_url: str, keys: KeyPair, metadata: list[str]) -> dict[str, Any]:
    """pysaml2's configuration of an institution that knows the service providers in the files `metadata`."""
    return {
        "entityid": place.entity_id(base_url),
        "name": place.names["en"],
        "description": place.names["en"],
        "key_file": str(keys.key),
        "cert_file": str(keys.certificate),
        "xmlsec_binary": "/usr/bin/xmlsec1",
        "metadata": {"local": metadata},
        "service": {
            "idp": {
                "endpoints": {
                    "single_sign_on_service": [
                        (place.login_url(base_url), "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect")
                    ]
                },
                "name_id_format": ["urn:oasis:names:tc:SAML:2.0:nameid-format:transient"],
                "want_authn_requests_signed": True,
                "sign_assertion": True,
                "sign_response": True,
                "signing_algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
                "policy": {
                    "default": {
                        "lifetime": {"minutes": 5},
                        "attribute_restrictions": None,
                        "name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri",
                    }
                },
            }
        },
    }
