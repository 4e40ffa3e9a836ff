"""The forecast of a playbook run."""

from hypothesis import given
from hypothesis import strategies as st

from controlplane.ansible.callback.bic_progress import SPEED_LIMITS, Forecast, clock

RECORDS = st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0.1, 60)), min_size=1, max_size=30)


def test_without_an_earlier_run_there_is_no_forecast() -> None:
    assert Forecast([]).at("a", 3) is None


def test_a_run_at_the_earlier_speed_has_the_earlier_runs_rest_left() -> None:
    forecast = Forecast([("a", 20.0), ("b", 30.0), ("c", 50.0)])
    assert forecast.at("a", 0) == (0, 100)
    assert forecast.at("b", 20) == (0.2, 80)
    assert forecast.at("c", 50) == (0.5, 50)


def test_a_slower_run_has_more_left() -> None:
    forecast = Forecast([("a", 20.0), ("b", 30.0)])
    assert forecast.at("b", 40) == (0.4, 60)


def test_an_unknown_task_stands_where_the_run_was() -> None:
    forecast = Forecast([("a", 20.0), ("b", 30.0)])
    known = forecast.at("b", 20)
    assert forecast.at("new", 20) == known


@given(RECORDS, st.lists(st.sampled_from("abcdefgh"), max_size=40), st.floats(0, 1e5))
def test_shares_only_grow_and_times_are_never_negative(
    record: list[tuple[str, float]], tasks: list[str], elapsed: float
) -> None:
    forecast = Forecast(record)
    total = sum(seconds for _, seconds in record)
    last = 0.0
    for task in tasks:
        at = forecast.at(task, elapsed)
        assert at is not None
        share, left = at
        assert last <= share <= 1
        assert 0 <= left <= total * SPEED_LIMITS[1]
        last = share


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0, 59.6, 61, 3600)] == ["0:00", "1:00", "1:01", "60:00"]
