"""The rule language of iRODS: its grammar, its syntax tree, reading and writing."""

from controlplane.rules.language.parse import RuleSyntaxError, client_variables, parse, parse_client_rule

__all__ = ["RuleSyntaxError", "client_variables", "parse", "parse_client_rule"]
