"""`bic rules lint`: mistakes in rule bases, before any server reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.cli.context import Context
from controlplane.errors import EXIT_BAD_INPUT, BadInputError

if TYPE_CHECKING:
    from controlplane.model import Platform
    from controlplane.rules.lint import Finding
    from controlplane.rules.manifest import RuleBase

app = typer.Typer()


@app.command()
def lint(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Rule files to check by themselves.", metavar="PATH")
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", help="The rule bases' folder; by default rules/ beside the inventories."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Take warnings for errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.")] = False,
) -> None:
    """Find mistakes in rule bases, before a server does.

    Each is read by itself and in the chain of every server; paths name single files instead.
    Exit code 2 when there are errors.
    """
    from controlplane.rules.lint import lint_file

    cli: Context = context.obj
    findings: list[Finding] = []
    texts: dict[str, str] = {}
    if paths:
        if rules:
            raise BadInputError("name files, or a folder of rule bases with --rules, and not both")
        for path in paths:
            texts[str(path)] = _text(path)
            findings += lint_file(str(path), texts[str(path)])
    else:
        findings, texts = _rule_bases(cli.load(), rules or cli.inventory.parent.parent / "rules")
    if as_json:
        import json

        typer.echo(json.dumps([_document(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        from controlplane.cli.output import console
        from controlplane.cli.rules_lint_text import show_findings

        show_findings(console(), findings, texts, len(texts))
    if any(strict or finding.severity == "error" for finding in findings):
        raise typer.Exit(EXIT_BAD_INPUT)


def _rule_bases(platform: Platform, folder: Path) -> tuple[list[Finding], dict[str, str]]:
    from controlplane.rules.lint import lint_rule_bases
    from controlplane.rules.manifest import effective, load_rule_bases

    rule_bases = load_rule_bases(folder)
    chains: dict[str, Sequence[RuleBase]] = {}
    for zone in platform.zones.values():
        chains |= effective(platform, rule_bases, zone)
    shown = {name: str(rule_base.file) for name, rule_base in rule_bases.items()}
    findings = lint_rule_bases(rule_bases, chains, shown)
    return findings, {shown[name]: rule_base.text for name, rule_base in rule_bases.items()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: is not UTF-8 from byte {error.start + 1} on") from error


def _document(finding: Finding) -> Mapping[str, str | int]:
    return {
        "file": finding.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "severity": finding.severity,
        "code": finding.code,
        "text": finding.text,
    }
