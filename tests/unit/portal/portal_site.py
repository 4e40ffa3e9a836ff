"""The portal as a browser meets it."""

import ssl
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[2] / "harness"))

from oidc_provider import Provider


@dataclass
class Site:
    """What a browser sees."""

    portal: str
    """The portal's address."""
    provider: Provider
    authority: Path

    def browser(self) -> httpx.Client:
        """A browser without cookies, which trusts the test's authority."""
        trust = ssl.create_default_context(cafile=self.authority)
        return httpx.Client(verify=trust, base_url=self.portal, follow_redirects=True)
