"""Open and mapped files of processes, and which of them CRIU cannot carry."""

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from drainer.host.procfs import Proc, parse_maps

GHOST_LIMIT = 1 << 20
"""Bytes on disk of a deleted file that CRIU copies (criu include/cr_options.h)."""

_SUPPORTED_INODES = {
    "eventfd",
    "eventpoll",
    "inotify",
    "fanotify",
    "signalfd",
    "timerfd",
    "pidfd",
}
_SUPPORTED_SOCKETS = {
    "TCP",
    "TCPv6",
    "UDP",
    "UDPv6",
    "UDP-Lite",
    "UDPLITEv6",
    "RAW",
    "RAWv6",
    "PING",
    "PINGv6",
    "UNIX",
    "UNIX-STREAM",
    "PACKET",
    "NETLINK",
}
"""As in /proc/net/protocols; what criu sockets.c and sk-inet.c know."""

_SOCKET = re.compile(r"socket:\[(\d+)\]", re.ASCII)
_UNIX = {"UNIX", "UNIX-STREAM"}

_MEMORY_DEVICES = {(1, minor) for minor in (3, 5, 7, 8, 9)}
"""null, zero, full, random, urandom."""
_TERMINALS = {4, 5, *range(136, 144)}
"""Majors of virtual terminals, of tty, console and ptmx, and of pseudo terminals."""
_OTHER_DEVICES = {(10, 200), (10, 235)}
"""net/tun and autofs."""

_DELETED = " (deleted)"
_KERNEL_MEMORY = ("/memfd:", "/SYSV", "/dev/zero (deleted)", "/anon_hugepage", "/[aio]")
"""Names of memory that looks like a deleted file and that CRIU dumps as memory."""

_SHM = "/dev/shm/"  # noqa: S108 - a path to compare with; nothing is made there
_SECRET = "/secretmem (deleted)"  # noqa: S105 - the kernel's name for memfd_secret memory
_OVERLAY_HANDLE = "fhandle-type:f8"
_LISTED = 20


@dataclass(frozen=True, slots=True)
class UsedFile:
    """A file that a process has open or mapped."""

    name: str
    """The link's target: a path in the process's view, or such as `socket:[123]`."""
    path: Path
    """What leads to the file itself: /proc/PID/fd/N or /proc/PID/map_files/RANGE."""
    details: str = ""
    """/proc/PID/fdinfo/N; empty for a mapping."""

    @property
    def is_socket(self) -> bool:
        """Whether it is an open socket."""
        return self.name.startswith("socket:[")

    def is_open(self) -> bool:
        """Tell whether it is still the same."""
        try:
            return str(self.path.readlink()) == self.name
        except OSError:
            return False


def used_files(proc: Proc, pid: int) -> Iterator[UsedFile]:
    """Yield what a process has open, then what it has mapped."""
    for number in proc.names(pid, "fd"):
        if name := proc.link(pid, "fd", number):
            details = proc.text(pid, "fdinfo", number)
            yield UsedFile(name, proc.root / f"{pid}/fd/{number}", details)
    for mapped in parse_maps(proc.text(pid, "maps")):
        yield UsedFile(mapped.path, proc.root / f"{pid}/map_files/{mapped.range}")


def socket_inodes(files: Iterable[UsedFile]) -> frozenset[int]:
    """Return the inode numbers of the open sockets."""
    found = (socket_inode(file.name) for file in files)
    return frozenset(inode for inode in found if inode is not None)


def socket_inode(name: str) -> int | None:
    """Return the number in a link's target such as `socket:[123]`; None if it is no socket."""
    found = _SOCKET.fullmatch(name)
    return int(found[1]) if found else None


def unix_inodes(files: Iterable[UsedFile]) -> frozenset[int]:
    """Return the inode numbers of those unix sockets that are open at this moment, too."""
    return socket_inodes(
        file for file in files if file.is_socket and protocol(file.path) in _UNIX and file.is_open()
    )


def unsupported(files: Iterable[UsedFile]) -> tuple[str, ...]:
    """Name the things of kinds that CRIU does not know."""
    return _listed(name for file in files for name in _unsupported(file))


def _unsupported(file: UsedFile) -> Iterator[str]:
    if file.name.startswith("anon_inode:"):
        if file.name.removeprefix("anon_inode:").strip("[]") not in _SUPPORTED_INODES:
            yield file.name
    elif file.is_socket:
        kind = protocol(file.path)
        if kind and kind not in _SUPPORTED_SOCKETS:
            yield f"socket:[{kind}]"
    elif file.name == _SECRET:
        yield file.name
    for line in file.details.splitlines():
        # CRIU cannot open overlayfs's file handles, which are of type OVL_FILEID_V1.
        if line.startswith(("inotify ", "fanotify ")) and _OVERLAY_HANDLE in line.split():
            yield f"{line.split()[0]} on overlayfs"


def protocol(path: Path) -> str:
    """Return the kernel's name for an open socket's protocol; empty when it is gone."""
    try:
        name = os.getxattr(path, "system.sockprotoname")
    except OSError:
        return ""
    return name.rstrip(b"\0").decode("ascii", "backslashreplace")


def locks(files: Iterable[UsedFile]) -> int:
    """Count the locks and leases held through open files.

    fdinfo shows exactly those that belong to the open file or to its process, as CRIU reads them
    (criu proc_parse.c). /proc/locks would need guessing for locks of open file descriptions.
    """
    found = set()
    for file in files:
        for line in file.details.splitlines():
            if line.startswith("lock:"):
                # Every descriptor of the same file repeats the lock under a number of its own.
                found.add(line.partition(":")[2].partition(":")[2].strip())
    return len(found)


def devices(files: Iterable[UsedFile], remote: Collection[str]) -> tuple[str, ...]:
    """Name the device files that CRIU has no support for."""
    return _listed(f.name for f in files if _is_odd_device(_status(f, remote)))


def _is_odd_device(status: os.stat_result | None) -> bool:
    if status is None:
        return False
    if stat.S_ISBLK(status.st_mode):
        return True
    number = (os.major(status.st_rdev), os.minor(status.st_rdev))
    known = number in _MEMORY_DEVICES | _OTHER_DEVICES or number[0] in _TERMINALS
    return stat.S_ISCHR(status.st_mode) and not known


def large_deleted(files: Iterable[UsedFile], remote: Collection[str]) -> tuple[str, ...]:
    """Name the deleted files that are too large for CRIU to copy."""
    candidates = (
        f for f in files if f.name.endswith(_DELETED) and not f.name.startswith(_KERNEL_MEMORY)
    )
    return _listed(
        f.name.removesuffix(_DELETED) for f in candidates if _is_large_ghost(_status(f, remote))
    )


def deleted_sizes(files: Iterable[UsedFile], remote: Collection[str]) -> tuple[int, ...]:
    """Return the bytes on disk of each deleted file that is in use; CRIU copies them."""
    found = {
        (status.st_dev, status.st_ino): status.st_blocks * 512
        for file in files
        if file.name.endswith(_DELETED) and not file.name.startswith(_KERNEL_MEMORY)
        if (status := _status(file, remote)) and stat.S_ISREG(status.st_mode)
        if status.st_nlink == 0
    }
    return tuple(found.values())


def _is_large_ghost(status: os.stat_result | None) -> bool:
    return (
        status is not None
        and stat.S_ISREG(status.st_mode)
        and status.st_nlink == 0
        and status.st_blocks * 512 > GHOST_LIMIT
    )


def shared_memory(files: Iterable[UsedFile]) -> tuple[str, ...]:
    """Name the files in /dev/shm that still have a name there."""
    return _listed(
        f.name for f in files if f.name.startswith(_SHM) and not f.name.endswith(_DELETED)
    )


def _status(file: UsedFile, remote: Collection[str]) -> os.stat_result | None:
    """Look at a file, unless it lies below one of the paths `remote`, where that could hang."""
    if not file.name.startswith("/") or any(f"{file.name}/".startswith(f"{r}/") for r in remote):
        return None
    try:
        return file.path.stat()
    except OSError:
        return None


def _listed(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names for people; a process can hold any number of files, so only the first few."""
    return tuple(sorted(set(names))[:_LISTED])
