# bic: this file is irods-rule-bases', which writes it anew; the rule bases are modules beside it.
"""What the rule engine for Python asks: the rule bases that server_config.json names for it, in their order.

The engine (irods_rule_engine_plugin-python) knows this module alone, which every agent imports when it first
asks for a rule. The text is always the same, so that one file, server_config.json, says what is in force.

Of the rule bases that define a policy enforcement point, the first one that ends with a code decides: what it
refuses is refused. All others end without one, and then the rule language is asked: without
RULE_ENGINE_CONTINUE the servers would not come to its rules any more.
"""

import importlib
import json
import pathlib

_ENGINE = "irods_rule_engine_plugin-python"
#: Of irods_state_table.h of iRODS 5.0.2.
_RULE_ENGINE_CONTINUE = 5000000


def _rule_bases():
    """The modules in force, in order."""
    path = pathlib.Path(__file__).with_name("server_config.json")
    config = json.loads(path.read_text(encoding="utf-8"))
    return [
        importlib.import_module(name)
        for engine in config["plugin_configuration"]["rule_engines"]
        if engine["plugin_name"] == _ENGINE
        for name in engine["plugin_specific_configuration"].get("bic_rule_bases", [])
    ]


def _is_point(name):
    """Whether servers call a function by its name."""
    return name.startswith("pep_") or (name.startswith("ac") and name[2:3].isupper())


def _chain(functions):
    """One function for all those of a policy enforcement point."""

    def ask(rule_args, callback, rei):
        for function in functions:
            code = function(rule_args, callback, rei)
            if code is not None and code not in (0, _RULE_ENGINE_CONTINUE):
                return code
        return _RULE_ENGINE_CONTINUE

    return ask


def _points(modules):
    """The functions by policy enforcement point, those of all modules together."""
    found = {}
    for module in modules:
        for name, value in vars(module).items():
            if _is_point(name) and callable(value):
                found.setdefault(name, []).append(value)
    return {name: _chain(functions) for name, functions in found.items()}


globals().update(_points(_rule_bases()))
