"""Signed feeds of federation metadata, as national federations and eduGAIN publish them, of any size."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from sandbox.federation.institutions import Institution
from sandbox.federation.keys import KeyPair, write
from sandbox.fleet.spec import SandboxError

_METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
_REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
_VALID = timedelta(days=9)

_CITIES = ("Aldermoor", "Brunnthal", "Castelvero", "Drogheda", "Espelund", "Figueira", "Gravelle", "Hradec")
_KINDS = ("University", "Polytechnic", "Institute of Biology", "Academy", "Research Centre", "Hospital")


@dataclass(frozen=True)
class Entity:
    """An identity provider as a feed describes it."""

    entity_id: str
    login_url: str
    scope: str
    names: dict[str, str]
    certificate: str
    """Base64 of its signing certificate."""
    keywords: str = ""
    registration_authority: str = "https://registry.abroad.example"
    categories: tuple[str, ...] = field(default=())
    """Values of the entity attribute `http://macedir.org/entity-category`."""


def entity_of(place: Institution, base_url: str, keys: KeyPair) -> Entity:
    """An institution of the sandbox, as its federation registered it."""
    return Entity(
        entity_id=place.entity_id(base_url),
        login_url=place.login_url(base_url),
        scope=place.scope,
        names=place.names,
        certificate=keys.body,
        keywords=place.keywords,
        registration_authority=f"https://registry.{place.federation}.example",
    )


def generated(count: int, certificate: str) -> Iterator[Entity]:
    """`count` institutions that nobody can log in at; always the same ones for a count."""
    for number in range(count):
        city = f"{_CITIES[number % len(_CITIES)]} {number}"
        kind = _KINDS[number // len(_CITIES) % len(_KINDS)]
        domain = f"inst{number}.example"
        yield Entity(
            entity_id=f"https://idp.{domain}/idp/shibboleth",
            login_url=f"https://idp.{domain}/idp/profile/SAML2/Redirect/SSO",
            scope=domain,
            names={"en": f"{kind} of {city}"},
            certificate=certificate,
        )


def aggregate(entities: Iterable[Entity], name: str, valid_until: datetime, identifier: str) -> str:
    """The unsigned feed, with an empty signature that xmlsec fills in."""
    opening = (
        f'<md:EntitiesDescriptor xmlns:md="{_METADATA}" xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
        ' xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute"'
        ' xmlns:mdrpi="urn:oasis:names:tc:SAML:metadata:rpi"'
        ' xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui"'
        ' xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
        ' xmlns:shibmd="urn:mace:shibboleth:metadata:1.0"'
        f' ID="{identifier}" Name={quoteattr(name)}'
        f' validUntil="{valid_until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" cacheDuration="PT1H">'
    )
    body = "\n".join(_describe(entity) for entity in entities)
    return f"{opening}\n{_signature(identifier)}\n{body}\n</md:EntitiesDescriptor>\n"


def sign(document: str, keys: KeyPair) -> bytes:
    """The document with its signature filled in by `xmlsec1`.

    Raises `SandboxError` when it cannot be signed.
    """
    with tempfile.TemporaryDirectory() as folder:
        unsigned, signed = Path(folder) / "unsigned.xml", Path(folder) / "signed.xml"
        unsigned.write_text(document)
        command = ["xmlsec1", "--sign", "--privkey-pem", f"{keys.key},{keys.certificate}"]
        command += ["--id-attr:ID", f"{_METADATA}:EntitiesDescriptor", "--output", str(signed), str(unsigned)]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise SandboxError("xmlsec1 is missing: install the Debian package xmlsec1") from error
        if ended.returncode:
            raise SandboxError(f"xmlsec1 cannot sign the feed: {ended.stderr.strip()[-500:]}")
        return signed.read_bytes()


def publish(
    path: Path, entities: Iterable[Entity], keys: KeyPair, *, name: str, valid: timedelta = _VALID
) -> None:
    """Write a signed feed; a negative `valid` makes one that has expired.

    Raises `SandboxError` when it cannot be signed.
    """
    now = datetime.now(UTC)
    document = aggregate(entities, name, now + valid, f"_{now:%Y%m%dT%H%M%S%f}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, sign(document, keys), 0o644)


def _signature(identifier: str) -> str:
    w3 = "http://www.w3.org"
    return (
        "<ds:Signature><ds:SignedInfo>"
        f'<ds:CanonicalizationMethod Algorithm="{w3}/2001/10/xml-exc-c14n#"/>'
        f'<ds:SignatureMethod Algorithm="{w3}/2001/04/xmldsig-more#rsa-sha256"/>'
        f'<ds:Reference URI="#{identifier}"><ds:Transforms>'
        f'<ds:Transform Algorithm="{w3}/2000/09/xmldsig#enveloped-signature"/>'
        f'<ds:Transform Algorithm="{w3}/2001/10/xml-exc-c14n#"/></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{w3}/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference>'
        "</ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data/></ds:KeyInfo></ds:Signature>"
    )


def _describe(entity: Entity) -> str:
    names = "".join(
        f'<mdui:DisplayName xml:lang="{language}">{escape(name)}</mdui:DisplayName>'
        for language, name in entity.names.items()
    )
    keywords = (
        f'<mdui:Keywords xml:lang="en">{escape(entity.keywords)}</mdui:Keywords>' if entity.keywords else ""
    )
    values = "".join(
        f"<saml:AttributeValue>{escape(value)}</saml:AttributeValue>" for value in entity.categories
    )
    attributes = (
        '<mdattr:EntityAttributes><saml:Attribute Name="http://macedir.org/entity-category"'
        ' NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">'
        f"{values}</saml:Attribute></mdattr:EntityAttributes>"
        if values
        else ""
    )
    return (
        f"<md:EntityDescriptor entityID={quoteattr(entity.entity_id)}><md:Extensions>"
        f"<mdrpi:RegistrationInfo registrationAuthority={quoteattr(entity.registration_authority)}/>"
        f"{attributes}</md:Extensions>"
        f'<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        f'<md:Extensions><shibmd:Scope regexp="false">{escape(entity.scope)}</shibmd:Scope>'
        f"<mdui:UIInfo>{names}{keywords}</mdui:UIInfo></md:Extensions>"
        '<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data>'
        f"<ds:X509Certificate>{entity.certificate}</ds:X509Certificate>"
        "</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        f'<md:SingleSignOnService Binding="{_REDIRECT}" Location={quoteattr(entity.login_url)}/>'
        "</md:IDPSSODescriptor></md:EntityDescriptor>"
    )
