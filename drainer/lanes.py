"""How many large containers are taken down at once: as many as more bytes a second come of.

What the disk is to write for several at once it writes no faster than for one after the other, and
all of them are frozen until it has. With a disk that is fast enough, several CPUs dump more than
one. Which it is shows only in a drain's own dumps.
"""

import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from drainer.budget import UNDO_SECONDS
from drainer.model import PlanEntry, Route

LARGE = 64 << 20
"""Bytes of memory from which on a container takes a lane."""
GAIN = 1.3
"""How many times as many bytes a second twice as many at once have to bring. At best it is 2; two
threads of one core bring about that much."""
WAITING = 0.5
"""The part of a dump's time from which on more at once are not even tried, if for so long it waits
until the disk has what CRIU has written."""
PATIENCE = 60.0
"""Seconds after which a container that is still not down, and should be, keeps no other waiting."""
SLOW = 3
"""How many times as long as others it may take beyond that."""


@dataclass(frozen=True, slots=True)
class Dump:
    """A complete dump of a large container."""

    size: int
    """Bytes."""
    seconds: float
    flushing: float
    """Seconds of that in which it waited for the disk."""
    share: float
    """Those seconds, each divided by how many large ones were then taken down at once."""


def width(
    dumps: Sequence[Dump], most: int, rest: int = 0, left: float | None = None
) -> tuple[int, float]:
    """Return how many large ones go at once, and how many bytes a second that brings. Pure.

    It begins with one, and twice as many are tried as long as that has brought `GAIN`, and the disk
    is not what they wait for; `most` of them where the `rest`, in bytes, would else not be done in
    the seconds that are `left`. What was found out counts for some time, as neither containers nor
    their files are alike. The bytes a second are 0 where they are not known.
    """
    steps = [1]
    while steps[-1] < most:
        steps.append(min(2 * steps[-1], most))
    found: dict[int, list[Dump]] = {step: [] for step in steps}
    # So many that of at least one step there are enough.
    for dump in dumps[-max(12, 3 * most) :]:
        found[min(steps, key=lambda n: abs(n - dump.seconds / dump.share))].append(dump)
    # The disk may serve one of several first, which then was fast for the others to be slow.
    rates = {n: _rate(some) for n, some in found.items() if len(some) > (n if n > 1 else 0)}
    if not rates:
        return 1, 0.0
    known = sorted(rates)
    best = known[0]
    for now, more in pairwise(known):
        if rates[more] < rates[now] * GAIN ** math.log2(more / now):
            between = [step for step in steps if now < step < more]
            return (between[0] if between else now), rates[now]
        best = more
    above = [step for step in steps if step > best]
    if not above or _waiting(found[best]) > WAITING:
        return best, rates[best]
    late = left is not None and rest > rates[best] * (left - UNDO_SECONDS)
    return (most if late else above[0]), rates[best]


def _rate(dumps: Collection[Dump]) -> float:
    """Return the bytes a second of all that were taken down at once."""
    return sum(d.size for d in dumps) / sum(d.share for d in dumps)


def _waiting(dumps: Collection[Dump]) -> float:
    return sum(d.flushing for d in dumps) / sum(d.seconds for d in dumps)


def _is_large(planned: PlanEntry) -> bool:
    """Tell whether a container takes a lane.

    None of the engine route does: containerd packs and reads each checkpoint, on one CPU.
    """
    return planned.route is Route.RUNTIME and planned.expected_bytes >= LARGE


class Lanes:
    """Who is under way in one drain. Every method is safe to call from several threads.

    A team, a container alone or a group, has a lane for each of it that is large.
    """

    def __init__(
        self,
        planned: Iterable[PlanEntry],
        most: int,
        left: Callable[[], float | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nobody under way; `most` teams are at once, large or not.

        `left` tells the seconds that are left for the drain, None without an end.
        """
        self._rest = {e.container.id: e.expected_bytes for e in planned if _is_large(e)}
        """What is still to be done, in bytes."""
        self._large = frozenset(self._rest)
        self._most = most
        self._left = left
        self._clock = clock
        self._lock = threading.Lock()
        self._teams: dict[frozenset[str], float] = {}
        """Since when each is under way."""
        self._taken = 0
        self._now = clock()
        self._share = 0.0
        """The seconds until `_now`, each divided by the lanes that were taken."""
        self._alone: set[str] = set()
        self._begun: dict[str, tuple[float, float]] = {}
        self._dumps: list[Dump] = []

    def admits(self, team: Collection[str], under_way: Iterable[Collection[str]]) -> bool:
        """Tell whether a team may begin beside those that are under way.

        To be asked again after a while: one that is much slower than others does not count.
        """
        if not self._lanes(team):
            return True
        with self._lock:
            lanes, rate = width(self._dumps, self._most, sum(self._rest.values()), self._left())
            return sum(self._lanes(t) for t in under_way if not self._is_late(t, rate)) < lanes

    @contextmanager
    def of(self, team: Collection[str]) -> Iterator[None]:
        """Count a team as under way during the block."""
        key, lanes = frozenset(team), self._lanes(team)
        with self._lock:
            self._pass(lanes)
            self._teams[key] = self._now
            if len(team) == 1:
                self._alone.update(team)
        try:
            yield
        finally:
            with self._lock:
                self._pass(-lanes)
                del self._teams[key]
                for container in team:
                    self._rest.pop(container, None)

    def begin(self, container: str) -> None:
        """Note that what is written of a container from now on is part of its checkpoint."""
        with self._lock:
            self._pass()
            self._begun[container] = (self._now, self._share)

    def end(self, container: str, size: int, flushing: float) -> None:
        """Note that all of a container's checkpoint is on disk.

        It has so many bytes, and waited so many seconds for the disk.
        """
        with self._lock:
            self._pass()
            begin, share = self._begun.pop(container)
            seconds = self._now - begin
            # Of a group, others are waited for.
            if container in self._large & self._alone and seconds > 0:
                self._dumps.append(Dump(size, seconds, flushing, self._share - share))

    def _is_late(self, team: Collection[str], rate: float) -> bool:
        since = self._teams.get(frozenset(team), self._now)
        size = sum(self._rest.get(container, 0) for container in team)
        usual = SLOW * self._lanes(team) * size / rate if rate else 0.0
        return self._clock() - since > PATIENCE + usual

    def _lanes(self, team: Collection[str]) -> int:
        return min(self._most, len(self._large.intersection(team)))

    def _pass(self, taken: int = 0) -> None:
        """Let time pass until now, when so many lanes more are taken."""
        now = self._clock()
        self._share += (now - self._now) / max(self._taken, 1)
        self._now = now
        self._taken += taken
