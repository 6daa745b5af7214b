"""How long dumps take, and so what still fits into the time that is left. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from drainer.manifest import CheckpointState, Entry, State
from drainer.model import Route

CAUTIOUS_RATE = 32.0 * (1 << 20)
"""Bytes a second before anything was measured: of a virtual machine whose disk is shared, to which
the engine route writes each checkpoint three times."""
CAUTIOUS_START = 3.0
"""Seconds that a dump takes whatever its size, before anything was measured."""
SMALL = 32 << 20
"""Bytes up to which a dump tells what each takes whatever its size."""
TELLING = 256 << 20
"""Bytes from which on a dump tells how fast the disk is: what each takes hardly counts in it."""

UNDO_SECONDS = 30.0
"""What is kept of the budget at each dump, so that one that does not end can be undone."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast this host dumps: seconds for each container, and bytes a second."""

    start: float = CAUTIOUS_START
    rate: float = CAUTIOUS_RATE
    known: bool = False
    """Whether `rate` was measured."""

    def seconds(self, size: int, rounds: int = 1) -> float:
        """Return how long dumps of so many bytes take, so many one after the other."""
        return self.start * rounds + size / self.rate


def measured(entries: Iterable[Entry]) -> Pace:
    """Tell the pace from the dumps among these entries that are complete."""
    small: list[float] = []
    large: list[float] = []
    size = 0
    for entry in entries:
        took = _seconds(entry)
        if took is None:
            continue
        if entry.size < SMALL:
            small.append(took)
        elif entry.size >= TELLING:
            large.append(took)
            size += entry.size
    start = sum(small) / len(small) if small else 0.0
    # Small ones that were slow by chance must not make the disk seem endlessly fast.
    writing = sum(max(took - start, took / 2) for took in large)
    rate = size / writing if large else CAUTIOUS_RATE
    return Pace(start or CAUTIOUS_START, rate, known=bool(large))


def _seconds(entry: Entry) -> float | None:
    """Return how long its dump took; None without one, or when the clock was set meanwhile."""
    begin, end = entry.moment(State.DUMPING), entry.moment(State.DUMPED)
    if entry.checkpoint_state is not CheckpointState.COMPLETE:
        return None
    if entry.dump_milliseconds:
        return entry.dump_milliseconds / 1000
    if begin is None or end is None or end <= begin:
        return None
    return end - begin


def fits(needed: float, left: float | None) -> bool:
    """Tell whether there is time for a dump, and to undo it; always, where `left` is None."""
    return left is None or needed + UNDO_SECONDS <= left


def doubtful(size: int, left: float | None) -> bool:
    """Tell whether it is not sure, before anything was measured, that so many bytes are in time."""
    return not fits(Pace().seconds(size), left)


def too_late(size: int, pace: Pace, left: float | None, route: Route, rounds: int = 1) -> str:
    """Say why a dump of so many bytes is not begun with `left` seconds to go; empty if it is.

    A group's dumps are made in `rounds`, one after the other.

    On the runtime route a guess refuses nothing: a dump that is late can be ended there, and its
    container goes on. Docker's cannot be ended.
    """
    if left is None or (route is Route.RUNTIME and not pace.known):
        return ""
    needed = pace.seconds(size, rounds)
    if fits(needed, left):
        return ""
    rest = max(0.0, left - UNDO_SECONDS)
    return f"it does not fit into the budget: about {needed:.0f} s needed, {rest:.0f} s left"
