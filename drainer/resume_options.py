"""How a resume is run, and who is told how far it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drainer.manifest import Entry


@dataclass(frozen=True, slots=True)
class ResumeOptions:
    """How a resume is run."""

    parallel: int = 2
    container_timeout: float = 300.0
    """Seconds that one restore may take."""
    engine_wait: float = 0.0
    """Seconds to wait, between two passes, for a Docker that has gone away."""
    leave_failed: bool = False
    """Whether to leave a container down whose memory is lost, instead of starting it cold."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told what a resume does. Both are called from several threads."""

    changed: Callable[[Entry], None]
    """Called after each change of an entry that people want to hear of."""
    lacking: Callable[[Mapping[str, str]], None]
    """Called with what cannot be started at all, and why, by id, whenever that is another."""


DEAF = Listener(lambda _entry: None, lambda _why: None)
