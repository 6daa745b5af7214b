"""What `drainer doctor` looks at beside the facts that a plan is made from."""

from dataclasses import dataclass, field
from enum import StrEnum

from drainer.install import UnitState
from drainer.model import EngineFacts, HostFacts


@dataclass(frozen=True, slots=True)
class Space:
    """Where something is kept, and how much fits there."""

    path: str
    kind: str = ""
    """The file system's type, such as `ext4` or `tmpfs`; empty when unknown."""
    free: int | None = None
    """Bytes that root may still write; None when it could not be asked, or nothing limits them."""

    @property
    def in_memory(self) -> bool:
        """Whether what is written there takes memory, and is gone after a reboot."""
        return self.kind in {"tmpfs", "ramfs"}


class Pending(StrEnum):
    """What the state directory says of the last drain."""

    NEVER = "never"
    """There is no manifest."""
    FINISHED = "finished"
    WAITING = "waiting"
    """Its resume has still something to do."""
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class LastDrain:
    """The manifest of the state directory, as far as it matters here."""

    pending: Pending = Pending.NEVER
    drain_id: str = ""
    down: int = 0
    """How many containers have still to be brought back."""
    problem: str = ""
    """Why it cannot be read."""
    hint: str = ""
    """What to do about that."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The files of settings, and what is wrong in them."""

    files: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around drainer on this host."""

    initial_user_namespace: bool
    """Whether root here is root of the whole host."""
    copies: Space
    """Where containerd unpacks a checkpoint for Docker."""
    state: Space
    """The state directory, or the nearest directory above it that is there."""
    last_drain: LastDrain = LastDrain()
    units: tuple[UnitState, ...] = ()
    configuration: Configuration = Configuration()
    left_over: tuple[str, ...] = ()
    """Paths of stand-ins for runc and of orders that are in place now."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the checks look at."""

    host: HostFacts
    surroundings: Surroundings
    engine: EngineFacts | None = None
    """None when Docker does not answer."""
    engine_problem: str = field(default="", kw_only=True)
    """Why it does not; untrusted."""
    engine_hint: str = field(default="", kw_only=True)
