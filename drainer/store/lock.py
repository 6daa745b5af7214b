"""One drainer at a time."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from drainer.errors import DrainerError, LockedError
from drainer.store.files import StateDirectory
from drainer.text import printable

LOCK_NAME = "lock"

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_POLL = 0.1


@contextmanager
def lock(directory: StateDirectory, verb: str, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of `directory` while the block runs.

    Waits up to `wait` seconds for it, then raises `LockedError` naming the holder's `verb` and
    pid. The kernel drops the lock when its holder dies, so it is never stale.
    """
    try:
        fd = os.open(LOCK_NAME, _FLAGS, 0o600, dir_fd=directory.fd)
    except OSError as error:
        raise DrainerError(
            f"{printable(str(directory.path / LOCK_NAME))}: cannot be opened: {error.strerror}",
            "move it away",
        ) from error
    try:
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
