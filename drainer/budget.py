"""How long dumps take, and so what still fits into the time that is left. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from drainer.manifest import CheckpointState, Entry, State

CAUTIOUS_RATE = 32.0 * (1 << 20)
"""Bytes a second before anything was measured: of a virtual machine whose disk is shared, to which
the engine route writes each checkpoint three times."""
CAUTIOUS_START = 3.0
"""Seconds that a dump takes whatever its size, before anything was measured."""
TELLING = 32 << 20
"""Bytes from which on a dump tells how fast the disk is; smaller ones tell the rest."""

UNDO_SECONDS = 15.0
"""What is kept of the budget at each dump, so that one that does not end can be undone."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast this host dumps: seconds for each container, and bytes a second."""

    start: float = CAUTIOUS_START
    rate: float = CAUTIOUS_RATE

    def seconds(self, size: int) -> float:
        """Return how long a dump of so many bytes takes."""
        return self.start + size / self.rate


def measured(entries: Iterable[Entry]) -> Pace:
    """Tell the pace from the dumps among these entries that are complete."""
    small: list[float] = []
    size, seconds = 0, 0.0
    for entry in entries:
        took = _seconds(entry)
        if took is None:
            continue
        if entry.size < TELLING:
            small.append(took)
        else:
            size, seconds = size + entry.size, seconds + took
    start = sum(small) / len(small) if small else CAUTIOUS_START
    # A large dump's share of `start` is counted twice: rather too slow than too fast.
    return Pace(start, size / seconds if size else CAUTIOUS_RATE)


def _seconds(entry: Entry) -> float | None:
    """Return how long its dump took; None without one, or when the clock was set meanwhile."""
    times = entry.times
    complete = entry.checkpoint_state is CheckpointState.COMPLETE
    if not complete or not {State.DUMPING, State.DUMPED} <= times.keys():
        return None
    begin, end = (datetime.fromisoformat(times[s]) for s in (State.DUMPING, State.DUMPED))
    took = (end - begin).total_seconds()
    return took if took > 0 else None


def too_late(size: int, pace: Pace, left: float | None) -> str:
    """Say why a dump of so many bytes is not begun with `left` seconds to go; empty if it is."""
    if left is None:
        return ""
    needed = pace.seconds(size)
    if needed + UNDO_SECONDS <= left:
        return ""
    rest = max(0.0, left - UNDO_SECONDS)
    return f"it does not fit into the budget: about {needed:.0f} s needed, {rest:.0f} s left"
