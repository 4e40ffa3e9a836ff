"""The dashboards as the JSON that Grafana loads."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitoring.dashboards.pages import DASHBOARDS

FOLDER = Path(__file__).parent


def texts() -> dict[str, str]:
    """All dashboards by their files' names."""
    made = [builder.build() for builder in DASHBOARDS]
    return {
        f"{each.uid}.json": json.dumps(each, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        + "\n"
        for each in made
    }
