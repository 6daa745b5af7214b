"""Let a dump or restore begin when there is room for it: looked at just then, as room changes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from drainer import room
from drainer.deadline import Deadline
from drainer.storage import Places

POLL = 0.5
PATIENCE = 10.0
"""Seconds after a dump in which what it had in passing is given back: containerd collects about a
second after the last change, and later on a busy host."""


Wanted = Callable[[Places], room.Amounts]
"""What one container takes, where checkpoints are written to these places."""


class Admission:
    """The door to the dumps or restores of one run. Safe to use from several threads."""

    def __init__(self, look: Callable[[], Places], deadline: Deadline) -> None:
        """Begin with nobody inside; `look` tells how much room there is now."""
        self.look = look
        self._deadline = deadline
        self._door = threading.Lock()
        self._left = threading.Condition()
        self._inside: dict[str, Wanted] = {}
        self._patient_until = time.monotonic()
        """Until when some of the room of the last one that left may still be given back."""

    @contextmanager
    def of(self, container: str, wanted: Wanted) -> Iterator[str]:
        """Have room for a container during the block; gives why there is none, or "".

        Waits while there is none beside the others that are inside, but not beyond the deadline.
        Whoever comes later waits behind, so that a large one is not passed over for small ones.
        """
        with self._door:
            why = self._enter(container, wanted)
        try:
            yield why
        finally:
            with self._left:
                if not why:
                    self._patient_until = time.monotonic() + PATIENCE
                self._inside.pop(container, None)
                self._left.notify_all()

    def _enter(self, container: str, wanted: Wanted) -> str:
        while True:
            with self._left:
                why = self._lacking(wanted)
                if not why:
                    self._inside[container] = wanted
                    return ""
                if self._deadline.over or self._deadline.interrupted:
                    return why
                if self._inside:
                    self._left.wait(POLL)
                    continue
                if time.monotonic() >= self._patient_until:
                    return why
            self._deadline.sleep(POLL)

    def _lacking(self, wanted: Wanted) -> str:
        """Say what there is too little of beside those that are inside.

        What they have written already counts twice, which can only make this one wait.
        """
        places = self.look()
        own, *others = (amounts(places) for amounts in (wanted, *self._inside.values()))
        taken = room.together(*others)
        free = room.available(places)
        lacking = room.shortage(free, room.together(taken, own))
        if lacking is None:
            return ""
        rest = free[lacking] - taken[lacking]
        return f"no room for its checkpoint: {room.lack(lacking, own[lacking], rest, places)}"
