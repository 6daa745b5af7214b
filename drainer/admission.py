"""Let a dump begin when there is room for it: looked at just before it, since room changes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from drainer import room
from drainer.deadline import Deadline
from drainer.model import PlanEntry
from drainer.storage import Places

POLL = 0.5
PATIENCE = 10.0
"""Seconds in which what a dump had in passing is given back: containerd collects about a second
after the last change, and later on a busy host."""


class Admission:
    """The door to the dumps of one drain. Every method is safe to call from several threads."""

    def __init__(self, look: Callable[[], Places], deadline: Deadline) -> None:
        """Begin with nobody inside; `look` tells how much room there is now."""
        self._look = look
        self._deadline = deadline
        self._door = threading.Lock()
        self._left = threading.Condition()
        self._inside: dict[str, PlanEntry] = {}
        self._before = False
        """Whether any dump took room before, some of which may still be given back."""

    @contextmanager
    def of(self, planned: PlanEntry) -> Iterator[str]:
        """Have room for a container's dump during the block; gives why there is none, or "".

        Waits while there is none beside the others that are inside, but not beyond the deadline.
        Whoever comes later waits behind, so that a large one is not passed over for small ones.
        """
        with self._door:
            why = self._enter(planned)
        try:
            yield why
        finally:
            with self._left:
                self._before = self._before or not why
                self._inside.pop(planned.container.id, None)
                self._left.notify_all()

    def _enter(self, planned: PlanEntry) -> str:
        alone_until: float | None = None
        while True:
            with self._left:
                why = self._lacking(planned)
                if not why:
                    self._inside[planned.container.id] = planned
                    return ""
                if self._deadline.over or self._deadline.interrupted:
                    return why
                if self._inside:
                    self._left.wait(POLL)
                    continue
                patience = PATIENCE if self._before else 0.0
            alone_until = alone_until or time.monotonic() + patience
            if time.monotonic() >= alone_until:
                return why
            self._deadline.sleep(POLL)

    def _lacking(self, planned: PlanEntry) -> str:
        """Say what there is too little of beside those that are inside.

        What they have written already counts twice, which can only make this one wait.
        """
        places = self._look()
        own, *others = (_all_of(e, places) for e in (planned, *self._inside.values()))
        taken = room.together(*others)
        free = room.available(places)
        lacking = room.shortage(free, room.together(taken, own))
        if lacking is None:
            return ""
        rest = free[lacking] - taken[lacking]
        return f"no room for its checkpoint: {room.lack(lacking, own[lacking], rest, places)}"


def _all_of(planned: PlanEntry, places: Places) -> room.Amounts:
    wanted = room.demand(planned.route, planned.expected_bytes, planned.processes, places)
    return room.together(wanted.lasting, wanted.passing)
