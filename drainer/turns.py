"""Whose turn it is on a network: at most one start of a container waits for its addresses."""

import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from drainer.engine.base import Engine
from drainer.errors import DrainerError

POLL = 0.1
"""Seconds between two looks at what is allotted."""
PATIENCE = 60.0
"""Seconds after which others no longer wait: Docker allots addresses early in a start."""


class Turns:
    """One lock for each network."""

    def __init__(self, engine: Engine, networks: Iterable[str]) -> None:
        """Know the networks; whatever else is asked for later is not locked."""
        self._engine = engine
        self._locks = {network: threading.Lock() for network in networks}

    @contextmanager
    def of(self, networks: Collection[str], container: str = "") -> Iterator[None]:
        """Have the turn on several networks at once.

        Each is given up as soon as Docker has allotted `container` an address on it, at the latest
        at the end of the block. Taken in sorted order, so two never wait for each other.
        """
        turn = _Turn()
        try:
            for network in sorted(set(networks) & self._locks.keys()):
                turn.take(network, self._locks[network])
            if container:
                self._watch(turn, container)
            yield
        finally:
            turn.end()

    def _watch(self, turn: "_Turn", container: str) -> None:
        watcher = threading.Thread(
            target=self._give_up_early, args=(turn, container), daemon=True, name="turn"
        )
        try:
            watcher.start()
        except RuntimeError:  # no more threads: then the turn lasts to the end of the block
            return

    def _give_up_early(self, turn: "_Turn", container: str) -> None:
        waited = 0.0
        while not turn.ended.wait(POLL):
            waited += POLL
            for network in turn.held:
                if waited >= PATIENCE or self._is_allotted(network, container):
                    turn.give_up(network)
            if not turn.held:
                return

    def _is_allotted(self, network: str, container: str) -> bool:
        try:
            end = self._engine.network(network).get(container)
        except DrainerError:
            return False
        return bool(end and (end.ipv4 or end.ipv6))


class _Turn:
    """The locks of one turn. Each is given up once, by whoever comes first."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    @property
    def held(self) -> tuple[str, ...]:
        with self._guard:
            return tuple(self._locks)

    def take(self, network: str, lock: threading.Lock) -> None:
        lock.acquire()
        with self._guard:
            self._locks[network] = lock

    def give_up(self, network: str) -> None:
        with self._guard:
            lock = self._locks.pop(network, None)
        if lock:
            lock.release()

    def end(self) -> None:
        self.ended.set()
        for network in self.held:
            self.give_up(network)
