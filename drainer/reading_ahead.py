"""Read checkpoints after a boot, before Docker is up to restore them."""

from collections.abc import Callable
from contextlib import suppress

from drainer.carriers.base import Carriers
from drainer.errors import DrainerError
from drainer.host.base import Host
from drainer.manifest import Manifest
from drainer.recover import resume_order


def read_ahead(
    manifest: Manifest, host: Host, carriers: Carriers, room: int | None, stop: Callable[[], bool]
) -> int:
    """Read the checkpoints that wait, the first to be restored first; return how many were read.

    So are they in memory, and their checksums known, when Docker is up. No more is read than
    `room`, in bytes, if that is known: what is read would be pushed out again.
    """
    count = 0
    known = {entry.id: entry for entry in manifest.entries}
    for entry in map(known.__getitem__, resume_order(manifest.entries)):
        if not (entry.restorable and entry.evidence):
            continue
        if stop():
            break
        if room is not None:
            if entry.size > room:
                continue
            room -= entry.size
        # What is wrong with it the resume finds out, and says.
        with suppress(DrainerError):
            host.read_ahead(carriers[entry.route].images(entry), stop)
            count += 1
    return count
