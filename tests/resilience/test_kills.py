"""Applies of a whole facility, each killed at another point, and what the next run makes of it."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor

import pytest
from lane import Outcome, Point, count_calls, open_lane, try_point

POINTS = 104
LANES = 2


@pytest.fixture(scope="module")
def outcomes() -> Iterator[list[Future[Outcome]]]:
    """What happened at each point; all of them are tried in the background, two at a time."""
    # Not forked from pytest, which has threads.
    with ProcessPoolExecutor(LANES, multiprocessing.get_context("spawn"), open_lane) as lanes:
        calls = lanes.submit(count_calls).result()
        assert calls >= 100, "this apply is too small to be killed at a hundred points"
        points = [
            Point(1 + index * (calls - 1) // (POINTS - 1), "after" if index % 2 else "before")
            for index in range(POINTS)
        ]
        assert len(set(points)) == POINTS
        yield [lanes.submit(try_point, point) for point in points]


@pytest.mark.parametrize("index", range(POINTS))
def test_the_next_run_finishes_what_was_killed_and_does_nothing_twice(
    outcomes: list[Future[Outcome]], index: int
) -> None:
    outcome = outcomes[index].result()
    assert outcome.killed.code == -9, outcome.killed.output
    assert outcome.again.code == 0, outcome.again.output
    assert outcome.repeated == []
    assert outcome.plan.code == 0, outcome.plan.output
    document = outcome.plan.document
    assert (document["changes"], document["conflicts"], document["errors"]) == ([], [], [])
    assert outcome.claims == 0
