"""The engine route: Docker's checkpoint API and `start --checkpoint`."""

import time
from collections.abc import Callable, Collection

from drainer.carriers.base import Saved, refuse_if_it_ran
from drainer.engine.base import Engine
from drainer.errors import DrainerError, EngineError, EngineTimeoutError
from drainer.host.base import Host, checkpoint_directory
from drainer.host.following import Reading, nothing
from drainer.manifest import Entry
from drainer.model import Container, EngineFacts

CONTENT_CLASH = "already exists"
"""In Docker's refusal while containerd still holds the same images from the drain (moby#42900)."""
CLASH_RETRIES = 4
CLASH_PAUSE = 2.0
"""Seconds; containerd collects what nothing refers to about a second after the last change."""


class EngineCarrier:
    """`drainer.carriers.base.Carrier` through Docker alone."""

    def __init__(
        self,
        engine: Engine,
        host: Host,
        facts: EngineFacts,
        sleep: Callable[[float], None],
    ) -> None:
        """Take Docker as it was at the drain (`facts`); `sleep` waits for seconds at most."""
        self._engine = engine
        self._host = host
        self._facts = facts
        self._sleep = sleep

    def checkpoint(self, entry: Entry, timeout: float) -> Reading:
        """Checkpoint a paused container and leave it paused."""
        began = time.time()
        try:
            self._engine.create_checkpoint(entry.id, entry.checkpoint, timeout)
        except EngineTimeoutError:
            raise
        except EngineError as error:
            cause = self._host.dump_error(entry.id, began)
            if not cause:
                raise
            raise EngineError(f"CRIU could not checkpoint it: {cause}", error.hint) from error
        # Where it was written is containerd's affair.
        return nothing

    def prepare(self, entry: Entry, timeout: float) -> tuple[Saved, ...]:  # noqa: ARG002 - see below
        """Do nothing: Docker knows of no such thing."""
        return ()

    def let_go(self, entry: Entry) -> None:
        """Do nothing: `prepare` does nothing either."""

    def images(self, entry: Entry) -> str:
        """Return where Docker keeps the images."""
        return checkpoint_directory(self._facts, entry.id, entry.checkpoint)

    def restore(self, entry: Entry, timeout: float) -> None:
        """Start it from its checkpoint, again while containerd's memory of the drain is in the way.

        That this returns does not prove that a checkpoint was used.
        """
        attempt = 0
        while True:
            refuse_if_it_ran(entry, self._engine)
            try:
                self._engine.start(entry.id, timeout, checkpoint=entry.checkpoint)
            except DrainerError as error:
                attempt += 1
                if CONTENT_CLASH not in error.message or attempt > CLASH_RETRIES:
                    raise
                self._sleep(CLASH_PAUSE)
            else:
                return

    def withdraw(self, entry: Entry) -> bool:  # noqa: ARG002 - Docker tells of none
        """Return no: what Docker has begun is not to be seen."""
        return False

    def wait(self, entry: Entry, timeout: float) -> None:
        """Return at once: what Docker is at is not to be seen."""

    def unkept(self, entry: Entry) -> tuple[str, ...]:  # noqa: ARG002 - Docker tells of none
        """Return nothing: all or nothing comes back."""
        return ()

    def tidy(self, entry: Entry) -> None:
        """Remove containerd's copies of the checkpoint."""
        self._host.remove_restore_copy(self.images(entry))

    def cut_off(self, entry: Entry, container: Container) -> None:
        """Do nothing: nothing of this route keeps connections."""

    def guard(
        self,
        entry: Entry,  # noqa: ARG002 - as above
        container: Container,  # noqa: ARG002
        near: Collection[str],  # noqa: ARG002
    ) -> frozenset[str]:
        """Do nothing, likewise."""
        return frozenset()

    def end_guard(self, entry: Entry) -> None:
        """Do nothing: nothing of this route is ever guarded."""

    def join(self, entries: Collection[Entry]) -> None:
        """Do nothing: nothing of this route is ever cut off."""

    def delete(self, entry: Entry) -> None:
        """Delete its checkpoint, complete or not; no error when there is none."""
        self._engine.delete_checkpoint(entry.id, entry.checkpoint)

    def prune(self, kept: Collection[str]) -> None:
        """Leave it to Docker: its checkpoints go with their containers."""
