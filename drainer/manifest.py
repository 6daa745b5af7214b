"""The durable record of one drain, as types. Reading and writing it is `drainer.store`'s."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from drainer.criu_options import TCP_ESTABLISHED
from drainer.model import EngineFacts, HostFacts, RestartPolicy, Route
from drainer.networks import Address, Port

MANIFEST_VERSION = 1


class State(StrEnum):
    """Where one container stands. Each is written before the act that it names begins."""

    PLANNED = "planned"
    """Nothing was done to it yet."""
    HELD = "held"
    """Its restart policy is being, or has been, set to `no`."""
    DUMPING = "dumping"
    """It is being paused and checkpointed."""
    DUMPED = "dumped"
    """Its checkpoint is complete, verified and flushed; it is being killed while paused."""
    STOPPED = "stopped"
    """It is down and waits for resume."""
    RESTORING = "restoring"
    """Docker was, or is about to be, asked to restore it, or to start it cold."""
    RESTORED = "restored"
    """It runs from its checkpoint, and that was proved."""
    STARTED_COLD = "started-cold"
    """It was started from the beginning, by drainer, because a restore was not possible."""
    LEFT = "left"
    """Left to Docker, with its own restart policy."""
    GONE = "gone"
    """It was removed by somebody since the drain."""

    @property
    def ended(self) -> bool:
        """Whether drainer has nothing left to do for it."""
        return self in {State.RESTORED, State.STARTED_COLD, State.LEFT, State.GONE}


class CheckpointState(StrEnum):
    """What a checkpoint on disk is good for."""

    NONE = "none"
    COMPLETE = "complete"
    USED = "used"
    """Restored from, and deleted."""
    UNUSABLE = "unusable"
    """Kept for inspection only: never to be restored."""


def checkpoint_name(drain_id: str) -> str:
    """Return how the checkpoints of a drain are called."""
    return f"drainer-{drain_id}"


def moment(text: str) -> float | None:
    """Read a time of the manifest, in seconds since the epoch; None if it is none."""
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Entry:
    """One container in the manifest. Times are UTC, RFC 3339; sizes are bytes."""

    id: str
    name: str
    image: str
    state: State
    restart_policy: RestartPolicy
    """The original one, to be put back."""
    started_at: str = ""
    """Docker's `State.StartedAt` at the drain; another value later means that it ran again."""
    paused: bool = False
    """Whether its owner had paused it."""
    addresses: tuple[Address, ...] = ()
    ports: tuple[Port, ...] = ()
    """What Docker had bound on the host for it, but for ports of Docker's choice."""
    wave: int = 0
    needs: tuple[str, ...] = ()
    route: Route = Route.ENGINE
    """How its checkpoint is made and restored."""
    runtime_root: str = ""
    """Where its runtime keeps its state (runc's `--root`); empty on the engine route."""
    criu_options: tuple[str, ...] = ()
    """CRIU's options for this container alone, as lines of its configuration file."""
    priority: int = 0
    """What is higher is restored first, as far as its providers are there."""
    group: str = ""
    """With whom it was drained, all or none; empty for on its own."""
    timeout: int = 0
    """Seconds for its checkpoint, and for its restore; 0: as for all."""
    on_restore_failure: Literal["", "cold", "leave"] = ""
    """What becomes of it if it cannot be restored; empty: as for all."""
    checkpoint: str = ""
    checkpoint_state: CheckpointState = CheckpointState.NONE
    size: int = 0
    dump_milliseconds: int = 0
    """How long it took to dump and to flush it, pre-dumps with it; 0 when that is not known. A
    group is paused longer than that."""
    evidence: str = ""
    """SHA-256 of what was noted of the checkpoint; empty when an older drainer made it."""
    files_checked: str = ""
    """The boot id in which a resume compared its files, before it restored anything."""
    attempts: int = 0
    """How often its restore was asked for."""
    times: dict[str, str] = field(default_factory=dict)
    """When each state was entered, by the state's name."""
    skip_reason: str = ""
    """Id of the rule for which it was skipped; empty when it was eligible."""
    detail: str = ""
    """A sentence about what happened, for people."""
    notes: tuple[str, ...] = ()

    def moment(self, state: State) -> float | None:
        """Return when it entered a state, in seconds since the epoch; None if that is not known."""
        return moment(self.times.get(state, ""))

    @property
    def keeps_connections(self) -> bool:
        """Whether its open TCP connections are to outlast the reboot."""
        return TCP_ESTABLISHED in self.criu_options

    @property
    def restorable(self) -> bool:
        """Whether it waits for its restore, as far as the manifest tells."""
        complete = self.checkpoint_state is CheckpointState.COMPLETE
        return self.state is State.STOPPED and complete


@dataclass(frozen=True, slots=True)
class Manifest:
    """One drain and, later, its resume."""

    drain_id: str
    created: str
    trigger: str
    """`manual` or `shutdown`."""
    host: HostFacts
    engine: EngineFacts
    entries: tuple[Entry, ...]
    version: int = MANIFEST_VERSION
    finished: str = ""
    """When a resume had dealt with every entry; empty while it is pending."""
    reason: str = ""
    """Why it was asked for, in the words of who did; empty if nobody said."""
    by: str = ""
    """Who asked for it, by the login; empty if nobody did."""

    @property
    def pending(self) -> bool:
        """Whether a resume still has something to do."""
        return not self.finished

    @property
    def counts(self) -> dict[State, int]:
        """How many containers are in each state, in the order of the states."""
        found = Counter(entry.state for entry in self.entries)
        return {state: found[state] for state in State if found[state]}
