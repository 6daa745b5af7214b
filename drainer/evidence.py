"""What a restore has to find as it was at the drain: images, and the files in use. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from drainer.model import Container, Mount
from drainer.text import printable

FILES_LIMIT = 4096
"""How many files of one container are noted."""
PATHS_LIMIT = 1 << 20
"""How many characters the paths of all of them may have; a path may have 4095."""

_FEW = 300


@dataclass(frozen=True, slots=True)
class FileNote:
    """A file as it was found. A missing one has no inode."""

    path: str
    """Where it is on the host; bytes that are not UTF-8 are lone surrogates (`os.fsdecode`)."""
    inode: int = 0
    size: int = 0
    """Bytes; -1 for what is not a plain file."""
    mtime: int = 0
    """Nanoseconds since the epoch."""

    @property
    def missing(self) -> bool:
        """Whether there was nothing at that path."""
        return self.inode == 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was noted of one container between its dump and its kill."""

    images: Mapping[str, str]
    """Checksum of each image by file name; empty where time did not allow it."""
    files: tuple[FileNote, ...] = ()
    """The plain files that its processes had open or mapped."""


def bounded(files: Iterable[FileNote]) -> tuple[FileNote, ...]:
    """Return as many of the first files as may be noted."""
    kept: list[FileNote] = []
    room = PATHS_LIMIT
    for file in files:
        room -= len(file.path)
        if room < 0 or len(kept) == FILES_LIMIT:
            break
        kept.append(file)
    return tuple(kept)


def different_image(noted: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Say which image is the first that is not as noted; empty if there is none."""
    for name in sorted({*noted, *found}):
        if name not in found:
            return f"{printable(name)}: missing"
        if name not in noted:
            return f"{printable(name)}: it was not there at the drain"
        if _comparable(noted[name], found[name]) and noted[name] != found[name]:
            return f"{printable(name)}: its content is not that of the drain (checksum)"
    return ""


def _comparable(noted: str, found: str) -> bool:
    """Tell whether both checksums were made, and in the same way."""
    return bool(noted and found) and noted.rpartition(":")[0] == found.rpartition(":")[0]


def changed(files: Iterable[FileNote], look: Callable[[str], FileNote]) -> dict[str, str]:
    """Say of each file that is not as noted what has become of it, by path.

    `look` tells how a path is found now.
    """
    found = {note.path: _change(note, look(note.path)) for note in files}
    return {path: change for path, change in found.items() if change}


def _change(then: FileNote, now: FileNote) -> str:
    if then.missing:
        return "" if now.missing else "it was put in place of the image's own"
    if now.missing:
        return "it is no longer there"
    if now.size < 0 or now.inode != then.inode:
        return "it was replaced"
    if now.size != then.size:
        return f"it had {then.size} bytes and has {now.size}"
    return "it was written to" if now.mtime != then.mtime else ""


def change_sentence(path: str, change: str) -> str:
    """Say for people why a container cannot go on from its checkpoint."""
    return (
        f"a file that it uses has changed since its checkpoint: {printable(path, _FEW)}: {change}"
    )


def places(container: Container) -> tuple[str, ...]:
    """Return where on the host are the volumes and bind mounts that a container can write to."""
    found = (m.source for m in container.mounts if is_place(m) and m.writable)
    return tuple(dict.fromkeys(found))


def is_place(mount: Mount) -> bool:
    """Tell a volume or bind mount, whose files others can see, from what is in memory."""
    return mount.kind in {"bind", "volume"} and bool(mount.source)


def is_below(path: str, place: str) -> bool:
    """Tell whether a path is a place itself, or in it."""
    return f"{path}/".startswith(f"{place.rstrip('/')}/")
