"""Times as the API writes them: UTC with microseconds, so that their texts sort like the times."""

import re
from datetime import UTC, datetime, timedelta

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_UNITS = {"microseconds", "milliseconds", "seconds", "minutes", "hours", "days", "weeks"}


def text(moment: datetime) -> str:
    """Return a moment as the API writes it."""
    return moment.astimezone(UTC).strftime(_FORMAT)


def now() -> str:
    """Return the present moment as the API writes it."""
    return text(datetime.now(UTC))


def later(duration: timedelta) -> str:
    """Return the moment that comes after a duration from now."""
    return text(datetime.now(UTC) + duration)


def parse(value: str) -> datetime:
    """Read a time of ISO 8601; without a zone it is UTC.

    Raises:
        ValueError: it is no time.
    """
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def duration(value: str) -> timedelta:
    """Read a duration of the form `hours=1;minutes=30`.

    Raises:
        ValueError: it is no duration.
    """
    parts: dict[str, float] = {}
    for part in filter(None, re.split("[;,]", value)):
        unit, equals, number = part.partition("=")
        if not equals or unit.strip().lower() not in _UNITS:
            raise ValueError(value)
        parts[unit.strip().lower()] = float(number)
    if not parts:
        raise ValueError(value)
    return timedelta(**parts)
