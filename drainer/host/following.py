"""Read the pages of memory that CRIU writes as they come, so that their checksums are known early.

CRIU only ever appends to a file of pages (criu/page-xfer.c), so that what has been read of it stays
as it is. Read later, all of it would have to be read while its container is frozen. Zeros take no
room: where there are many, a hole is made, which is read as zeros, by CRIU too.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drainer.host.checksum import Checksum
from drainer.host.images import CHUNK, OPEN

Reading = Callable[[Callable[[], bool]], dict[str, str]]
"""Reads to the end what was begun, once all is written, until `stop` says yes.

Returns the checksum of each such file by its name; empty if it was stopped.
"""

FIRST = 1.0
"""Seconds until the first look: what is written by then takes no time to be read."""
POLL = 0.25
"""Seconds between two looks for more."""
WAIT = 0.1
"""Seconds between two questions whether there is time to read to the end."""
_WRITE_OUT = 2
"""SYNC_FILE_RANGE_WRITE: begin to write it to disk, and do not wait (sync_file_range(2))."""
_HOLE = 3
"""FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE: give the room back (fallocate(2))."""
_ZEROS = bytes(1 << 16)
"""The least that is worth a hole."""


def nothing(stop: Callable[[], bool]) -> dict[str, str]:  # noqa: ARG001 - a `Reading`
    """Return no checksum: nothing was read."""
    return {}


@contextmanager
def following(directory: Path) -> Iterator[Reading]:
    """Read the files of pages in a directory while the block runs, as far as they are written.

    What is yielded is to be called after the block; until then reading goes on, unless the block
    has failed or the files are deleted. Whatever cannot be read has no checksum. Never raises.
    """
    try:
        follower = _Follower(directory)
        follower.start()
    except (AttributeError, OSError, RuntimeError):
        # No more threads, or another libc: then all is read later.
        yield nothing
        return
    try:
        yield follower.finish
    except BaseException:
        follower.stopped.set()
        raise
    finally:
        follower.written.set()


class _Follower(threading.Thread):
    def __init__(self, directory: Path) -> None:
        super().__init__(name="follower", daemon=True)
        self.written = threading.Event()
        """That nothing more is written."""
        self.stopped = threading.Event()
        """That nothing more is to be read."""
        self._directory = directory
        self._files: dict[str, _File] = {}
        libc = ctypes.CDLL(None, use_errno=True)
        self._write_out = libc.sync_file_range
        self._write_out.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
        self._allocate = libc.fallocate
        self._allocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

    def run(self) -> None:
        """Read what there is, again and again, until that is all."""
        last = self.written.wait(FIRST)
        while not self.stopped.is_set():
            # Without memory or descriptors what was not read is read later.
            with suppress(OSError, MemoryError):
                for path in self._directory.glob("pages-*.img"):
                    self._files.setdefault(path.name, _File())
            for file in tuple(self._files.items()):
                with suppress(OSError, MemoryError):
                    self._read(*file, last=last)
            if last:
                break
            last = self.written.wait(POLL)

    def finish(self, stop: Callable[[], bool]) -> dict[str, str]:
        """Wait until all is read; return the checksums."""
        while self.is_alive():
            self.join(WAIT)
            if self.is_alive() and stop():
                self.stopped.set()
                break
        return {
            name: file.checksum.text() if file.whole else ""
            for name, file in tuple(self._files.items())
            if file.whole or self.stopped.is_set()
        }

    def _read(self, name: str, file: "_File", *, last: bool) -> None:
        """Read on to the present end of a file, which is the `last` one or not."""
        sound, file.sound = file.sound, False
        descriptor = os.open(self._directory / name, OPEN | os.O_RDWR)
        try:
            while sound and not self.stopped.is_set():
                found = os.fstat(descriptor)
                # As long as it is open, a deleted file takes its room.
                replaced = not found.st_nlink or file.number not in {0, found.st_ino}
                if replaced or found.st_size < file.size:
                    return
                file.number = found.st_ino
                chunk = os.pread(descriptor, CHUNK, file.size)
                if not chunk:
                    file.sound, file.whole = True, last
                    return
                for begin, length in holes(chunk):
                    # A file system that makes no holes keeps the zeros.
                    self._allocate(descriptor, _HOLE, file.size + begin, length)
                if not last:
                    # The kernel would begin with it only when much of its memory waits for that.
                    # At the end all is flushed, and to ask for more would only wait for the disk.
                    self._write_out(descriptor, file.size, len(chunk), _WRITE_OUT)
                file.checksum.update(chunk)
                file.size += len(chunk)
        finally:
            os.close(descriptor)


def holes(chunk: bytes) -> Iterator[tuple[int, int]]:
    """Yield where there are zeros that are worth a hole: place and length, in bytes."""
    begin = end = 0
    for place in range(0, len(chunk) - len(_ZEROS) + 1, len(_ZEROS)):
        if not chunk.startswith(_ZEROS, place):
            continue
        if end != place:
            if end > begin:
                yield begin, end - begin
            begin = place
        end = place + len(_ZEROS)
    if end > begin:
        yield begin, end - begin


class _File:
    """What was read of one file."""

    def __init__(self) -> None:
        self.checksum = Checksum()
        self.size = 0
        self.number = 0
        """The inode; 0 while nothing was read."""
        self.sound = True
        """Whether all could be read, and nothing was changed that had been read."""
        self.whole = False
        """Whether it was read to its end when nothing more was written."""
