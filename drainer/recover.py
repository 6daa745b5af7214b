"""Decide from the manifest and from Docker alone what a container still needs. Pure.

Whatever ended the last run - its own end, a crash, a power cut - the answer is the same, and
acting on it twice is harmless.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum

from drainer.addresses import Number, number
from drainer.manifest import CheckpointState, Entry, State
from drainer.model import Container


class Step(StrEnum):
    """What to do with one container."""

    NOTHING = "nothing"
    FORGET = "forget"
    """It was removed."""
    RELEASE = "release"
    """Give it back to Docker: thaw it, put its restart policy back."""
    RESTORE = "restore"
    CONFIRM = "confirm"
    """It runs after a restore was asked for: find out which way, and finish."""
    CLEAN = "clean"
    """It was restored, and its used checkpoint may still be on disk."""
    START_COLD = "start cold"
    """A restore was asked for and must not be asked for again."""
    START_LIKE_DOCKER = "start like Docker"
    """Docker could not start it at boot, because what it uses was still down."""


def next_step(entry: Entry, container: Container | None, *, waited: bool = False) -> Step:
    """Decide on one container.

    `container` is what Docker says now, None if it is not there. `waited` tells that the
    container uses another one which drainer took down, directly or not.
    """
    if entry.state in {State.STARTED_COLD, State.GONE}:
        return Step.NOTHING
    if container is None:
        left_or_back = entry.state in {State.LEFT, State.RESTORED}
        return Step.NOTHING if left_or_back else Step.FORGET
    match entry.state:
        case State.RESTORED:
            used = entry.checkpoint_state is CheckpointState.USED
            step = Step.NOTHING if used else Step.CLEAN
        case State.LEFT:
            step = Step.START_LIKE_DOCKER if waited and not container.running else Step.NOTHING
        case State.RESTORING:
            step = Step.CONFIRM if container.running else Step.START_COLD
        case State.DUMPED | State.STOPPED:
            step = _after_dump(entry, container)
        case _:
            step = Step.RELEASE
    return step


def _after_dump(entry: Entry, container: Container) -> Step:
    """Restore only what drainer itself saw killed while paused.

    What was down before that (`dumped`) may have been thawed and told to stop, by its owner or by
    Docker's own stop (moby daemon/kill.go resumes a paused container after the signal): then its
    program has run on, without another `StartedAt`.
    """
    if container.running or container.started_at != entry.started_at:
        return Step.RELEASE
    usable = entry.checkpoint_state is CheckpointState.COMPLETE
    return Step.RESTORE if usable and entry.state is State.STOPPED else Step.START_COLD


def waiting_users(entries: Iterable[Entry]) -> frozenset[str]:
    """Return the ids of containers that use, directly or not, an eligible one.

    Docker waits at most five seconds for a network provider or link target that it starts itself
    (moby daemon/daemon.go restore) and then fails to start the user; a provider that drainer
    took down comes back later than that.
    """
    known = tuple(entries)
    carried = {e.id for e in known if e.checkpoint}
    waiting: set[str] = set()
    while True:
        more = {
            e.id for e in known if e.id not in waiting and (carried | waiting).intersection(e.needs)
        }
        if not more:
            return frozenset(waiting)
        waiting |= more


def resume_order(entries: Collection[Entry]) -> dict[str, list[str]]:
    """Return who is waited for, by id, in the order in which they are resumed.

    Providers come first, also where only the number of places decides who waits; then those of the
    highest priority, then of the lowest address, so that the fewest have to be held.
    """
    known = {e.id: e for e in entries}
    return {
        e.id: [p for p in e.needs if p in known and known[p].wave > e.wave]
        for e in sorted(entries, key=_turn)
    }


def _turn(entry: Entry) -> tuple[int, int, list[Number]]:
    addresses = (number(a.ipv4) for a in entry.addresses)
    return -entry.wave, -entry.priority, [found for found in addresses if found]
