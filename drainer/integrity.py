"""See to it that no checkpoint is restored from other images, or over other files, than its own."""

import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from types import MappingProxyType
from typing import NamedTuple

from drainer.carriers.base import Saved
from drainer.deadline import Deadline
from drainer.engine.base import Engine
from drainer.errors import CheckpointInvalidError, ContainerGoneError, DrainerError
from drainer.evidence import (
    FILES_LIMIT,
    Evidence,
    bounded,
    change_sentence,
    changed,
    different_image,
    is_below,
    places,
)
from drainer.host.base import Host
from drainer.host.following import Reading
from drainer.manifest import CheckpointState, Entry, State
from drainer.model import Container
from drainer.store import evidence_file
from drainer.store.manifest_file import Record

SLACK_SECONDS = 5.0
"""How much longer than its dump the checksums of a checkpoint may take."""
DRAIN_RESERVE = 15.0
"""Seconds of a drain's budget that no checksums are made in: a kill and its records need them."""
RESUME_RESERVE = 60.0
"""Seconds of a resume's budget that no checksums are made in: restores need them."""


class Secured(NamedTuple):
    """What was noted of a checkpoint."""

    digest: str
    """Of the note."""
    notes: tuple[str, ...]
    """Sentences on what was not noted."""
    flushing: float
    """How many seconds it took to flush it."""


class Foreseen(NamedTuple):
    """What is known of pre-dumps."""

    checksums: Mapping[str, str] = MappingProxyType({})
    flushing: float = 0.0
    """How many seconds it took to flush them."""


def secure(
    host: Host,
    record: Record,
    container: Container,
    directory: str,
    deadline: Deadline,
    took: float,
    read: Reading,
    known: Mapping[str, str] = MappingProxyType({}),
) -> Secured:
    """Flush what a paused container's checkpoint has to be found with, and note it durably.

    `directory` holds its images, whose dump took so many seconds and of which some was `read`
    meanwhile; the checksums of those of pre-dumps may be known (`foresee`). Checksums that time
    does not allow are left out: they are worth less than the memory of this container, or of those
    that wait for their turn.
    """
    # After a power cut the files must be as the memory remembers them.
    flushing = _flush(host, directory, *host.written_places(container))
    # Only now: what the kernel had still put off, such as times with `lazytime`, is settled.
    found = host.files_in_use(container, FILES_LIMIT + 1)
    files = bounded(found)
    reading = deadline.part(took + SLACK_SECONDS, keep=DRAIN_RESERVE)

    def stop() -> bool:
        return reading.ended

    images = host.checksums(directory, stop, {**known, **read(stop)})
    digest = evidence_file.write(record.directory, container.id, Evidence(images, files))
    notes = []
    if len(files) < len(found):
        notes.append(f"it has more files open than are checked for changes: {len(files)} are")
    if not all(images.values()):
        notes.append("there was no time for the checksums of its checkpoint")
    return Secured(digest, tuple(notes), flushing)


def _flush(host: Host, *places: str) -> float:
    """Flush places; return how many seconds that took."""
    begin = time.monotonic()
    for place in places:
        host.flush(place)
    return time.monotonic() - begin


def foresee(host: Host, saved: Sequence[Saved], deadline: Deadline) -> Foreseen:
    """Flush pre-dumps, and find their checksums, by the names that a later dump gives them.

    The container runs meanwhile. What there is no time for now is not to be read while it is frozen
    either: such a checksum is empty.
    """
    directory = saved[-1].directory
    flushing = _flush(host, directory)
    left = deadline.left
    reading = deadline.part(math.inf if left is None else left / 4, keep=DRAIN_RESERVE)

    def stop() -> bool:
        return reading.ended

    known = {
        (name if each is saved[-1] else f"../{PurePath(each.directory).name}/{name}"): checksum
        for each in saved
        for name, checksum in each.read(stop).items()
    }
    found = host.checksums(directory, stop, known)
    behind = f"../{PurePath(directory).name}/"
    checksums = {n if n.startswith("../") else behind + n: text for n, text in found.items()}
    return Foreseen(checksums, flushing)


def check_files(
    record: Record, host: Host, boot_id: str, deadline: Deadline, away: Collection[str] = ()
) -> None:
    """Find out, before anything is restored, which containers' files have changed.

    What is restored may write to files that others share with it, so this is done once for all of
    them, and what came of it is on disk before the first restore: a resume that is run again in
    the same boot relies on it. In another boot, Docker may have started others meanwhile, so then
    all is looked at anew. A checkpoint whose files have changed becomes unusable. Of the
    containers `away` the files are out of reach: they are not missing.
    """
    verdicts: dict[str, Mapping[str, object]] = {}
    for entry in record.manifest.entries:
        if not (entry.restorable and entry.evidence and entry.id not in away):
            continue
        if boot_id and entry.files_checked == boot_id:
            continue
        if deadline.ended:
            # Then nothing more is restored in this run.
            break
        why = _files_obstacle(record, host, entry)
        verdict: dict[str, object] = {"files_checked": boot_id}
        if why:
            verdict |= {"detail": why, "checkpoint_state": CheckpointState.UNUSABLE}
        verdicts[entry.id] = verdict
    if verdicts:
        record.update_all(verdicts)


def _files_obstacle(record: Record, host: Host, entry: Entry) -> str:
    try:
        evidence = evidence_file.read(record.directory, entry.id, entry.evidence)
    except CheckpointInvalidError as error:
        return _lost(error)
    for path, change in changed(evidence.files, host.look).items():
        return change_sentence(path, change)
    return ""


def restore_obstacle(
    entry: Entry,
    directory: str,
    record: Record,
    engine: Engine,
    host: Host,
    deadline: Deadline,
) -> str:
    """Say, just before a restore, why the images in `directory` must not be used; else empty.

    Checksums that time does not allow are not compared: a slow disk is no damage.
    Raises `DrainerError` when that cannot be told now: when Docker does not answer, or drainer was
    interrupted.
    """
    try:
        found = host.verify_checkpoint(directory)
        if found != entry.size:
            return f"its checkpoint is damaged: it has {found} bytes and had {entry.size}"
        if not entry.evidence:
            return ""
        left = deadline.left
        reading = deadline.part(math.inf if left is None else left / 2, keep=RESUME_RESERVE)
        images = host.checksums(
            directory,
            lambda: reading.ended,
            host.known_checksums(directory),
        )
    except CheckpointInvalidError as error:
        return f"its checkpoint is damaged: {error.message}"
    if deadline.interrupted:
        raise DrainerError("interrupted while its checkpoint was checked")
    return _difference(record, entry, images, engine, host)


def _difference(
    record: Record, entry: Entry, images: Mapping[str, str], engine: Engine, host: Host
) -> str:
    try:
        evidence = evidence_file.read(record.directory, entry.id, entry.evidence)
    except CheckpointInvalidError as error:
        return _lost(error)
    if different := different_image(evidence.images, images):
        return f"its checkpoint is damaged: {different}"
    return _foreign_change(evidence, record, engine, host)


def _foreign_change(evidence: Evidence, record: Record, engine: Engine, host: Host) -> str:
    """Say which file has changed since all were checked, by others than restored neighbours.

    For a container, its time in a checkpoint is a pause, and so it is for a neighbour that was
    restored: what that one writes next, until it ends, is what would have come next without a
    reboot. One that was started cold has lost its memory, and may have begun the file anew.
    """
    changes = changed(evidence.files, host.look)
    if not changes:
        return ""
    cold = [c for c in engine.running() if not host.is_restored(c)]
    restored = _present(engine, filter(_is_restored, record.manifest.entries))
    for path, change in changes.items():
        if _writes(cold, path) or not _writes(restored, path):
            return change_sentence(path, change)
    return ""


def _is_restored(entry: Entry) -> bool:
    """Tell whether it was restored, or may be at work before Docker says so.

    A cold start is announced by the same state, but with a checkpoint that is unusable.
    """
    asked_for = entry.checkpoint_state is CheckpointState.COMPLETE
    return entry.state is State.RESTORED or (entry.state is State.RESTORING and asked_for)


def _present(engine: Engine, entries: Iterable[Entry]) -> list[Container]:
    found = []
    for entry in entries:
        with suppress(ContainerGoneError):
            found.append(engine.inspect(entry.id))
    return found


def _writes(containers: Iterable[Container], path: str) -> bool:
    """Tell whether any of them may write to a file."""
    return any(is_below(path, place) for c in containers for place in places(c))


def _lost(error: CheckpointInvalidError) -> str:
    return f"its checkpoint cannot be checked: {error.message}"
