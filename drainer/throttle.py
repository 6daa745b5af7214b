"""How many dumps are made at once: as many as the disks and the memory keep up with.

Where they do not, more at once end no sooner, and each container is frozen for longer.
"""

import time
from collections.abc import Callable

LEAST = 2
"""So many are always let work: one keeps the disks busy while another one is looked at."""
MOST = 1024
WINDOW = 0.5
"""Seconds between two looks."""
CALM, BUSY = 0.2, 0.5
"""Shares of the time in which nothing could go on but the disks: below the first there may be more
at work, above the second fewer."""


class Throttle:
    """Doubles and halves the limit as live traffic does. For use under a lock."""

    def __init__(
        self,
        stalled: Callable[[], float | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with the least. `stalled` is `drainer.host.base.Host.stalled`."""
        self._stalled = stalled
        self._clock = clock
        self._limit = LEAST
        self._looked: tuple[float, float] | None = None
        """When that was, and what was seen."""

    def admits(self, inside: int) -> bool:
        """Tell whether one more may begin beside so many."""
        if inside >= LEAST:
            self._look()
        return inside < self._limit

    def _look(self) -> None:
        now = self._clock()
        if self._looked and now - self._looked[0] < WINDOW:
            return
        stalled = self._stalled()
        if stalled is None:
            self._limit = MOST
            return
        if self._looked:
            share = (stalled - self._looked[1]) / (now - self._looked[0])
            if share < CALM:
                self._limit = min(self._limit * 2, MOST)
            elif share > BUSY:
                self._limit = max(self._limit // 2, LEAST)
        self._looked = (now, stalled)
