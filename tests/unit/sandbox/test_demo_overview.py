"""The demo's last words have the numbers of the national overview."""

import pytest

from sandbox.demo.overview import DASHBOARD, numbers, written


def test_the_numbers_are_those_of_the_dashboard() -> None:
    found = {title: (query, unit) for title, query, unit in numbers(DASHBOARD.read_text(), "sandbox")}
    assert set(found) >= {"Critical alerts", "Warnings", "Data", "People"}
    assert found["Data"][1] == "bytes"
    assert all('environment="sandbox"' in query and "$" not in query for query, _ in found.values())


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0, "short", "0"), (8123, "short", "8,123"), (512, "bytes", "512 B"), (1.5 * 2**40, "bytes", "1.5 TiB")],
)
def test_a_number_is_written_as_people_read_it(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text
