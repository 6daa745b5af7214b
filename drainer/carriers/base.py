"""What drain and resume ask of a route."""

from collections.abc import Collection, Mapping
from typing import Protocol

from drainer.manifest import Entry
from drainer.model import Route


class Carrier(Protocol):
    """One route. Every method is safe to call from several threads at once.

    All raise `EngineTimeoutError` for what may still be under way, and other `DrainerError`s,
    with the reason as the message, for what has failed. `timeout` is in seconds.
    """

    def checkpoint(self, entry: Entry, timeout: float) -> None:
        """Checkpoint a paused container and leave it paused."""

    def images(self, entry: Entry) -> str:
        """Return the directory of its checkpoint's images."""

    def restore(self, entry: Entry, timeout: float) -> None:
        """Start it from its checkpoint. That this returns does not prove that it did."""

    def withdraw(self, entry: Entry) -> bool:
        """Tell whether a restore that was asked for has let nothing of it run, and will not.

        Then it may be asked for again. Never raises.
        """

    def wait(self, entry: Entry, timeout: float) -> None:
        """Wait while a restore that was begun before is under way."""

    def tidy(self, entry: Entry) -> None:
        """Remove what a restore, however it ended, has left beside the checkpoint."""

    def join(self, entries: Collection[Entry]) -> None:
        """Let a group reach its networks, when each of it is settled. Never raises."""

    def delete(self, entry: Entry) -> None:
        """Delete its checkpoint, complete or not; no error when there is none."""

    def prune(self, kept: Collection[str]) -> None:
        """Delete what is left of former drains, but for the checkpoints of these names."""


Carriers = Mapping[Route, Carrier]
"""The carrier of each route."""
