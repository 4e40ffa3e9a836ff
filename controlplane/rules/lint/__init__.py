"""Checks of rule bases before any server reads them."""

from controlplane.rules.lint.finding import CODES, Finding
from controlplane.rules.lint.run import lint_file, lint_rule_bases

__all__ = ["CODES", "Finding", "lint_file", "lint_rule_bases"]
