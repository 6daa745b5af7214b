"""How much room there is on the file systems that take checkpoints."""

import os
from pathlib import Path

from drainer.host import containerd
from drainer.host.procfs import Proc, parse_mountinfo, parse_status
from drainer.model import EngineFacts
from drainer.storage import FileSystem, Places

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_KEEP_BLOCKS_FOR_ROOT = frozenset({"ext2", "ext3", "ext4"})
"""Elsewhere, as on btrfs, blocks that are free but not available are so for root, too."""


def places(
    proc: Proc, engine: EngineFacts, state: Path, sight: containerd.Sight | None = None
) -> Places:
    """Look at every place that a checkpoint takes room in. Never raises, and makes nothing.

    containerd's places are looked at with containerd's eyes, as its unit may have a private /tmp;
    to find it takes long, so that may have been done before.
    """
    sight = sight or containerd.sight(proc)
    own, theirs = os.getpid(), sight.pid
    temporary, root = (containerd.inside(proc, theirs, p) for p in (sight.temporary, sight.root))
    return Places(
        state=file_system(proc, own, state, str(state)),
        docker=file_system(proc, own, Path(engine.root_dir), engine.root_dir),
        temporary=file_system(proc, theirs, temporary, sight.temporary),
        content=file_system(proc, theirs, root, sight.root),
        memory=free_memory(proc.text("meminfo")),
    )


def file_system(proc: Proc, pid: int, path: Path, shown: str) -> FileSystem:
    """Describe the file system of a path, or of the nearest directory above it that is there.

    `pid` is a process in whose mount namespace it is.
    """
    try:
        present = next(p for p in (path, *path.parents) if p.exists())
        number, kind, system = examined(proc, pid, present)
    except (OSError, ValueError, StopIteration):
        return FileSystem(path=shown)
    return FileSystem(
        number,
        shown,
        free=free_bytes(system, kind),
        # Some, such as btrfs, make them as they are needed, and count none.
        inodes=system.f_favail if system.f_files else None,
        in_memory=kind in _IN_MEMORY,
    )


def examined(proc: Proc, pid: int, path: Path) -> tuple[str, str, os.statvfs_result]:
    """Return number (`major:minor`), type and figures of the file system of a path that is there.

    The type is empty when it is unknown. Raises OSError.
    """
    device, system = path.stat().st_dev, os.statvfs(path)
    number = f"{os.major(device)}:{os.minor(device)}"
    return number, kind_of(proc.text(pid, "mountinfo"), number), system


def kind_of(mountinfo: str, number: str) -> str:
    """Find the type of the file system `major:minor` in /proc/PID/mountinfo; empty without it."""
    for line in mountinfo.split("\n"):
        # The other words of a line may say so too: only this line is taken apart.
        if f" {number} " in line:
            for mount in parse_mountinfo(line):
                if mount.device == number:
                    return mount.kind
    return ""


def free_bytes(system: os.statvfs_result, kind: str) -> int | None:
    """Return what root may still write to a file system of that type; None without a limit.

    Whoever writes checkpoints is root: drainer, CRIU, containerd, Docker.
    """
    if not system.f_blocks:
        # A tmpfs or ramfs whose size was not limited.
        return None
    free = system.f_bfree if kind in _KEEP_BLOCKS_FOR_ROOT else system.f_bavail
    return free * system.f_frsize


def free_memory(text: str) -> int | None:
    """Read /proc/meminfo (proc_meminfo(5)): bytes that can be used without swapping."""
    words = parse_status(text).get("MemAvailable", "").split()
    return int(words[0]) * 1024 if words and words[0].isdecimal() else None
