"""The files on the fake host that containers have open, and who has written to them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from drainer.evidence import FileNote

_SIZE = 4096


@dataclass(frozen=True, slots=True)
class FakeFile:
    """One file. Writes never change its size, so that only its time tells of them."""

    inode: int
    by_restored: int = 0
    """Writes by containers that ran from a checkpoint."""
    by_others: int = 0


class FakeFiles:
    """Files by path. Missing ones come into being when they are written."""

    def __init__(self) -> None:
        self._files: dict[str, FakeFile] = {}
        self._inodes = 10
        self.away: set[str] = set()
        """Paths on a disk that is not there now."""

    def write(self, path: str, *, restored: bool = False) -> None:
        """Write to a file in place; `restored` tells that a restored container does."""
        file = self._files.get(path) or self._new()
        self._files[path] = (
            replace(file, by_restored=file.by_restored + 1)
            if restored
            else replace(file, by_others=file.by_others + 1)
        )

    def replace(self, path: str) -> None:
        """Put another file in its place, with the same times."""
        self._files[path] = replace(self._files[path], inode=self._new().inode)

    def remove(self, path: str) -> None:
        """Remove a file."""
        del self._files[path]

    def look(self, path: str) -> FileNote:
        """Look at a file as a host does."""
        file = self._files.get(path)
        if file is None or path in self.away:
            return FileNote(path)
        return FileNote(path, file.inode, _SIZE, file.by_restored + file.by_others)

    def state(self, paths: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Return what a checkpoint has to find again: anything but the writes of restored ones."""
        known = {path: self._files.get(path) for path in paths}
        return {path: (f.inode, f.by_others) if f else (0, 0) for path, f in known.items()}

    def changed(self, state: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
        """Return the paths that are not as they were when `state` was taken."""
        return tuple(path for path, then in state.items() if self.state([path])[path] != then)

    def _new(self) -> FakeFile:
        self._inodes += 1
        return FakeFile(self._inodes)
