"""The manifest in the state directory, and the holder that keeps it ahead of every act."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from drainer.errors import NoManifestError
from drainer.manifest import Entry, Manifest, State
from drainer.store import codec
from drainer.store.files import StateDirectory
from drainer.text import printable

MANIFEST_NAME = "manifest.yaml"

GROWTH = 4
LEAST_RESERVE = 1 << 20
"""Bytes kept for writing the manifest on a full disk: some times its size, and so many at least."""

DETAIL = 2000
"""Characters of a `detail`, at most: no answer of Docker's may make a manifest too large."""


def utc_now() -> datetime:
    """Return the present time, in UTC."""
    return datetime.now(UTC)


class ManifestFile:
    """The one manifest of a state directory."""

    def __init__(self, directory: StateDirectory) -> None:
        """Read and write in `directory`, whose lock is the caller's business."""
        self._directory = directory
        self._texts: codec.Texts = {}

    @property
    def directory(self) -> StateDirectory:
        """The state directory."""
        return self._directory

    @property
    def path(self) -> str:
        """Where it is, as shown to people."""
        return printable(str(self._directory.path / MANIFEST_NAME))

    @property
    def exists(self) -> bool:
        """Whether there is one, readable or not."""
        return self._directory.exists(MANIFEST_NAME)

    def read(self) -> Manifest:
        """Return the manifest.

        Raises `NoManifestError`; `ManifestInvalidError` for one that cannot be trusted;
        `NoPermissionError` for a file that others can write; `DrainerError` else.
        """
        try:
            data = self._directory.read(MANIFEST_NAME, codec.LIMIT)
        except FileNotFoundError as error:
            raise NoManifestError(
                f"{self.path}: there is no manifest", "nothing was drained; run `drainer drain`"
            ) from error
        return codec.load(data, self.path)

    def write(self, manifest: Manifest) -> None:
        """Replace the manifest; durable when this returns.

        Raises `DrainerError` when it cannot be written, `ManifestInvalidError` when it could not
        be read again.
        """
        self._directory.write(MANIFEST_NAME, codec.dump(manifest, self._texts), reserve=True)

    def remove(self) -> None:
        """Remove the manifest, if there is one. Raises `DrainerError`."""
        self._directory.remove(MANIFEST_NAME)

    def keep_reserve(self, manifest: Manifest) -> None:
        """Have this manifest, grown by what happens, fit onto a disk that is full by then.

        Without it, a container whose kill cannot be recorded would lose its checkpoint.
        """
        grown = GROWTH * len(codec.dump(manifest, self._texts))
        self._directory.keep_reserve(max(LEAST_RESERVE, grown))


class Record:
    """The current manifest, on disk and in memory, safe to use from several threads.

    Every change is on disk before it is seen here, and before the method that makes it returns.
    """

    def __init__(
        self, file: ManifestFile, manifest: Manifest, clock: Callable[[], datetime] = utc_now
    ) -> None:
        """Hold `manifest`, which is on disk already, or is with the first change."""
        self._file = file
        self._manifest = manifest
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def manifest(self) -> Manifest:
        """The manifest as last written."""
        return self._manifest

    @property
    def directory(self) -> StateDirectory:
        """The state directory that the manifest is in."""
        return self._file.directory

    def entry(self, entry_id: str) -> Entry:
        """Return one container's entry. Raises `KeyError` for an id that is not in it."""
        for entry in self._manifest.entries:
            if entry.id == entry_id:
                return entry
        raise KeyError(entry_id)

    def update(self, entry_id: str, *, state: State | None = None, **changes: object) -> Entry:
        """Change fields of one entry, durably, and return it as it is now.

        A new `state` is stamped in the entry's `times`. Raises `KeyError` for an unknown id,
        `TypeError` for an unknown field, and what `ManifestFile.write` raises; after an error the
        entry is unchanged here.
        """
        with self._lock:
            entry = self.entry(entry_id)
            if isinstance(detail := changes.get("detail"), str):
                changes["detail"] = detail[:DETAIL]
            if state is not None:
                changes["state"] = state
                changes["times"] = {**entry.times, state.value: self._now()}
            changed = replace(entry, **cast("Mapping[str, Any]", changes))
            entries = tuple(changed if e.id == entry_id else e for e in self._manifest.entries)
            self._write(replace(self._manifest, entries=entries))
            return changed

    def update_all(self, changes: Mapping[str, Mapping[str, object]]) -> None:
        """Change fields of several entries in one write, by id; ids that are unknown are ignored.

        Raises as `update` does.
        """
        with self._lock:
            entries = tuple(
                replace(e, **cast("Mapping[str, Any]", changes.get(e.id, {})))
                for e in self._manifest.entries
            )
            self._write(replace(self._manifest, entries=entries))

    def finish(self) -> Manifest:
        """Note, durably, that a resume has dealt with every entry; return the manifest."""
        with self._lock:
            self._write(replace(self._manifest, finished=self._now()))
            return self._manifest

    def _now(self) -> str:
        return self._clock().astimezone(UTC).isoformat(timespec="milliseconds")

    def _write(self, manifest: Manifest) -> None:
        self._file.write(manifest)
        self._manifest = manifest
