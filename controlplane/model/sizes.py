"""Amounts of data as people write them: `20 TiB`, `500 GB`."""

import re
from decimal import Decimal

_POWERS = ("", "K", "M", "G", "T", "P")
_UNITS = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate(_POWERS) if power},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate(_POWERS) if power},
}
SIZE_PATTERN = rf"[0-9]{{1,12}}(\.[0-9]{{1,3}})? ?({'|'.join(_UNITS)})"
"""What `parse_size` understands, as a regular expression without anchors."""

_SIZE = re.compile(r"(?P<number>[0-9.]+) ?(?P<unit>[A-Za-z]+)")
# iRODS keeps quotas as 64-bit integers with a sign.
LARGEST = 2**63 - 1


def parse_size(text: str) -> int:
    """The number of bytes in a text such as `20 TiB` (binary: 1024⁴) or `500 GB` (decimal: 1000³).

    Raises ValueError for anything else, for zero, for parts of a byte and for more than `LARGEST`.
    """
    match = _SIZE.fullmatch(text) if re.fullmatch(SIZE_PATTERN, text) else None
    if match is None:
        raise ValueError(f"{text!r} is not a size")
    size = Decimal(match["number"]) * _UNITS[match["unit"]]
    if size != int(size) or not 0 < size <= LARGEST:
        raise ValueError(f"{text!r} is not a size between 1 byte and 8 EiB")
    return int(size)


def format_size(size: int) -> str:
    """A number of bytes for people, in binary units with at most one decimal: `1.5 TiB`, `20 GiB`."""
    amount, unit = float(size), "B"
    for prefix in _POWERS[1:]:
        if amount < 1024:
            break
        amount, unit = amount / 1024, f"{prefix}iB"
    return f"{amount:.1f}".removesuffix(".0") + f" {unit}"
