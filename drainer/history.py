"""What is kept of past drains, and for how long. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from drainer.errors import NoManifestError
from drainer.manifest import CheckpointState, Entry, Manifest, moment
from drainer.text import printable


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept of past drains, beside the last one."""

    drains: int = 20
    days: int = 90
    checkpoint_bytes: int = 2048 << 20
    """Of failed checkpoints, those of the last drain included, which are kept in any case."""


@dataclass(frozen=True, slots=True)
class Surplus:
    """What is kept too long, or takes too much room."""

    drains: tuple[Manifest, ...] = ()
    """Of these nothing is kept."""
    checkpoints: tuple[tuple[Manifest, tuple[Entry, ...]], ...] = ()
    """Of these only what is known of each container, without these checkpoints."""


def failed(manifest: Manifest) -> tuple[Entry, ...]:
    """Return the containers whose checkpoint is on disk for inspection only."""
    unusable = CheckpointState.UNUSABLE
    return tuple(e for e in manifest.entries if e.checkpoint_state is unusable and e.size)


def failed_bytes(manifest: Manifest) -> int:
    """Return the size of all failed checkpoints."""
    return sum(entry.size for entry in failed(manifest))


def without(manifest: Manifest, entries: Iterable[Entry]) -> Manifest:
    """Return a manifest by which the checkpoints of these containers are not there any more."""
    gone = {entry.id for entry in entries}
    return replace(
        manifest,
        entries=tuple(
            replace(e, checkpoint_state=CheckpointState.NONE) if e.id in gone else e
            for e in manifest.entries
        ),
    )


def surplus(
    last: Manifest, past: Iterable[Manifest], retention: Retention, now: datetime
) -> Surplus:
    """Say what is not to be kept any longer of `past`, which begins with the newest."""
    oldest = (now - timedelta(days=retention.days)).timestamp()
    room = retention.checkpoint_bytes - failed_bytes(last)
    drains: list[Manifest] = []
    checkpoints: list[tuple[Manifest, tuple[Entry, ...]]] = []
    for number, manifest in enumerate(past):
        if number >= retention.drains or (moment(manifest.created) or 0.0) < oldest:
            drains.append(manifest)
            continue
        too_much = []
        for entry in failed(manifest):
            if entry.size <= room:
                room -= entry.size
            else:
                too_much.append(entry)
        if too_much:
            checkpoints.append((manifest, tuple(too_much)))
    return Surplus(tuple(drains), tuple(checkpoints))


def choose(drain_ids: Iterable[str], wanted: str) -> str:
    """Return the one id that is `wanted`, or begins so. Raises `NoManifestError`."""
    ids = tuple(dict.fromkeys(drain_ids))
    found = [wanted] if wanted in ids else [i for i in ids if wanted and i.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    shown = printable(wanted)
    if found:
        raise NoManifestError(f"{shown}: {len(found)} drains begin so", "give more of the id")
    raise NoManifestError(f"{shown}: no such drain is kept", "`drainer list` shows those that are")
