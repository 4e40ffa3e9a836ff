"""Metrics in Prometheus's text format, for node_exporter's textfile collector."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

Sample = tuple[Mapping[str, str], float]


def family(name: str, description: str, samples: Sequence[Sample]) -> str:
    """One gauge with its samples, as text; nothing without samples."""
    if not samples:
        return ""
    lines = [f"# HELP {name} {description}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        written = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{written}}} {value:.15g}" if written else f"{name} {value:.15g}")
    return "\n".join(lines) + "\n"


def write(path: Path, families: Sequence[str]) -> None:
    """Replace the file, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text("".join(families))
    temporary.chmod(0o644)
    temporary.replace(path)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
