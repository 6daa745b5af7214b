"""The checksum of an image: SHA-256 over the CRC-32 of each of its pieces.

It is there to find what disks, file systems and power cuts do to files, piece by piece as file
systems themselves do. It is no seal: only root can write where checkpoints are, and root could
write anything. SHA-256 of all the bytes takes twice as long where the CPU has instructions for it,
seven times where it has none, and a container is frozen meanwhile.
"""

import hashlib
from zlib import crc32

PIECE = 1 << 20
"""Bytes of a file with a CRC of their own."""

KIND = "crc32-sha256"


class Checksum:
    """Takes the bytes of a file in order, in parts of any size."""

    def __init__(self) -> None:
        self._pieces = hashlib.sha256()
        self._crc = 0
        self._filled = 0
        """Bytes of the present piece so far."""

    def update(self, data: bytes) -> None:
        """Take more."""
        rest = memoryview(data)
        while rest:
            part = rest[: PIECE - self._filled]
            rest = rest[len(part) :]
            self._crc = crc32(part, self._crc)
            self._filled += len(part)
            if self._filled == PIECE:
                self._pieces.update(self._tail())
                self._crc = self._filled = 0

    def text(self) -> str:
        """Return the checksum of what was taken so far, with its kind before it."""
        whole = self._pieces.copy()
        whole.update(self._tail())
        return f"{KIND}:{whole.hexdigest()}"

    def _tail(self) -> bytes:
        return self._crc.to_bytes(4) + self._filled.to_bytes(4)


def checksum(data: bytes) -> str:
    """Return the checksum of a file that has these bytes."""
    found = Checksum()
    found.update(data)
    return found.text()
