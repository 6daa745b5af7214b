"""Whose turn it is on a network: at most one start of a container waits for its addresses."""

import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress

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
    def of(self, networks: Collection[str]) -> Iterator["Turn"]:
        """Have the turn on several networks at once, at the latest until the end of the block.

        They are taken in sorted order, so two never wait for each other.
        """
        turn = Turn(self._engine)
        try:
            for network in sorted(set(networks) & self._locks.keys()):
                turn.take(network, self._locks[network])
            yield turn
        finally:
            turn.end()


class Turn:
    """The locks of one turn: its own thread takes them, and a watcher may give them up."""

    def __init__(self, engine: Engine) -> None:
        """Hold nothing yet."""
        self._engine = engine
        self._kept = threading.Event()
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def take(self, network: str, lock: threading.Lock) -> None:
        """Wait for one network."""
        lock.acquire()
        with self._guard:
            self._locks[network] = lock

    def until_allotted(self, container: str) -> None:
        """From now on give each network up as soon as the container has an address on it."""
        if not self._held:
            return
        watcher = threading.Thread(target=self._watch, args=(container,), daemon=True, name="turn")
        # Without one more thread the turn lasts until the end of its block.
        with suppress(RuntimeError):
            watcher.start()

    def keep(self) -> tuple[str, ...]:
        """Give up nothing any more before the end; return the networks that are still held."""
        with self._guard:
            self._kept.set()
            return tuple(self._locks)

    def end(self) -> None:
        """Give up whatever is left."""
        self.keep()
        while self._locks:
            self._locks.popitem()[1].release()

    @property
    def _held(self) -> tuple[str, ...]:
        with self._guard:
            return tuple(self._locks)

    def _give_up(self, network: str) -> None:
        with self._guard:
            if not self._kept.is_set():
                self._locks.pop(network).release()

    def _watch(self, container: str) -> None:
        end = time.monotonic() + PATIENCE
        while self._held and not self._kept.wait(POLL):
            for network in self._held:
                if time.monotonic() >= end or self._is_allotted(network, container):
                    self._give_up(network)

    def _is_allotted(self, network: str, container: str) -> bool:
        try:
            found = self._engine.network(network).get(container)
        except DrainerError:
            return False
        return bool(found and (found.ipv4 or found.ipv6))
