"""How a resume is run, and who is told how far it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from drainer.config.choices import RestoreFallback
from drainer.history import Retention
from drainer.lacking import Lack
from drainer.manifest import Entry


@dataclass(frozen=True, slots=True)
class ResumeOptions:
    """How a resume is run."""

    parallel: int = 2
    container_timeout: float = 300.0
    """Seconds that one restore may take."""
    engine_wait: float = 0.0
    """Seconds to wait, between two passes, for a Docker that has gone away."""
    give_up: bool = False
    """Whether to give back to Docker what cannot be started at all, instead of keeping it."""
    leave_failed: bool = False
    """Whether to leave a container down whose memory is lost, instead of starting it cold."""
    retention: Retention | None = field(default_factory=Retention)
    """What is kept of past drains; None: everything."""

    spared: frozenset[str] = frozenset()
    """Ids of what is not to be brought back yet."""

    def leaves_failed(self, entry: Entry) -> bool:
        """Tell whether this container is left down if its memory is lost."""
        if not entry.on_restore_failure:
            return self.leave_failed
        return RestoreFallback(entry.on_restore_failure) is RestoreFallback.LEAVE

    def seconds(self, entry: Entry) -> float:
        """Return how long a restore of this container may take."""
        return entry.timeout or self.container_timeout


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is told what a resume does."""

    changed: Callable[[Entry], None]
    """Told each change of an entry that people want to hear of, by several threads."""
    lacking: Callable[[Mapping[str, Lack]], None]
    """Told what cannot be started at all, and why, by id, whenever that is another."""


DEAF = Audience(lambda _entry: None, lambda _why: None)
