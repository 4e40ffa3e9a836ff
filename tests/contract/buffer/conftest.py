"""A buffer server whose program is the role's, entered by a program that stands for ssh."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from buffer_site import Site, buffer_site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A facility and its buffer server, on which nobody is yet."""
    with buffer_site(tmp_path, monkeypatch) as made:
        yield made
