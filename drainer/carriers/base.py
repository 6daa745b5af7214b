"""What drain and resume ask of a route."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from drainer.engine.base import Engine
from drainer.errors import DrainerError, NotBegunError
from drainer.host.following import Reading
from drainer.manifest import Entry
from drainer.model import Container, Route


class Saved(NamedTuple):
    """What was saved of a container's memory before it was frozen."""

    directory: str
    read: Reading
    """What was read of it so far."""


class Carrier(Protocol):
    """One route. Every method is safe to call from several threads at once.

    All raise `EngineTimeoutError` for what may still be under way, and other `DrainerError`s,
    with the reason as the message, for what has failed. `timeout` is in seconds.
    """

    def checkpoint(self, entry: Entry, timeout: float) -> Reading:
        """Checkpoint a paused container and leave it paused; return what was read of it so far."""

    def prepare(self, entry: Entry, timeout: float) -> Sequence[Saved]:
        """Save most of a running container's memory, so that its checkpoint takes less time.

        Returns what was saved, the first time first. Raises as the others do;
        when what it has left behind is deleted, the checkpoint can be made nevertheless.
        """

    def let_go(self, entry: Entry) -> None:
        """See that nothing of a `prepare` that was cut short keeps it frozen. Never raises."""

    def images(self, entry: Entry) -> str:
        """Return the directory of its checkpoint's images."""

    def restore(self, entry: Entry, timeout: float) -> None:
        """Start it from its checkpoint. That this returns does not prove that it did.

        Raises `NotBegunError` if nothing was asked of Docker.
        """

    def withdraw(self, entry: Entry) -> bool:
        """Tell whether a restore that was asked for has let nothing of it run, and will not.

        Then it may be asked for again. Never raises.
        """

    def wait(self, entry: Entry, timeout: float) -> None:
        """Wait while a restore that was begun before is under way."""

    def unkept(self, entry: Entry) -> tuple[str, ...]:
        """Say in sentences what its restore has not brought back, until `tidy`. Never raises."""

    def tidy(self, entry: Entry) -> None:
        """Remove what a restore, however it ended, has left beside the checkpoint."""

    def cut_off(self, entry: Entry, container: Container) -> None:
        """Keep a paused container's connections from going on without it. Never raises."""

    def guard(self, entry: Entry, container: Container, near: Collection[str]) -> frozenset[str]:
        """Keep this host from refusing its connections to others while it is down.

        `near` are the addresses that go away with this host. Ends in `end_guard`, or with the
        checkpoint. Returns the addresses of those others. Raises as the others do.
        """

    def join(self, entries: Collection[Entry]) -> None:
        """Let containers reach their networks again that were cut off them. Never raises."""

    def end_guard(self, entry: Entry) -> None:
        """Let packets of its connections to other hosts through again. Never raises."""

    def delete(self, entry: Entry) -> None:
        """Delete its checkpoint, complete or not; no error when there is none."""

    def prune(self, kept: Collection[str]) -> None:
        """Delete what is left of former drains, but for the checkpoints of these names."""


def refuse_if_it_ran(entry: Entry, engine: Engine) -> None:
    """See that nobody has started and stopped a container since it was last looked at.

    That may be long ago: its images were read since. Raises `NotBegunError` if somebody has, or
    Docker does not tell.
    """
    try:
        container = engine.inspect(entry.id)
    except DrainerError as error:
        raise NotBegunError(error.message) from error
    if not container.running and container.started_at != entry.started_at:
        raise NotBegunError("it ran again meanwhile")


Carriers = Mapping[Route, Carrier]
"""The carrier of each route."""
