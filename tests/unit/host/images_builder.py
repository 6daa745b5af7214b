"""Writes images as CRIU 4 does, of a small container: two processes, a thread and a zombie."""

import mmap
import struct
from pathlib import Path

from drainer.host.criu_image import COMMON_MAGIC, INVENTORY_MAGIC, MAGIC, SERVICE_MAGIC

ZOMBIE, CHILD = 8, 9


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields(*pairs: tuple[int, int | bytes]) -> bytes:
    """Encode numbers and nested messages."""
    out = b""
    for field, value in pairs:
        if isinstance(value, int):
            out += varint(field << 3) + varint(value)
        else:
            out += varint(field << 3 | 2) + varint(len(value)) + value
    return out


def frame(payload: bytes, extra: bytes = b"") -> bytes:
    return struct.pack("<I", len(payload)) + payload + extra


def image(kind: str, *frames: bytes) -> bytes:
    return struct.pack("<II", COMMON_MAGIC, MAGIC[kind]) + b"".join(frames)


def inventory(version: int = 2, run: bytes = b"run") -> bytes:
    return struct.pack("<I", INVENTORY_MAGIC) + frame(fields((1, version), (2, 1), (13, run)))


def pagemap(pages_id: int, *entries: bytes) -> bytes:
    return image("pagemap", frame(fields((1, pages_id))), *(frame(e) for e in entries))


def core(state: int) -> bytes:
    return image("core", frame(fields((1, 1), (2, b"\x08\x01"), (3, fields((1, state), (5, 0))))))


def thread_core() -> bytes:
    return image("core", frame(fields((1, 1), (2, b"\x08\x01"), (4, b"\x08\x07"))))


def pstree(pid: int, threads: tuple[int, ...]) -> bytes:
    pairs = [(1, pid), (2, 0), (3, 1), (4, 1), *((5, t) for t in threads)]
    return frame(fields(*pairs))


def present(pages: int) -> bytes:
    return fields((1, 0x7FFF00000000), (2, pages), (4, 4))


def build(directory: Path) -> Path:
    """Write the images and return the directory."""
    files = {
        "inventory.img": inventory(),
        "pstree.img": image(
            "pstree", pstree(1, (1, 7)), pstree(ZOMBIE, (0,)), pstree(CHILD, (CHILD,))
        ),
        "core-1.img": core(1),
        "core-7.img": thread_core(),
        f"core-{ZOMBIE}.img": core(2),
        f"core-{CHILD}.img": core(1),
        "files.img": image("files", frame(fields((1, 1), (2, 4))), frame(fields((1, 2), (2, 5)))),
        "fdinfo-2.img": image("fdinfo", frame(fields((1, 4), (2, 0), (3, 1), (4, 0)))),
        "pipes-data.img": image("pipes-data", frame(fields((1, 3), (2, 300)), b"x" * 300)),
        "sk-queues.img": image("sk-queues", frame(fields((1, 3), (2, 3)), b"abc")),
        "tcp-stream-a1.img": image(
            "tcp-stream", frame(fields((1, 2), (2, 9), (3, 4), (4, 9)), b"in" + b"outq")
        ),
        "pagemap-1.img": pagemap(1, present(2), present(1)),
        f"pagemap-{CHILD}.img": pagemap(2),
        "pagemap-shmem-77.img": pagemap(3, present(1)),
        "seccomp.img": struct.pack("<II", COMMON_MAGIC, 0x64413049),
        "irmap-cache.img": struct.pack("<II", SERVICE_MAGIC, 0x57004059),
        "tmpfs-dev-72.tar.gz.img": b"\x1f\x8braw",
        "iptables-10.img": b"# raw",
        "descriptors.json": b"[]",
    }
    for pid in (1, CHILD):
        for kind in ("ids", "fs", "mm"):
            files[f"{kind}-{pid}.img"] = image(kind, frame(fields((1, pid), (2, 1))))
    directory.mkdir()
    for name, data in files.items():
        (directory / name).write_bytes(data)
    for pages_id, count in ((1, 3), (3, 1)):
        resize(directory / f"pages-{pages_id}.img", count * mmap.PAGESIZE)
    return directory


def resize(file: Path, size: int) -> None:
    """Give a file a size without writing its pages."""
    with file.open("ab") as opened:
        opened.truncate(size)
