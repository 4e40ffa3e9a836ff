"""Every query of the dashboards and rules, and the metrics that it asks for."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from monitoring.dashboards.files import texts

RULES = Path(__file__).parents[2] / "monitoring" / "rules"


def rules() -> Iterator[dict[str, Any]]:
    for file in sorted(RULES.glob("*.yml")):
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]:
            yield from group["rules"]


def panels(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in document["panels"]:
        yield panel
        yield from panel.get("panels", [])


DASHBOARDS = {name: json.loads(text) for name, text in texts().items()}
QUERIES = {
    **{f"{rule.get('alert') or rule['record']}": str(rule["expr"]) for rule in rules()},
    **{
        f"{name} {panel['title']} {target['refId']}": target["expr"]
        for name, document in DASHBOARDS.items()
        for panel in panels(document)
        for target in panel.get("targets", [])
    },
}

WORDS = {
    *("abs", "and", "avg", "bool", "by", "clamp_min", "count", "delta", "ignoring", "increase"),
    *("label_replace", "max", "min", "on", "or", "predict_linear", "rate", "sum", "time", "topk", "unless"),
    *("vector", "without"),
}
"""What PromQL itself means by a word."""


def asked(expr: str) -> set[str]:
    """The metrics that a query asks for."""
    bare = re.sub(r'"[^"]*"', '""', expr)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)) - WORDS
