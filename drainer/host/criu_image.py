"""One CRIU image file: magic numbers, then messages in protobuf encoding.

`magic {length message [extra]}` (criu lib/pycriu/images/images.py), numbers in the little-endian
order of the machines that drainer knows.
"""

from collections.abc import Iterator
from typing import BinaryIO

Message = dict[int, list[int | bytes]]
"""The values of a protobuf message by the number of their field."""

# criu criu/include/magic.h
COMMON_MAGIC = 0x54564319
SERVICE_MAGIC = 0x55105940
INVENTORY_MAGIC = 0x58313116

MAGIC = {
    "core": 0x55053847,
    "fdinfo": 0x56213732,
    "fifo-data": 0x59333054,
    "files": 0x56303138,
    "fs": 0x51403912,
    "ids": 0x54432030,
    "memfd": 0x48453499,
    "mm": 0x57492820,
    "mountpoints": 0x55563928,
    "pagemap": 0x56084025,
    "pipes-data": 0x56453709,
    "pstree": 0x50273030,
    "remap-fpath": 0x59133954,
    "sk-queues": 0x56264026,
    "tcp-stream": 0x51465506,
    "timens": 0x43114433,
}
"""Kinds of image that are read to their end here."""

_SINGLE = frozenset({"core", "fs", "ids", "inventory", "mm", "timens"})
"""Kinds that hold exactly one message."""
_FILLED = _SINGLE | {"files", "pagemap", "pstree"}
"""Kinds that hold at least one message."""

_EXTRA = {"pipes-data": (2,), "fifo-data": (2,), "sk-queues": (2,), "tcp-stream": (1, 3)}
"""Kinds with raw data after each message: the fields that add up to its length."""

_VARINT_BITS = 64
_WORD = 4


class ImageError(ValueError):
    """What is wrong with an image's content."""


def read_messages(file: BinaryIO, size: int, kind: str) -> Iterator[Message]:
    """Read an image of `size` bytes, one message after the other, to its very end.

    `kind` is a key of `MAGIC`, or `inventory`. Raises `ImageError` saying what is wrong.
    """
    left = size - _read_magic(file, kind)
    count = 0
    while left:
        length = _word(file)
        # Every message of these kinds has a required field, so it is never empty.
        if not 0 < length <= left - _WORD:
            raise ImageError("cut off")
        found = message(file.read(length))
        extra = sum(number(found, field) for field in _EXTRA.get(kind, ()))
        left -= _WORD + length + extra
        if left < 0:
            raise ImageError("cut off")
        file.seek(extra, 1)
        count += 1
        yield found
    if (kind in _FILLED and not count) or (kind in _SINGLE and count > 1):
        raise ImageError(f"has {count} messages")


def check_common_magic(file: BinaryIO) -> None:
    """Check that this is an image of whatever kind. Raises `ImageError`."""
    if _word(file) not in {COMMON_MAGIC, SERVICE_MAGIC} or not _word(file):
        raise ImageError("not a CRIU image")


def _read_magic(file: BinaryIO, kind: str) -> int:
    wanted = [INVENTORY_MAGIC] if kind == "inventory" else [COMMON_MAGIC, MAGIC[kind]]
    for word in wanted:
        if _word(file) != word:
            raise ImageError(f"not a CRIU image of kind {kind}")
    return _WORD * len(wanted)


def _word(file: BinaryIO) -> int:
    data = file.read(_WORD)
    if len(data) != _WORD:
        raise ImageError("cut off")
    return int.from_bytes(data, "little")


def message(data: bytes) -> Message:
    """Take a protobuf message apart, not looking into nested ones. Raises `ImageError`."""
    fields: Message = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        value: int | bytes
        match key & 7:
            case 0:
                value, at = _varint(data, at)
            case 2:
                length, at = _varint(data, at)
                value, at = data[at : at + length], at + length
            case 1 | 5 as wire:
                length = 8 if wire == 1 else 4
                value, at = int.from_bytes(data[at : at + length], "little"), at + length
            case _:
                raise ImageError("damaged")
        if not key >> 3 or at > len(data):
            raise ImageError("damaged")
        fields.setdefault(key >> 3, []).append(value)
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _VARINT_BITS + 6, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
    raise ImageError("damaged")


def number(found: Message, field: int, default: int | None = None) -> int:
    """Return a message's number, or `default` if given. Raises `ImageError` where there is none."""
    if field not in found and default is not None:
        return default
    value = found.get(field, [b""])[-1]
    if isinstance(value, bytes):
        raise ImageError(f"field {field} is missing or damaged")
    return value


def numbers(found: Message, field: int) -> list[int]:
    """Return a message's repeated number, packed or not. Raises `ImageError`."""
    result: list[int] = []
    for value in found.get(field, []):
        if isinstance(value, int):
            result.append(value)
            continue
        at = 0
        while at < len(value):
            single, at = _varint(value, at)
            result.append(single)
    return result


def nested(found: Message, field: int) -> Message:
    """Return a message within a message; empty where there is none. Raises `ImageError`."""
    value = found.get(field, [b""])[-1]
    if isinstance(value, int):
        raise ImageError(f"field {field} is damaged")
    return message(value)
