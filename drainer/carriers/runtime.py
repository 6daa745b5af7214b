"""The runtime route: runc makes the checkpoint, and a plain start of Docker's restores it."""

import time
from collections.abc import Collection
from pathlib import Path

from drainer.carriers.base import Saved, refuse_if_it_ran
from drainer.engine.base import Engine
from drainer.errors import DrainerError, EngineError, EngineTimeoutError, EngineUnavailableError
from drainer.host.following import Reading
from drainer.manifest import Entry
from drainer.model import Container
from drainer.runtime.base import CHECKPOINTS, Order, Place, Runtime

POLL = 0.2
"""Seconds between two looks whether a restore has ended."""

HELD_PATIENCE = 60.0
"""Seconds that the engine may take to lay a container's network."""

CONNECTIONS_LOST = "its host could not take up all of its connections with other hosts again"

HELD_IN_VAIN = "action scripts failed"
"""CRIU's words when its restore was not let go on (criu action-scripts.c): Docker knows why."""


class RuntimeCarrier:
    """`drainer.carriers.base.Carrier` through runc.

    A restore needs the runtime's window to be open.
    """

    def __init__(self, engine: Engine, runtime: Runtime, state: Path) -> None:
        """Keep checkpoints below the state directory `state`."""
        self._engine = engine
        self._runtime = runtime
        self._checkpoints = state / CHECKPOINTS

    def checkpoint(self, entry: Entry, timeout: float) -> Reading:
        """Checkpoint a paused container and leave it paused."""
        return self._runtime.checkpoint(
            entry.id, entry.runtime_root, self._place(entry), entry.criu_options, timeout
        )

    def prepare(self, entry: Entry, timeout: float) -> tuple[Saved, ...]:
        """Save most of a running container's memory, as often as that pays."""
        place = self._place(entry)
        readings = self._runtime.pre_dump(
            entry.id, entry.runtime_root, place, entry.criu_options, timeout
        )
        return tuple(Saved(str(place.pre_dump(n)), read) for n, read in enumerate(readings, 1))

    def let_go(self, entry: Entry) -> None:
        """See that nothing of a pre-dump that was cut short keeps it frozen."""
        self._runtime.thaw(entry.id, entry.runtime_root)

    def images(self, entry: Entry) -> str:
        """Return the directory of its images."""
        return str(self._place(entry).images)

    def restore(self, entry: Entry, timeout: float) -> None:
        """Order its restore, and start it.

        The order stays until `tidy`, so that a restore that outlasts `timeout` can end.
        """
        self._runtime.lay_out(
            Order(
                container=entry.id,
                root=entry.runtime_root,
                place=self._place(entry),
                seconds=timeout,
                flags=entry.criu_options,
                macs={a.ipv4: a.mac for a in entry.addresses if a.ipv4 and a.mac},
                quiet=bool(entry.group) and entry.keeps_connections,
            )
        )
        # Whoever starts it from now on restores it.
        refuse_if_it_ran(entry, self._engine)
        try:
            self._engine.start(entry.id, timeout)
        except (EngineTimeoutError, EngineUnavailableError):
            raise
        except DrainerError as error:
            if not self._runtime.take_back(entry.id, entry.runtime_root):
                raise EngineError(f"the stand-in was not reached: {error.message}") from error
            cause = self._runtime.restore_error(self._place(entry))
            if not cause or HELD_IN_VAIN in cause:
                raise
            raise EngineError(cause) from error

    def withdraw(self, entry: Entry) -> bool:
        """Take back an order that the stand-in has not taken, or find that it let nothing go."""
        withdrawn = self._runtime.withdraw(entry.id, entry.runtime_root)
        return withdrawn or self._runtime.is_unused(entry.id, self._place(entry))

    def wait(self, entry: Entry, timeout: float) -> None:
        """Wait while a restore that was begun before is under way.

        One that the engine does not let go on will not end: the engine has been killed meanwhile.
        """
        begin = time.monotonic()
        while self._runtime.is_under_way(entry.id):
            held = self._runtime.is_held(entry.id)
            if time.monotonic() - begin >= (min(timeout, HELD_PATIENCE) if held else timeout):
                return
            time.sleep(POLL)

    def unkept(self, entry: Entry) -> tuple[str, ...]:
        """Tell of connections that the kernel did not take."""
        return (CONNECTIONS_LOST,) if self._runtime.lost_connections(entry.id) else ()

    def tidy(self, entry: Entry) -> None:
        """Take the order back."""
        self._runtime.take_back(entry.id, entry.runtime_root)

    def cut_off(self, entry: Entry, container: Container) -> None:
        """Keep a paused container's connections from going on without it: the kernel would."""
        if container.pid:
            self._runtime.silence(entry.id, container.pid)

    def guard(self, entry: Entry, container: Container, near: Collection[str]) -> frozenset[str]:
        """Keep this host from refusing its connections to others while it is down."""
        addresses = [a.ipv4 for a in container.addresses if a.ipv4]
        return self._runtime.guard(self._place(entry), addresses, near)

    def join(self, entries: Collection[Entry]) -> None:
        """Let containers reach their networks again that were cut off them."""
        if quiet := [entry.id for entry in entries if entry.keeps_connections]:
            self._runtime.speak(quiet)

    def end_guard(self, entry: Entry) -> None:
        """Let packets of its connections through again."""
        if entry.keeps_connections:
            self._runtime.end_guard(self._place(entry))

    def delete(self, entry: Entry) -> None:
        """Delete its checkpoint, complete or not; no error when there is none."""
        self._runtime.delete(self._place(entry))

    def prune(self, kept: Collection[str]) -> None:
        """Delete what is left of former drains, but for the checkpoints of these names."""
        self._runtime.prune(self._checkpoints, kept)

    def _place(self, entry: Entry) -> Place:
        return Place(self._checkpoints / entry.checkpoint / entry.id)
