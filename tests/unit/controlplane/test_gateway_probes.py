"""What health says of a gateway."""

from collections.abc import Callable
from pathlib import Path

import pytest
from https_pages import answering

from controlplane.health.port import CheckFailedError
from controlplane.systems.gateway import probes


@pytest.mark.parametrize(
    ("check", "path", "status", "good"),
    [
        (probes._reaches_its_zone, "/-/ready", 200, True),
        (probes._reaches_its_zone, "/-/ready", 503, False),
        (probes._asks_who_it_is, "/", 401, True),
        (probes._asks_who_it_is, "/", 404, True),
        (probes._asks_who_it_is, "/", 200, False),
        (probes._asks_who_it_is, "/", 502, False),
    ],
)
def test_a_gateway_is_well_when_it_reaches_its_zone_and_lets_nobody_in(
    tmp_path: Path, check: Callable[[str, Path], str], path: str, status: int, good: bool
) -> None:
    with answering(tmp_path, {path: status}) as (base, ca_file):
        if good:
            assert check(base, ca_file)
            return
        with pytest.raises(CheckFailedError, match=f"answers {status}"):
            check(base, ca_file)
