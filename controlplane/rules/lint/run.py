"""All checks together: of single files, and of rule bases with the chains of the servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from controlplane.rules.language import RuleSyntaxError, ast, client_variables, parse, parse_client_rule
from controlplane.rules.lint import python
from controlplane.rules.lint.chain import check_chain
from controlplane.rules.lint.finding import Finding
from controlplane.rules.lint.names import (
    Defined,
    calls,
    check_calls,
    check_jobs,
    check_our_names,
    constructors_in,
    defined_in,
)
from controlplane.rules.lint.parameters import Declared, check_parameters
from controlplane.rules.lint.points import check_manifest_points, check_points, check_session_variables
from controlplane.rules.lint.python import PythonSource
from controlplane.rules.lint.source import Outputs, Source, outputs_of
from controlplane.rules.lint.suppress import suppressed
from controlplane.rules.lint.variables import check_reached, check_variables
from controlplane.rules.manifest import RuleBase

LANGUAGE = "irods_rule_language"
CLIENT_SUFFIX = ".r"


def lint_file(file: str, text: str) -> list[Finding]:
    """What is wrong in one rule file, by itself; what ends with `.r` is a client's rule."""
    if file.endswith(python.SUFFIX):
        module = python.read(file, text)
        if isinstance(module, Finding):
            return [module]
        return _ordered(suppressed(file, text, python.check(module, {})))
    source = _read(file, text)
    if isinstance(source, Finding):
        return [source]
    sources = [source]
    findings = [
        *_of_file(source, defined_in(sources), constructors_in(sources), outputs_of(sources)),
        *(finding for finding in check_chain(sources, file) if finding.code == "R401"),
    ]
    return _ordered(suppressed(file, text, findings))


def lint_rule_bases(
    rule_bases: Mapping[str, RuleBase], chains: Mapping[str, Sequence[RuleBase]], shown: Mapping[str, str]
) -> list[Finding]:
    """What is wrong in rule bases, each by itself and all together.

    `chains` is what servers run, by their names; `shown` the paths of files as people are shown them.
    """
    findings: list[Finding] = []
    sources: dict[str, Source] = {}
    modules: dict[str, PythonSource] = {}
    for name, rule_base in rule_bases.items():
        if rule_base.engine != LANGUAGE:
            module = python.read(shown[name], rule_base.text)
            if isinstance(module, Finding):
                findings.append(module)
            else:
                modules[name] = module
            continue
        read = _read(shown[name], rule_base.text)
        if isinstance(read, Finding):
            findings.append(read)
        else:
            sources[name] = read
    everything = sources.values()
    defined, constructors, outputs = (
        defined_in(everything),
        constructors_in(everything),
        outputs_of(everything),
    )
    declared: Declared = {
        name: {parameter: entry.default for parameter, entry in rule_base.parameters.items()}
        for name, rule_base in rule_bases.items()
    }
    # Where a file cannot be read, what it defines is not known either, and calls of it are no mistakes.
    whole = not findings
    for name, source in sources.items():
        manifest = _manifest_of(shown[name])
        found = [
            *_of_file(source, defined, constructors, outputs),
            *check_our_names(source),
            *check_manifest_points(source, rule_bases[name].policy_enforcement_points, manifest),
            *check_jobs(source, rule_bases[name].jobs, manifest),
            *check_parameters(name, source, declared, manifest),
        ]
        findings += [finding for finding in found if whole or finding.code != "R101"]
    for name, module in modules.items():
        points = rule_bases[name].policy_enforcement_points
        found = [
            *python.check(module, defined),
            *python.check_manifest(name, module, points, declared, _manifest_of(shown[name])),
        ]
        findings += [finding for finding in found if whole or finding.code != "R101"]
    for on, chain in _different(chains):
        present = [sources[rule_base.name] for rule_base in chain if rule_base.name in sources]
        findings += check_chain(present, on)
        if whole:
            findings += _missing(present, defined, on)
            findings += _missing_in_modules(
                [modules[rule_base.name] for rule_base in chain if rule_base.name in modules],
                present,
                defined,
                on,
            )
    linted_files: list[Source | PythonSource] = [*everything, *modules.values()]
    for linted in linted_files:
        findings = suppressed(linted.file, linted.text, findings)
    return _ordered(findings)


def _read(file: str, text: str) -> Source | Finding:
    try:
        tree = parse_client_rule(text) if file.endswith(CLIENT_SUFFIX) else parse(text)
    except RuleSyntaxError as error:
        return Finding(file, error.place, "R001", error.text)
    return Source(file, text, tree, client_variables(text) if file.endswith(CLIENT_SUFFIX) else frozenset())


def _of_file(
    source: Source, defined: Defined, constructors: frozenset[str], outputs: Outputs
) -> Iterator[Finding]:
    yield from check_calls(source, defined, constructors)
    yield from check_points(source)
    yield from check_session_variables(source)
    yield from check_variables(source, outputs)
    yield from check_reached(source)
    for item in source.tree.items:
        if isinstance(item, ast.OldRule):
            text = f"{item.head.name} is in the old syntax with bars: write {item.head.name} {{ … }}"
            yield source.finding(item, "R002", text)


def _missing(chain: Sequence[Source], defined: Defined, on: str) -> Iterator[Finding]:
    present = defined_in(chain)
    for source in chain:
        for call in calls(source):
            if call.name in defined and call.name not in present:
                text = f"{call.name} is in a rule base that does not run on {on}: put it in force there too"
                yield source.finding(call, "R104", text)


def _missing_in_modules(
    modules: Iterable[PythonSource], chain: Sequence[Source], defined: Defined, on: str
) -> Iterator[Finding]:
    present = defined_in(chain)
    for module in modules:
        for call, name in module.calls():
            if name in defined and name not in present:
                text = f"{name} is in a rule base that does not run on {on}: put it in force there too"
                yield module.finding(call, "R104", text)


def _manifest_of(file: str) -> str:
    return f"{file.rpartition('/')[0]}/manifest.yml".lstrip("/")


def _different(chains: Mapping[str, Sequence[RuleBase]]) -> Iterable[tuple[str, Sequence[RuleBase]]]:
    """Each chain once, with the names of all servers that run it."""
    servers: dict[tuple[str, ...], list[str]] = {}
    for server, chain in chains.items():
        servers.setdefault(tuple(rule_base.name for rule_base in chain), []).append(server)
    return [(", ".join(names), chains[names[0]]) for names in servers.values()]


def _ordered(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(
        set(findings), key=lambda finding: (finding.file, finding.place, finding.code, finding.text)
    )
