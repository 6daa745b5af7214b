"""Budgets: how long a run may still take."""

import signal
import threading
import time
from collections.abc import Callable


class Deadline:
    """A point in time by which a run ends, in seconds from now; `None` means without limit.

    `interrupt` (from a signal handler) ends it at once: what is under way is brought to a safe
    state, and nothing new begins.
    """

    def __init__(self, budget: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the budget now."""
        self._clock = clock
        self._end = None if budget is None else clock() + budget
        self._interrupted = threading.Event()
        self.signal = 0
        """The number of the signal that interrupted the run."""

    def interrupt(self, number: int = signal.SIGTERM) -> None:
        """Let nothing new begin."""
        self.signal = number
        self._interrupted.set()

    @property
    def interrupted(self) -> bool:
        """Whether somebody asked drainer to stop."""
        return self._interrupted.is_set()

    @property
    def over(self) -> bool:
        """Whether the budget is used up."""
        return self._end is not None and self._clock() >= self._end

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be begun: the budget is used up, or somebody wants an end."""
        return self.over or self.interrupted

    @property
    def left(self) -> float | None:
        """How many seconds are left of the budget, at least 0; None without one."""
        return None if self._end is None else max(0.0, self._end - self._clock())

    def limit(self, seconds: float, keep: float = 0.0) -> float:
        """Return `seconds`, or what is left of the budget but for `keep` if that is less.

        At least 0.1.
        """
        left = self.left
        return seconds if left is None else max(0.1, min(seconds, left - keep))

    def part(self, seconds: float, keep: float = 0.0) -> "Deadline":
        """Return a budget of its own for one step, as long as `limit` says.

        An interruption of this one is one of that, too.
        """
        found = Deadline(self.limit(seconds, keep), self._clock)
        found._interrupted = self._interrupted
        return found

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the end of the budget or an interruption."""
        self._interrupted.wait(self.limit(seconds))
