"""Applies of a whole facility, each killed at another point, and what the next run makes of it."""

import multiprocessing
import os
import random
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import pairwise
from typing import Literal

import pytest
from lane import Outcome, Point, count_calls, open_lane, try_point

POINTS = 104
SEED = os.environ.get("BIC_KILL_SEED", "1")
CUTS: tuple[Literal["before", "after"], ...] = ("before", "after")
LANES = 2


@pytest.fixture(scope="module")
def outcomes() -> Iterator[list[Future[Outcome]]]:
    """What happened at each point; all of them are tried in the background, two at a time."""
    # Not forked from pytest, which has threads.
    with ProcessPoolExecutor(LANES, multiprocessing.get_context("spawn"), open_lane) as lanes:
        calls = lanes.submit(count_calls).result()
        assert calls >= 100, "this apply is too small to be killed at a hundred points"
        yield [lanes.submit(try_point, point) for point in seeded_points(calls)]


def seeded_points(calls: int) -> list[Point]:
    """One point, drawn by the seed, from each of equally long parts of an apply with so many calls."""
    possible = [Point(call, cut) for call in range(1, calls + 1) for cut in CUTS]
    draw = random.Random(SEED)  # noqa: S311 - it shall be the same again
    bounds = [part * len(possible) // POINTS for part in range(POINTS + 1)]
    return [draw.choice(possible[begin:end]) for begin, end in pairwise(bounds)]


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
