"""One drainer at a time."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from drainer.errors import LockedError, NoPermissionError, StorageError
from drainer.store.files import StateDirectory
from drainer.text import printable

LOCK_NAME = "lock"

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_UNSAFE = {errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES, errno.EPERM}
_POLL = 0.1


@contextmanager
def lock(directory: StateDirectory, verb: str, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of `directory` while the block runs.

    Waits up to `wait` seconds for it, then raises `LockedError` naming the holder's `verb` and
    pid. The kernel drops the lock when its holder dies, so it is never stale. Raises
    `NoPermissionError` for a link or anything but a plain file, `StorageError` when it cannot be
    opened.
    """
    shown = printable(str(directory.path / LOCK_NAME))
    try:
        fd = os.open(LOCK_NAME, _FLAGS, 0o600, dir_fd=directory.fd)
    except OSError as error:
        kind = NoPermissionError if error.errno in _UNSAFE else StorageError
        raise kind(f"{shown}: cannot be opened: {error.strerror}", "move it away") from error
    try:
        found = os.fstat(fd)
        # It is written to: another name of it may be a file of somebody's.
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise NoPermissionError(f"{shown}: not a plain file with one name", "move it away")
        _acquire(fd, wait)
        _sign(fd, verb)
        yield
    finally:
        os.close(fd)


def _acquire(fd: int, wait: float) -> None:
    end = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            left = end - time.monotonic()
            if left <= 0:
                holder = printable(os.pread(fd, 200, 0).decode(errors="replace").strip())
                raise LockedError(
                    f"another drainer is at work: {holder or 'it has not said which'}",
                    "wait until it has ended, then try again",
                ) from error
            time.sleep(min(_POLL, left))
        else:
            return


def _sign(fd: int, verb: str) -> None:
    # Only for the other one's message: a full disk must not keep a resume from running.
    with suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{verb}, pid {os.getpid()}\n".encode(), 0)
