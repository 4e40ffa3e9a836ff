"""The commands of the federation proxy's timers.

`update` fetches the feeds and makes their metadata current, `check` asks whether logins are possible. Each
leaves a file of metrics in the state folder.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from . import report, tree
from .config import ConfigError, Settings, load
from .feeds import FeedStore
from .metrics import family, write

_CHECK_SECONDS = 20


def update(settings: Settings) -> int:
    """Fetch and publish; returns 1 when there is nothing to publish."""
    now = datetime.now(UTC)
    store = FeedStore(settings.state / "feeds", settings.ca_file, timedelta(days=settings.max_validity_days))
    store.forget_all_but(settings.feeds)
    outcomes = [store.refresh(feed, now) for feed in settings.feeds]
    for outcome in outcomes:
        valid = (
            f"valid until {outcome.copy.valid_until:%Y-%m-%d %H:%M} UTC" if outcome.copy else "no valid copy"
        )
        reason = f": {outcome.reason}" if outcome.reason else ""
        print(f"feed {outcome.feed.name} {outcome.state}{reason}; in use: {valid}", flush=True)
    copies = [outcome.copy for outcome in outcomes if outcome.copy is not None]
    failure = ""
    count = 0
    try:
        count = tree.build(settings.state, copies, settings.blocked, now)
        print(f"{count} identity providers", flush=True)
    except tree.BuildError as error:
        failure = str(error)
    accepted_at = {feed.name: store.accepted_at(feed) for feed in settings.feeds}
    families = report.families(outcomes, accepted_at, count, settings.service_certificates, now.timestamp())
    write(settings.state / "federation_metadata.prom", families)
    if failure:
        raise SystemExit(failure)
    return 0 if copies else 1


def check(settings: Settings) -> int:
    """Ask whether logins are possible; it is the metric that says no."""
    try:
        answer = requests.get(settings.check_url, timeout=_CHECK_SECONDS, verify=settings.check_ca_file)
        up = answer.status_code == requests.codes.ok and "authorization_endpoint" in answer.json()
    except (requests.RequestException, OSError, ValueError) as error:
        print(f"{settings.check_url}: {error}", file=sys.stderr, flush=True)
        up = False
    description = "Whether the proxy's OpenID Connect side answers."
    write(
        settings.state / "federation_proxy.prom", [family("bic_federation_proxy_up", description, [({}, up)])]
    )
    return 0


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="bic_federation", description=__doc__)
    parser.add_argument("command", choices=["update", "check"])
    parser.add_argument("settings", type=Path, help="the JSON file of the settings")
    arguments = parser.parse_args()
    try:
        settings = load(arguments.settings)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    return {"update": update, "check": check}[arguments.command](settings)


if __name__ == "__main__":
    sys.exit(main())
