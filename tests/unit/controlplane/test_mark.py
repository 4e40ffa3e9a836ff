"""The text of a mark."""

from hypothesis import given
from hypothesis import strategies as st

from controlplane.state import format_mark, parse_mark


@given(st.text(st.characters(exclude_characters="/")), st.text())
def test_a_mark_says_platform_and_facility(platform: str, facility: str) -> None:
    assert parse_mark(format_mark(platform, facility)) == (platform, facility)


def test_without_a_facility_it_is_the_platform_alone() -> None:
    assert format_mark("bioimage") == "bioimage"
