import threading
import time
from collections.abc import Collection

import pytest

from drainer import schedule
from drainer.schedule import run_in_order


def test_each_comes_after_those_it_waits_for() -> None:
    done: list[str] = []
    run_in_order({"web": ["db"], "db": ["net"], "net": []}, done.append, parallel=4)
    assert done == ["net", "db", "web"]


def test_unknown_predecessors_are_ignored() -> None:
    done: list[str] = []
    run_in_order({"web": ["gone"]}, done.append, parallel=1)
    assert done == ["web"]


def test_independent_work_runs_side_by_side_up_to_the_bound() -> None:
    barrier = threading.Barrier(3, timeout=10)
    busy: list[int] = []
    active = 0
    guard = threading.Lock()

    def work(_key: str) -> None:
        nonlocal active
        with guard:
            active += 1
            busy.append(active)
        barrier.wait()
        with guard:
            active -= 1

    run_in_order({str(n): [] for n in range(6)}, work, parallel=3)
    assert max(busy) == 3


def test_a_free_place_is_used_before_a_whole_wave_has_ended() -> None:
    started: list[str] = []
    release_slow = threading.Event()

    def work(key: str) -> None:
        started.append(key)
        if key == "slow":
            assert release_slow.wait(10)
        if key == "after-quick":
            release_slow.set()

    run_in_order({"slow": [], "quick": [], "after-quick": ["quick"]}, work, parallel=2)
    assert started[-1] == "after-quick"


def test_one_failure_stops_no_other_and_is_raised_at_the_end() -> None:
    done: list[str] = []

    def work(key: str) -> None:
        if key == "bad":
            raise ValueError(key)
        time.sleep(0)
        done.append(key)

    with pytest.raises(ValueError, match="bad"):
        run_in_order({"bad": [], "user": ["bad"], "other": []}, work, parallel=1)
    assert sorted(done) == ["other", "user"]


def test_of_those_that_could_be_next_the_most_urgent_is() -> None:
    done: list[str] = []
    urgency = {"low": -1, "provider": 9, "user": 9, "high": 5}
    graph: dict[str, list[str]] = {"low": [], "none": [], "high": [], "provider": ["user"]}
    run_in_order({**graph, "user": [], "last": []}, done.append, 1, urgency)
    assert done == ["user", "provider", "high", "none", "last", "low"]


def test_what_is_not_admitted_lets_others_pass_and_waits() -> None:
    done: list[str] = []
    both = threading.Barrier(2, timeout=10)

    def work(key: str) -> None:
        done.append(key)
        if key != "large2":
            both.wait()

    def admits(key: str, under_way: Collection[str]) -> bool:
        return "small" in key or not any("large" in other for other in under_way)

    run_in_order({"large1": [], "large2": [], "small": []}, work, 2, admits=admits)
    assert (set(done[:2]), done[2]) == ({"large1", "small"}, "large2")


def test_what_is_never_admitted_goes_alone() -> None:
    active, most = 0, 0

    def work(_key: str) -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        time.sleep(0.05)
        active -= 1

    run_in_order({"a": [], "b": []}, work, 2, admits=lambda _key, _under_way: False)
    assert most == 1


def test_what_is_not_admitted_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "ASK_AGAIN", 0.01)
    both = threading.Barrier(2, timeout=10)
    answers = iter([False, False])

    def work(_key: str) -> None:
        both.wait()

    run_in_order({"a": [], "b": []}, work, 2, admits=lambda _key, _others: next(answers, True))
