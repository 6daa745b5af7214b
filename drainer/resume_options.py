"""How a resume is run, and who is told how far it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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
    retention: Retention = field(default_factory=Retention)
    """What is kept of past drains."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is told what a resume does."""

    changed: Callable[[Entry], None]
    """Told each change of an entry that people want to hear of, by several threads."""
    lacking: Callable[[Mapping[str, Lack]], None]
    """Told what cannot be started at all, and why, by id, whenever that is another."""


DEAF = Audience(lambda _entry: None, lambda _why: None)
