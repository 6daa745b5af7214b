from drainer.throttle import BUSY, CALM, LEAST, WINDOW, Throttle


class Disks:
    """A clock, and disks that keep all waiting for a share of its time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.stalled = 7.0
        self.throttle = Throttle(lambda: self.stalled, lambda: self.now)

    def limit(self, share: float, windows: int = 1) -> int:
        """Return how many are let work after so many windows of which that share was a stall."""
        for _ in range(windows):
            self.now += WINDOW
            self.stalled += share * WINDOW
            self.throttle.admits(LEAST)
        return next(n for n in range(10_000) if not self.throttle.admits(n))


def test_more_are_let_work_as_long_as_the_disks_keep_up() -> None:
    disks = Disks()
    # At the first look nobody knows.
    assert [disks.limit(0) for _ in range(5)] == [2, 4, 8, 16, 32]
    assert disks.limit((CALM + BUSY) / 2, 10) == 32
    assert disks.limit(0, 100) == 1024


def test_fewer_are_where_all_wait_for_the_disks_but_never_less_than_two() -> None:
    disks = Disks()
    assert disks.limit(0, 5) == 32
    assert [disks.limit(0.9) for _ in range(6)] == [16, 8, 4, 2, 2, 2]
    assert disks.limit(0) == 4


def test_it_looks_once_in_a_while_and_only_where_it_matters() -> None:
    looks: list[None] = []
    disks = Disks()
    disks.throttle = Throttle(lambda: looks.append(None) or 0.0, lambda: disks.now)  # type: ignore[func-returns-value]
    assert disks.throttle.admits(0)
    assert disks.throttle.admits(LEAST - 1)
    assert looks == []
    for _ in range(5):
        disks.throttle.admits(LEAST)
    assert len(looks) == 1


def test_a_kernel_that_does_not_tell_limits_nothing() -> None:
    throttle = Throttle(lambda: None)
    assert throttle.admits(500)
