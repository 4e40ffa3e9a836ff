"""The role authentik beside what the control plane expects of it."""

from pathlib import Path

from ruamel.yaml import YAML

from controlplane.systems.authentik.rights import GRANTED, GRANTED_TO_PORTAL, PORTAL_ACCOUNT
from controlplane.systems.authentik.tokens import SHORTEST
from sandbox.standins.authentik import clock

VARIABLES = YAML(typ="safe").load(Path(__file__).parents[3] / "roles" / "authentik" / "vars" / "main.yml")


def test_the_control_plane_is_granted_what_it_says_and_no_more():
    granted = VARIABLES["authentik_roles"]["bic-control-plane"]
    assert sorted(granted) == sorted(GRANTED)
    assert len(set(granted)) == len(granted)
    assert sorted(VARIABLES["authentik_roles"][PORTAL_ACCOUNT]) == sorted(GRANTED_TO_PORTAL)


def test_a_token_that_the_control_plane_makes_holds_long_enough_for_it():
    assert clock.duration(VARIABLES["authentik_system_settings"]["default_token_duration"]) >= SHORTEST
