"""A small inventory that tests change."""

import shutil
from pathlib import Path

import pytest
from inventory_editing import Edit

SANDBOX = Path(__file__).parents[3] / "inventories" / "sandbox"


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sandbox's platform and facilities."""
    monkeypatch.delenv("BIC_STATE_DIR", raising=False)
    folder = tmp_path / "inventory"
    folder.mkdir()
    shutil.copy(SANDBOX / "platform.yml", folder)
    shutil.copytree(SANDBOX / "facilities", folder / "facilities")
    return folder


@pytest.fixture
def edit(inventory: Path) -> Edit:
    """Changes one text of one file."""

    def replace(file: str, old: str, new: str) -> None:
        path = inventory / file
        text = path.read_text("utf-8")
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new, 1), "utf-8")

    return replace
