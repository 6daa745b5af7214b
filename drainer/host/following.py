"""Read the pages of memory that CRIU writes as they come, so that their checksums are known early.

CRIU only ever appends to a file of pages (criu/page-xfer.c), so that what has been read of it stays
as it is. Read later, all of it would have to be read while its container is frozen.
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
_ZEROS = bytes(CHUNK)
_LEAST = 1 << 16
"""Bytes of zeros that are worth a hole."""


def nothing(stop: Callable[[], bool]) -> dict[str, str]:  # noqa: ARG001 - a `Reading`
    """Return no checksum: nothing was read."""
    return {}


@contextmanager
def following(directory: Path, *, holes: bool = False) -> Iterator[Reading]:
    """Read the files of pages in a directory while the block runs, as far as they are written.

    What is yielded is to be called after the block; until then reading goes on, unless the block
    has failed or the files are deleted. Whatever cannot be read has no checksum. Never raises.

    With `holes`, zeros give their room back once all is read, where a whole chunk was zeros. CRIU
    reads a hole as zeros; but to make one may take time that nobody should be frozen for, as a file
    system may write the zeros first.
    """
    try:
        follower = _Follower(directory, holes=holes)
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
    def __init__(self, directory: Path, *, holes: bool) -> None:
        super().__init__(name="follower", daemon=True)
        self.written = threading.Event()
        """That nothing more is written."""
        self.stopped = threading.Event()
        """That nothing more is to be read."""
        self._directory = directory
        self._holes = holes
        self._files: dict[str, _File] = {}
        libc = ctypes.CDLL(None, use_errno=True)
        self._write_out = libc.sync_file_range
        self._write_out.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
        self._allocate = getattr(libc, "fallocate64", libc.fallocate)
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
        for file in tuple(self._files.items()):
            with suppress(OSError, MemoryError):
                self._make_holes(*file)

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
        descriptor = os.open(self._directory / name, OPEN)
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
                if self._holes and _ZEROS.startswith(chunk):
                    file.add_zeros(len(chunk))
                elif not self.written.is_set():
                    # The kernel would begin with it only when much of its memory waits for that.
                    # At the end all is flushed, and to ask for more would only wait for the disk.
                    self._write_out(descriptor, file.size, len(chunk), _WRITE_OUT)
                file.checksum.update(chunk)
                file.size += len(chunk)
        finally:
            os.close(descriptor)

    def _make_holes(self, name: str, file: "_File") -> None:
        """Give the room of zeros back; a file system that makes no holes keeps it.

        They are read once more: on some CPUs and kernels what is just being written may be read as
        zeros (Linux mm/filemap.c filemap_read).
        """
        runs = [(begin, end) for begin, end in file.zeros if end - begin >= _LEAST]
        if not file.whole or not runs:
            return
        descriptor = os.open(self._directory / name, OPEN | os.O_RDWR)
        try:
            if os.fstat(descriptor).st_ino != file.number:
                return
            for begin, end in runs:
                for place in range(begin, end, CHUNK):
                    length = min(CHUNK, end - place)
                    if self.stopped.is_set():
                        return
                    if os.pread(descriptor, length, place) == _ZEROS[:length]:
                        self._allocate(descriptor, _HOLE, place, length)
        finally:
            os.close(descriptor)


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
        self.zeros: list[tuple[int, int]] = []
        """Where nothing but zeros was read: begin and end."""

    def add_zeros(self, count: int) -> None:
        """Note that so many zeros come next."""
        begin = self.zeros.pop()[0] if self.zeros and self.zeros[-1][1] == self.size else self.size
        self.zeros.append((begin, self.size + count))
