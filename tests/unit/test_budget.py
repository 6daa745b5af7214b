from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drainer.budget import (
    CAUTIOUS_RATE,
    CAUTIOUS_START,
    TELLING,
    UNDO_SECONDS,
    Pace,
    measured,
    too_late,
)
from drainer.manifest import CheckpointState, Entry, State
from drainer.model import RestartPolicy

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
    entries = [dumped(TELLING, 2), dumped(3 * TELLING, 6), dumped(10, 1), dumped(10, 2)]
    assert measured(entries) == Pace(1.5, TELLING / 2)
    assert measured(entries[:2]) == Pace(CAUTIOUS_START, TELLING / 2)
    assert measured(entries[2:]) == Pace(1.5, CAUTIOUS_RATE)


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
    pace = Pace(2, 10)
    assert too_late(100, pace, None) == ""
    assert too_late(100, pace, 12 + UNDO_SECONDS) == ""
    assert too_late(100, pace, 11.9 + UNDO_SECONDS) == (
        "it does not fit into the budget: about 12 s needed, 12 s left"
    )
    assert too_late(100, pace, 3) == "it does not fit into the budget: about 12 s needed, 0 s left"
