"""Replace a file of the host so that a crash leaves the old one or the new one, whole."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path


def replace_file(
    path: Path,
    data: bytes,
    mode: int = 0o644,
    owner: tuple[int, int] | None = None,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Write `data` to `path`; durable when this returns.

    `check` sees the new file, under another name in the same directory, before it takes the
    place of the old one, and may raise. `owner` is uid and gid. Raises `OSError`.
    """
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            os.fchmod(fd, mode)
            if owner is not None:
                os.fchown(fd, *owner)
            file.flush()
            os.fsync(fd)
        if check is not None:
            check(temporary)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    flush_directory(path.parent)


def others_can_write(found: os.stat_result) -> bool:
    """Tell whether others than root, or who runs this, can change a file or a directory.

    In a sticky directory nobody can exchange what is another's; on a file that bit says nothing.
    """
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky
    return found.st_uid not in {0, os.geteuid()} or bool(shared)


def flush_directory(path: Path) -> None:
    """Flush a directory's names to disk. Raises `OSError`."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
