"""What the kernel accounts to a control group."""

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")

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
