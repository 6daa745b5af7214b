"""How many large containers are taken down at once: as many as more bytes a second come of.

What the disk is to write for several at once it writes no faster than for one after the other, and
all of them are frozen until it has. With a disk that is fast enough, several CPUs dump more than
one. Which it is shows only in a drain's own dumps.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from drainer.model import PlanEntry, Route

LARGE = 64 << 20
"""Bytes of memory from which on a dump is limited by how fast they are written, more than by what
each container takes."""
GAIN = 1.3
"""How many times as many bytes a second twice as many at once have to bring. At best it is 2; two
threads of one core bring about that much."""
WAITING = 0.5
"""The part of a dump's time from which on twice as many at once are not even tried, if for so long
it waits until the disk has what CRIU has written."""


@dataclass(frozen=True, slots=True)
class Dump:
    """A complete dump of a large container."""

    size: int
    """Bytes."""
    seconds: float
    waited: float
    """Seconds of that when CRIU had ended, and the disk had not."""
    beside: float
    """How many large ones were taken down at once meanwhile, this one among them, on average."""


def width(dumps: Iterable[Dump], most: int) -> int:
    """Return how many large ones go at once, of `most`, after these dumps. Pure.

    It begins with one, and twice as many are tried as long as that has brought `GAIN`, and the disk
    is not what they wait for.
    """
    steps = _steps(most)
    found: dict[int, list[Dump]] = {}
    for dump in dumps:
        found.setdefault(min(steps, key=lambda n: abs(n - dump.beside)), []).append(dump)
    # The disk may serve one of several first, which then has been fast for the others to be slow.
    rates = {n: _together(some) for n, some in found.items() if len(some) >= n}
    for now, more in pairwise(steps):
        if now not in rates:
            return now
        if more not in rates:
            return now if _waiting(found[now]) > WAITING else more
        if rates[more] < GAIN * rates[now]:
            return now
    return steps[-1]


def _together(dumps: list[Dump]) -> float:
    """Return how many bytes a second came of all that were taken down at once."""
    return sum(d.size for d in dumps) / sum(d.seconds / d.beside for d in dumps)


def _waiting(dumps: list[Dump]) -> float:
    return sum(d.waited for d in dumps) / sum(d.seconds for d in dumps)


def _steps(most: int) -> list[int]:
    steps = [1]
    while steps[-1] < most:
        steps.append(min(2 * steps[-1], most))
    return steps


def is_large(planned: PlanEntry) -> bool:
    """Tell whether a container takes a lane.

    None of the engine route does: containerd packs and reads each checkpoint, on one CPU.
    """
    return planned.route is Route.RUNTIME and planned.expected_bytes >= LARGE


class Lanes:
    """The lanes of one drain. A container alone, or a group, takes one if any of it is large.

    Every method is safe to call from several threads.
    """

    def __init__(
        self,
        planned: Iterable[PlanEntry],
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with all lanes free; `most` teams are taken down at once, large or not."""
        self._large = {entry.container.id for entry in planned if is_large(entry)}
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._taken = 0
        self._since = clock()
        self._area = 0.0
        """How many lanes were taken, summed up over the seconds until `_since`."""
        self._alone: set[str] = set()
        self._begun: dict[str, tuple[float, float]] = {}
        self._dumps: list[Dump] = []

    def admits(self, team: Collection[str], under_way: Iterable[Collection[str]]) -> bool:
        """Tell whether a team may begin beside those that are under way."""
        with self._lock:
            lanes = width(self._dumps, self._most)
        return not self._takes_one(team) or sum(map(self._takes_one, under_way)) < lanes

    @contextmanager
    def of(self, team: Collection[str]) -> Iterator[None]:
        """Take a lane during the block, if the team needs one."""
        lanes = int(self._takes_one(team))
        if len(team) == 1:
            self._alone.update(team)
        self._take(lanes)
        try:
            yield
        finally:
            self._take(-lanes)

    def begin(self, container: str) -> None:
        """Note that what is written of a container from now on is part of its checkpoint."""
        with self._lock:
            self._pass()
            self._begun[container] = (self._since, self._area)

    def end(self, container: str, size: int, dumping: float) -> None:
        """Note that all of a container's checkpoint is on disk.

        It has so many bytes, and CRIU took `dumping` seconds.
        """
        with self._lock:
            self._pass()
            begin, area = self._begun.pop(container)
            seconds = self._since - begin
            # Of a group several are written at once, and take one lane.
            if container in self._large & self._alone and seconds > 0:
                waited = max(seconds - dumping, 0.0)
                self._dumps.append(Dump(size, seconds, waited, (self._area - area) / seconds))

    def _takes_one(self, team: Collection[str]) -> bool:
        return not self._large.isdisjoint(team)

    def _take(self, lanes: int) -> None:
        with self._lock:
            self._pass()
            self._taken += lanes

    def _pass(self) -> None:
        now = self._clock()
        self._area += self._taken * (now - self._since)
        self._since = now
