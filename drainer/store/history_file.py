"""The manifests of past drains, each in a file of its own below the state directory."""

import re

from drainer.errors import DrainerError, NoManifestError
from drainer.manifest import Manifest
from drainer.store import codec
from drainer.store.files import StateDirectory
from drainer.text import printable

HISTORY_NAME = "history"

_NAME = re.compile(r"(?P<drain>[0-9]{8}T[0-9]{6}Z)\.yaml")


class HistoryFiles:
    """The past drains of a state directory, whose lock is the caller's business."""

    def __init__(self, state: StateDirectory) -> None:
        """Look below `state`. Nothing is made there before something is kept."""
        self._state = state

    def ids(self) -> tuple[str, ...]:
        """Return the ids of the drains that are kept, the newest first. Raises `DrainerError`."""
        if not self._state.exists(HISTORY_NAME):
            return ()
        with self._state.below(HISTORY_NAME) as directory:
            found = map(_NAME.fullmatch, directory.names())
            return tuple(sorted((name["drain"] for name in found if name), reverse=True))

    def read(self, drain_id: str) -> Manifest:
        """Return what is kept of a drain. Raises as `ManifestFile.read` does."""
        with self._state.below(HISTORY_NAME) as directory:
            name = _file(drain_id)
            shown = printable(str(directory.path / name))
            try:
                data = directory.read(name, codec.LIMIT)
            except FileNotFoundError as error:
                raise NoManifestError(f"{shown}: there is no manifest") from error
            return codec.load(data, shown)

    def readable(self) -> tuple[Manifest, ...]:
        """Return all that can be read, the newest first; what cannot be is left alone."""
        found = []
        for drain_id in self.ids():
            try:
                found.append(self.read(drain_id))
            except DrainerError:
                continue
        return tuple(found)

    def keep(self, manifest: Manifest) -> None:
        """Keep a manifest, in place of what is kept of that drain; durable when this returns."""
        with self._state.below(HISTORY_NAME) as directory:
            directory.write(_file(manifest.drain_id), codec.dump(manifest))

    def forget(self, drain_id: str) -> None:
        """Keep nothing of a drain, if anything is. Raises `DrainerError`."""
        if self._state.exists(HISTORY_NAME):
            with self._state.below(HISTORY_NAME) as directory:
                directory.remove(_file(drain_id))


def _file(drain_id: str) -> str:
    name = f"{drain_id}.yaml"
    if not _NAME.fullmatch(name):
        raise NoManifestError(f"{printable(drain_id)}: not the id of a drain")
    return name
