"""Keep past drains for a while, and discard what is kept of them."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from drainer.carriers.base import Carriers
from drainer.errors import (
    ContainerGoneError,
    DrainerError,
    EngineTimeoutError,
    EngineUnavailableError,
)
from drainer.history import Retention, failed, surplus, without
from drainer.manifest import Entry, Manifest
from drainer.store.files import StateDirectory
from drainer.store.history_file import HistoryFiles
from drainer.store.manifest_file import ManifestFile


def keep_last(file: ManifestFile) -> tuple[str, ...] | None:
    """Keep the manifest that the next drain is about to replace; return the ids of all kept drains.

    None if they cannot be told: then nothing may be deleted that could be theirs.

    Never raises: that a past drain cannot be kept must not keep the next one from its work.
    """
    history = HistoryFiles(file.directory)
    with suppress(DrainerError):
        if file.exists:
            history.keep(file.read())
    with suppress(DrainerError):
        return history.ids()
    return None


def expire(
    directory: StateDirectory,
    last: Manifest,
    carriers: Carriers,
    retention: Retention | None,
    now: datetime,
) -> None:
    """Discard what is to be kept no longer beside the last drain; None keeps all. Never raises."""
    if retention is None:
        return
    history = HistoryFiles(directory)
    # What is left when Docker does not answer is there for the next resume.
    with suppress(DrainerError):
        found = surplus(last, history.readable(), retention, now)
        for manifest in found.drains:
            if delete(failed(manifest), carriers) is None:
                history.forget(manifest.drain_id)
        for manifest, entries in found.checkpoints:
            if delete(entries, carriers) is None:
                history.keep(without(manifest, entries))


def delete(entries: Iterable[Entry], carriers: Carriers) -> DrainerError | None:
    """Delete the checkpoints of these containers; return the first error if one stays.

    Raises `EngineTimeoutError` and `EngineUnavailableError` at once.
    """
    first: DrainerError | None = None
    for entry in entries:
        try:
            # Docker removes its own checkpoints with the container.
            with suppress(ContainerGoneError):
                carriers[entry.route].delete(entry)
        except (EngineTimeoutError, EngineUnavailableError):
            raise
        except DrainerError as error:
            first = first or error
    return first
