"""The plain files that a container's processes have in use, and where they are on the host."""

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from drainer.evidence import FileNote, is_below, is_place
from drainer.host import cgroups
from drainer.host.proc import members
from drainer.host.procfs import MountPoint, Proc, parse_maps, parse_mountinfo, parse_status
from drainer.model import Container, Mount

LASTING = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "xfs", "zfs"}
)
"""File systems whose files have the same inode and time after a reboot. Not: memory; what is
reached over a network, where a look could hang; vfat and exfat, which make inodes up."""

_DELETED = " (deleted)"


def files_in_use(
    container: Container, limit: int, proc: Proc, groups: Path = cgroups.CGROUPS
) -> tuple[FileNote, ...]:
    """Note the files of a paused container, at most `limit`; first what each process has open.

    Left out is what is deleted, or not on a lasting file system, what cannot be found on the host
    with certainty, or not be looked at while the container is down, and what the container only
    appends to or cannot write to: its program expects such a file to change.
    """
    return tuple(islice(_notes(container, proc, groups), limit))


def written_places(container: Container, proc: Proc) -> tuple[str, ...]:
    """Return where a running container can write: its layer, and what it mounts from a disk."""
    points, own = _mounts(proc, container.pid), _mounts(proc, "self")
    root = _covering("/", points)
    layers = [root.layer] if root and root.layer else []
    on_disk = (m.source for m in container.mounts if m.writable and _is_on_disk(m, points, own))
    return tuple(dict.fromkeys((*layers, *on_disk)))


def _is_on_disk(mount: Mount, points: Sequence[MountPoint], own: Sequence[MountPoint]) -> bool:
    """Tell whether a volume or bind mount is on a lasting file system.

    Its source may be a symbolic link to another one: what is mounted tells for sure. But it is not
    found by the path of its destination, if that is one.
    """
    if not is_place(mount):
        return False
    point = _covering(mount.destination, points)
    if point is None or point.path != mount.destination.rstrip("/"):
        point = _covering(mount.source, own)
    return point is not None and point.kind in LASTING


def look(path: str) -> FileNote:
    """Look at a path on the host. What cannot be reached counts as missing."""
    try:
        return _note(path, os.stat(path))  # noqa: PTH116 - a Path would normalise what was noted
    except (OSError, ValueError):
        return FileNote(path)


def _note(path: str, found: os.stat_result) -> FileNote:
    if not stat.S_ISREG(found.st_mode):
        return FileNote(path, found.st_ino, -1)
    return FileNote(path, found.st_ino, found.st_size, found.st_mtime_ns)


def _notes(container: Container, proc: Proc, groups: Path) -> Iterator[FileNote]:
    seen: set[tuple[str, str]] = set()
    tables: dict[str, tuple[MountPoint, ...]] = {}
    own = frozenset(point.path for point in _mounts(proc, "self"))
    for pid in members(proc, container, groups):
        view = proc.link(pid, "ns", "mnt")
        if view not in tables:
            tables[view] = _mounts(proc, pid)
        for name, file in _used(proc, pid):
            if (view, name) in seen:
                continue
            seen.add((view, name))
            note = _found(name, file, tables[view], partial(_source, container, own))
            if note:
                yield note


def _used(proc: Proc, pid: int) -> Iterator[tuple[str, Path]]:
    """Yield name and file of what a process has open, then of what it has mapped."""
    for number in proc.names(pid, "fd"):
        path = proc.root / f"{pid}/fd/{number}"
        try:
            name = str(path.readlink())
        except OSError:
            continue
        if _is_path(name) and not _only_appends(proc.text(pid, "fdinfo", number)):
            yield name, path
    for mapped in parse_maps(_text(proc, pid, "maps")):
        if _is_path(mapped.path):
            yield mapped.path, proc.root / f"{pid}/map_files/{mapped.range}"


def _only_appends(details: str) -> bool:
    """Read /proc/PID/fdinfo/N; such files are those whose size CRIU does not check, either.

    (criu files-reg.c should_check_size)
    """
    flags = int(parse_status(details).get("flags") or "0", 8)
    return flags & os.O_ACCMODE == os.O_WRONLY and bool(flags & os.O_APPEND)


def _is_path(name: str) -> bool:
    return name.startswith("/") and not name.endswith(_DELETED)


def _found(
    name: str, file: Path, mounts: Sequence[MountPoint], source: Callable[[str], str]
) -> FileNote | None:
    """Find on the host the file that processes know by `name`; None where that is not certain."""
    point = _covering(name, mounts)
    if point is None or point.read_only or (point.kind not in LASTING and not point.layer):
        return None
    try:
        used = file.stat()
    except OSError:
        return None
    if not stat.S_ISREG(used.st_mode):
        return None
    if point.layer:
        return _in_layer(point.layer + name, used) if point.path == "/" else None
    path = source(name)
    try:
        found = os.stat(path)  # noqa: PTH116 - as in `look`
    except (OSError, ValueError):
        return None
    same = (found.st_dev, found.st_ino) == (used.st_dev, used.st_ino)
    return _note(path, found) if same else None


def _in_layer(path: str, used: os.stat_result) -> FileNote | None:
    """Note a file of the container's own.

    One that is not in the writable layer is the image's, and noted as missing in the layer, where
    a `docker cp` would put another one. Inodes cannot be compared: overlayfs makes them up.
    """
    note = look(path)
    same = (note.size, note.mtime) == (used.st_size, used.st_mtime_ns)
    return note if same or note.missing else None


def _source(container: Container, mounted: Collection[str], name: str) -> str:
    """Return where on the host a file in a volume or bind mount is; empty if in none.

    Empty also for a volume that is at its place only while a container uses it. Docker mounts those
    of other drivers, and those with options of `local`, at a container's start (moby
    volume/local/local.go). `mounted` are the mount points of the host.
    """
    found = [m for m in container.mounts if is_place(m) and is_below(name, m.destination)]
    if not found:
        return ""
    mount = max(found, key=lambda m: len(m.destination))
    lent = mount.driver not in {"", "local"} or mount.source in mounted
    if mount.kind == "volume" and lent:
        return ""
    return mount.source + name[len(mount.destination.rstrip("/")) :]


def _covering(name: str, mounts: Iterable[MountPoint]) -> MountPoint | None:
    """Return the mount that a path is on; of two in one place the later one is on top."""
    found = None
    for mount in mounts:
        if is_below(name, mount.path) and (found is None or len(mount.path) >= len(found.path)):
            found = mount
    return found


def _mounts(proc: Proc, pid: int | str) -> tuple[MountPoint, ...]:
    return parse_mountinfo(_text(proc, pid, "mountinfo"))


def _text(proc: Proc, *parts: str | int) -> str:
    """Read a file as text with names as `os.fsdecode` has them, so that they can be opened."""
    try:
        return os.fsdecode(proc.root.joinpath(*map(str, parts)).read_bytes())
    except OSError:
        return ""
