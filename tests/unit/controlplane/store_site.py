"""What opening a store needs of a platform."""

import sys
from dataclasses import dataclass
from pathlib import Path

from controlplane.model.secrets import Secret


@dataclass(frozen=True)
class Site:
    """The part of a platform that the store knows."""

    state_dir: Path
    store: Secret | None = None
    name: str = "test"

    def python(self, code: str) -> list[str]:
        """The command line of a process that runs `code`, which has `open_store` and this as `site`."""
        secret = f"Secret.from_environment({self.store.where!r})" if self.store else "None"
        before = (
            "from pathlib import Path; from store_site import Site\n"
            "from controlplane.model.secrets import Secret; from controlplane.store import open_store\n"
            f"site = Site(Path({str(self.state_dir)!r}), {secret})\n"
        )
        root = Path(__file__).parents[3]
        paths = f"import sys; sys.path[:0] = [{str(root)!r}, {str(Path(__file__).parent)!r}]\n"
        return [sys.executable, "-c", paths + before + code]
