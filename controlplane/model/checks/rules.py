"""Rule bases that are in force: they exist, and so do their zones, parameters and canaries."""

from collections.abc import Iterator

from controlplane.model.checks.spots import Spot, at, key
from controlplane.model.documents import Document, Documents
from controlplane.model.manifest_file import ManifestFile
from controlplane.model.policy_files import RuleBaseEntry, RulesFile
from controlplane.model.problems import Problem, suggestion
from controlplane.model.rule_values import EXAMPLES, catalogue_text, type_of


def check(documents: Documents) -> Iterator[Problem]:
    """What is wrong with `policies/rules.yml`."""
    document = documents.policies.rules
    if document is None:
        return
    for name, entry in document.data.rule_bases.items():
        if documents.platform and entry.zones:
            for index, zone in enumerate(entry.zones):
                yield from _zone(documents, at(document, "rule_bases", name, "zones", index), zone)
        if documents.manifests is None:
            yield from _values(document, name, entry)
        elif name not in documents.manifests:
            yield key(document, "rule_bases", name).unknown(
                "rule base", name, documents.manifests, noun="known, from the folder rules"
            )
        elif manifest := documents.manifests[name]:
            yield from _parameters(document, name, entry, manifest)
    yield from _canaries(documents, document)


def _zone(documents: Documents, spot: Spot, zone: str) -> Iterator[Problem]:
    known = documents.platform.data.zones if documents.platform else {}
    if zone not in known and not documents.may_hold(zone):
        yield spot.unknown("zone", zone, known)


def _values(document: Document[RulesFile], name: str, entry: RuleBaseEntry) -> Iterator[Problem]:
    """Values that mean nothing, whatever the parameter's type is."""
    for parameter, value in entry.parameters.items():
        try:
            catalogue_text(value)
        except ValueError as error:
            yield at(document, "rule_bases", name, "parameters", parameter).problem(str(error))


def _parameters(
    document: Document[RulesFile], name: str, entry: RuleBaseEntry, manifest: ManifestFile
) -> Iterator[Problem]:
    for parameter, value in entry.parameters.items():
        route = ("rule_bases", name, "parameters", parameter)
        known = manifest.parameters.get(parameter)
        if known is None:
            yield key(document, *route).problem(
                f"the rule base {name!r} has no parameter {parameter!r}; "
                f"{suggestion(parameter, manifest.parameters, noun='it has')}"
            )
        elif type_of(value) != known.type:
            yield at(document, *route).problem(
                f"{value!r} is no value for the parameter {parameter!r} of the rule base {name!r}, which is "
                f"{EXAMPLES[known.type]}"
            )
    yield from _values(document, name, entry)


def _canaries(documents: Documents, document: Document[RulesFile]) -> Iterator[Problem]:
    rollout = document.data.rollout
    if documents.platform is None or rollout is None:
        return
    zones = documents.platform.data.zones
    for name, host in rollout.canary.items():
        yield from _zone(documents, key(document, "rollout", "canary", name), name)
        zone = zones.get(name)
        servers = (zone.catalog_provider, *zone.catalog_consumers) if zone else ()
        if zone and host not in servers and not documents.may_hold(host):
            yield at(document, "rollout", "canary", name).problem(
                f"the host {host!r} runs no server of the zone {name!r}; {suggestion(host, servers)}"
            )
