"""What the kernel accounts to a control group, and how one is frozen and ended."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")

FREEZE_SECONDS = 5.0
"""How long CRIU's own freezing of a group at the end of a dump may take to be complete."""
_POLL = 0.05

_VERSION_2 = ("anon", "shmem")
_VERSION_1 = ("total_rss", "total_shmem", "total_swap")
"""Keys of memory.stat (kernel admin-guide/cgroup-v1/memory.rst); `rss` is anonymous memory."""


def memory(group: str, root: Path = CGROUPS) -> int:
    """Return the bytes of a group that have no file behind them: in memory, in tmpfs, swapped.

    Beside what processes have mapped that is what they keep in a tmpfs of their own, which CRIU
    dumps too. 0 when it cannot be read.
    """
    inner = group.lstrip("/")
    if not inner:
        return 0
    version2 = root / inner
    found = _sum(version2 / "memory.stat", _VERSION_2)
    if found:
        return found + _number(_text(version2 / "memory.swap.current"))
    return _sum(root / "memory" / inner / "memory.stat", _VERSION_1)


def processes(group: str, root: Path = CGROUPS) -> set[int]:
    """Return the pids in a group and in those below it, without zombies; none if it is not seen."""
    directory = _directory(group, root)
    return _processes(directory) if directory else set()


def _directory(group: str, root: Path) -> Path | None:
    """Find where a group is, by a file that it has in either version; None if it is not seen."""
    inner = group.lstrip("/")
    if not inner:
        return None
    version2, version1 = root / inner, root / "freezer" / inner
    if (version2 / "cgroup.events").exists():
        return version2
    return version1 if (version1 / "freezer.state").exists() else None


def _processes(directory: Path) -> set[int]:
    # Groups come and go meanwhile, which os.walk bears. 0 is what is in no namespace of ours.
    files = (Path(place, "cgroup.procs") for place, _, _ in os.walk(directory))
    return {int(pid) for file in files for pid in _text(file).split()} - {0}


def kill_frozen(group: str, root: Path = CGROUPS) -> bool | None:
    """Kill every process of a frozen group, so that none of them runs on; tell whether that was so.

    None when there is no such group to be seen. One that is not frozen is left alone. The kernel
    ends what is frozen with SIGKILL pending before it runs anything of the program, thawed or not
    (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/freezer-subsystem.rst).
    """
    directory = _directory(group, root)
    if directory is None:
        return None
    if not _await_frozen(directory):
        return False
    try:
        _write(directory / "cgroup.kill", "1")
    except OSError:  # a kernel before 5.14, or version 1
        for pid in _processes(directory):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return True


def freeze(group: str, root: Path = CGROUPS) -> bool:
    """Freeze every process of a group; tell whether they are. If not, it is left as it was."""
    directory = _directory(group, root)
    if directory is None:
        return False
    switch, on, off = directory / "cgroup.freeze", "1", "0"
    if not switch.exists():
        switch, on, off = directory / "freezer.state", "FROZEN", "THAWED"
    try:
        _write(switch, on)
        if not _await_frozen(directory):
            _write(switch, off)
            return False
    except OSError:
        return False
    return True


def _await_frozen(directory: Path) -> bool:
    end = time.monotonic() + FREEZE_SECONDS
    while not _frozen(directory):
        if time.monotonic() >= end:
            return False
        time.sleep(_POLL)
    return True


def _write(switch: Path, text: str) -> None:
    """Write to a file of the kernel's, and make none. Raises `OSError`."""
    with os.fdopen(os.open(switch, os.O_WRONLY), "w") as file:
        file.write(text)


def _frozen(directory: Path) -> bool:
    return (
        "frozen 1" in _text(directory / "cgroup.events").splitlines()
        or _text(directory / "freezer.state").strip() == "FROZEN"
    )


def _sum(file: Path, keys: tuple[str, ...]) -> int:
    fields = (line.partition(" ") for line in _text(file).split("\n"))
    return sum(_number(value) for key, _, value in fields if key in keys)


def _number(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return ""
