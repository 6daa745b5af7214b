from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drainer.budget import (
    CAUTIOUS_RATE,
    CAUTIOUS_START,
    SMALL,
    TELLING,
    UNDO_SECONDS,
    Pace,
    doubtful,
    measured,
    too_late,
)
from drainer.manifest import CheckpointState, Entry, State
from drainer.model import ROUTES, RestartPolicy, Route

THEN = datetime(2026, 11, 24, tzinfo=UTC)


def dumped(size: int, seconds: float) -> Entry:
    times = {
        State.DUMPING.value: THEN.isoformat(),
        State.DUMPED.value: (THEN + timedelta(seconds=seconds)).isoformat(),
    }
    return Entry(
        "a", "a", "", State.STOPPED, RestartPolicy(), times=times, size=size,
        checkpoint_state=CheckpointState.COMPLETE,
    )  # fmt: skip


def test_before_anything_was_measured_the_pace_is_cautious() -> None:
    assert measured([]) == Pace(CAUTIOUS_START, CAUTIOUS_RATE)
    assert Pace(3, 10).seconds(50) == 8


def test_large_dumps_tell_the_rate_and_small_ones_what_each_takes() -> None:
    entries = [dumped(TELLING, 3.5), dumped(3 * TELLING, 7.5), dumped(10, 1), dumped(10, 2)]
    assert measured(entries) == Pace(1.5, 4 * TELLING / 8, known=True)
    assert measured(entries[:2]) == Pace(CAUTIOUS_START, 4 * TELLING / 11, known=True)
    assert measured(entries[2:]) == Pace(1.5, CAUTIOUS_RATE)


def test_what_a_dump_takes_whatever_its_size_says_nothing_about_the_disk() -> None:
    assert measured([dumped(45 << 20, 2.5)] * 10) == Pace()
    assert measured([dumped(SMALL, 2.5), dumped(TELLING - 1, 2.5)]) == Pace()


def test_slow_small_dumps_make_the_disk_at_most_twice_as_fast_as_it_was_seen_to_be() -> None:
    assert measured([dumped(10, 9), dumped(TELLING, 2)]) == Pace(9, TELLING, known=True)


@pytest.mark.parametrize(
    "entry",
    [
        dumped(TELLING, 0),
        dumped(TELLING, -3600),
        replace(dumped(TELLING, 5), checkpoint_state=CheckpointState.NONE),
        replace(dumped(TELLING, 5), times={}),
    ],
)
def test_what_was_not_completed_and_clocks_that_were_set_tell_nothing(entry: Entry) -> None:
    assert measured([entry]) == Pace()


def test_what_does_not_fit_into_the_rest_is_not_begun() -> None:
    for route in ROUTES:
        pace = Pace(2, 10, known=True)
        assert too_late(100, pace, None, route) == ""
        assert too_late(100, pace, 12 + UNDO_SECONDS, route) == ""
        assert too_late(100, pace, 11.9 + UNDO_SECONDS, route) == (
            "it does not fit into the budget: about 12 s needed, 12 s left"
        )
        assert too_late(100, pace, 3, route) == (
            "it does not fit into the budget: about 12 s needed, 0 s left"
        )


def test_a_guess_refuses_only_a_dump_that_could_not_be_ended() -> None:
    assert too_late(32 << 30, Pace(), 540, Route.RUNTIME) == ""
    assert too_late(32 << 30, Pace(), 540, Route.ENGINE) != ""


def test_what_is_not_surely_in_time_is_doubtful() -> None:
    assert doubtful(32 << 30, 540)
    assert not doubtful(8 << 30, 540)
    assert not doubtful(32 << 30, None)
