import pytest

from drainer.deadline import Deadline


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_budget_it_never_ends() -> None:
    clock = Clock()
    deadline = Deadline(None, clock)
    clock.now = 1e9
    assert not deadline.over
    assert deadline.limit(30) == 30


def test_the_limit_shrinks_with_the_budget() -> None:
    clock = Clock()
    deadline = Deadline(10, clock)
    assert deadline.limit(30) == pytest.approx(10)
    clock.now += 8
    assert deadline.limit(30) == pytest.approx(2)
    assert deadline.limit(1) == 1
    clock.now += 8
    assert deadline.over
    assert deadline.limit(30) == pytest.approx(0.1)


def test_an_interruption_is_not_the_end_of_the_budget() -> None:
    deadline = Deadline(10, Clock())
    deadline.interrupt()
    assert deadline.interrupted
    assert not deadline.over


def test_a_part_of_the_budget_can_be_kept() -> None:
    clock = Clock()
    deadline = Deadline(20, clock)
    assert deadline.limit(300, keep=15) == pytest.approx(5)
    assert deadline.limit(2, keep=15) == 2
    assert deadline.left == pytest.approx(20)
    clock.now += 30
    assert deadline.left == 0
    assert Deadline(None, clock).left is None
    assert Deadline(None, clock).limit(300, keep=15) == 300
