"""Questions to the kernel over netlink(7), and the network namespace that they are asked in.

Standard library only: it is used by the stand-in for runc too.
"""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNET = 0x40000000

# Of linux/netlink.h.
_DUMP_REQUEST = 0x301
_REQUEST = 0x5
"""One that is to be acknowledged."""
CREATE = 0x600
"""What is told of is to be made, and must not be there yet."""
_ERROR = 2
_DONE = 3
_KIND_MASK = 0x3FFF
_NESTED = 0x8000
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_CODE = struct.Struct("=i")

_RECEIVE_BYTES = 1 << 20


def dump(protocol: int, kind: int, request: bytes, seconds: float) -> Iterator[bytes]:
    """Ask for all that there is of a kind; yield the body of each message of the answer.

    The kernel has so many seconds for each datagram. Raises OSError.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as channel:
        channel.settimeout(seconds)
        size = _HEADER.size + len(request)
        channel.send(_HEADER.pack(size, kind, _DUMP_REQUEST, 1, 0) + request)
        more = True
        while more:
            bodies: list[bytes] = []
            more = take(channel.recv(_RECEIVE_BYTES), bodies)
            yield from bodies


def tell(protocol: int, kind: int, request: bytes, seconds: float, flags: int = 0) -> None:
    """Ask for one change, and see that it is made. Raises OSError with the kernel's reason."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as channel:
        channel.settimeout(seconds)
        size = _HEADER.size + len(request)
        channel.send(_HEADER.pack(size, kind, _REQUEST | flags, 1, 0) + request)
        answer = channel.recv(_RECEIVE_BYTES)
    _, answered, *_ = _HEADER.unpack_from(answer)
    (code,) = _CODE.unpack_from(answer, _HEADER.size)
    if answered != _ERROR:
        raise OSError("the kernel does not answer what it was asked")
    if code:
        raise OSError(-code, os.strerror(-code))


def take(data: bytes, bodies: list[bytes]) -> bool:
    """Parse one datagram of an answer; tell whether more are to come."""
    while len(data) >= _HEADER.size:
        size, kind, *_ = _HEADER.unpack_from(data)
        if kind == _DONE:
            return False
        if kind == _ERROR or size < _HEADER.size:
            raise OSError("the kernel does not tell what there is")
        bodies.append(data[_HEADER.size : size])
        data = data[_aligned(size) :]
    return True


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and value of each attribute that follows a body's fixed part, or is nested."""
    while len(data) >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(data)
        if size < _ATTRIBUTE.size:
            return
        yield kind & _KIND_MASK, data[_ATTRIBUTE.size : size]
        data = data[_aligned(size) :]


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute for a request."""
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + bytes(_aligned(size) - size)


def nest(kind: int, attributes: bytes) -> bytes:
    """Return an attribute that is made of others."""
    return attribute(kind | _NESTED, attributes)


def _aligned(size: int) -> int:
    return (size + 3) & ~3


def enter(namespace: Path) -> None:
    """Change this thread's network namespace. Raises OSError."""
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter_open(descriptor)
    finally:
        os.close(descriptor)


def enter_open(namespace: int) -> None:
    """Change it to one that is open. `os.setns` is new in Python 3.12."""
    _call("setns", namespace, _CLONE_NEWNET)


def leave() -> None:
    """Get a network namespace of one's own. `os.unshare` is new in Python 3.12. Raises OSError."""
    _call("unshare", _CLONE_NEWNET)


def _call(name: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
