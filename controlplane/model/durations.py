"""Lengths of time as people write them: `30s`, `5m`, `12h`, `90d`."""

import re

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION_PATTERN = rf"[1-9][0-9]{{0,5}}({'|'.join(_UNITS)})"
"""What `parse_duration` understands, as a regular expression without anchors."""


def parse_duration(text: str) -> int:
    """The seconds in a text such as `30s`, `5m`, `12h` or `90d`. Raises ValueError for anything else."""
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a length of time")
    return int(text[:-1]) * _UNITS[text[-1]]


def format_duration(seconds: int) -> str:
    """The shortest text that `parse_duration` turns into this number of seconds, which is above zero."""
    unit = next(unit for unit in reversed(_UNITS) if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"
