"""Public names that lead to addresses of the inventory."""

from pathlib import Path

import httpx
import pytest
from https_pages import answering

from controlplane.health.net import fetch
from controlplane.health.port import CheckFailedError


def test_a_name_that_no_dns_knows_is_reached_and_its_certificate_is_for_it(tmp_path: Path) -> None:
    with answering(tmp_path, {"/page": "found"}) as (base, ca_file):
        at = httpx.URL(base)
        certified = at.copy_with(host="localhost", path="/page")
        assert fetch(str(certified), ca_file, {"localhost": at.host}).text == "found"
        stranger = at.copy_with(host="nobody.example", path="/page")
        with pytest.raises(CheckFailedError, match=r"(?i)mismatch|not valid for"):
            fetch(str(stranger), ca_file, {"nobody.example": at.host})
        with pytest.raises(CheckFailedError):
            fetch(str(stranger), ca_file)
