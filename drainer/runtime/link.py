"""The network interfaces of another process's network namespace.

Standard library only: it is used by the stand-in for runc too.
Another namespace is entered by the calling thread alone; but while that is the main one, others
find that namespace in /proc/self/net.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from drainer import netlink

# Requests and flags of linux/sockios.h, linux/if.h and linux/if_arp.h.
_GET_ADDRESSES = 0x8912
_GET_FLAGS = 0x8913
_SET_FLAGS = 0x8914
_SET_MAC = 0x8924
_UP = 0x1
_ETHERNET = 1

_REQUEST = struct.Struct("16s24s")
"""struct ifreq on a 64-bit machine: name, and a union of 24 bytes."""
_LIST = struct.Struct("iP")
"""struct ifconf: length in bytes, and where the list is."""
_MOST = 256
"""Addresses that are looked at."""
_MAC_BYTES = 6

# Of linux/netlink.h, linux/rtnetlink.h and linux/if_link.h.
_NETLINK_ROUTE = 0
_GET_LINK = 18
_LINK_OTHER = 5
_LINK_INFO = 18
_INFO_KIND = 1
_LINK_MESSAGE = struct.Struct("=BxHiII")
_ANSWER_SECONDS = 5.0

_NOTIFY = (
    Path("/proc/sys/net/ipv4/conf/all/arp_notify"),
    Path("/proc/sys/net/ipv6/conf/all/ndisc_notify"),
)
"""With 1 the kernel tells the neighbours of a new MAC (Documentation/networking/ip-sysctl.rst)."""


def own_addresses() -> frozenset[str]:
    """Return the IPv4 addresses of this network namespace. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        return frozenset(address for _, address in _addresses(here))


def set_macs(pid: int, wanted: Mapping[str, str]) -> None:
    """Give the interfaces of a process's namespace the MAC addresses that are wanted.

    `wanted` is by IPv4 address; one that no interface has is passed over. An interface may be up.
    Neighbours are told: Docker 28 has just told them another MAC, and they would send to that one
    for some 8 s. Raises OSError, and ValueError for what is no MAC address; some may be set then.
    """
    macs = {address: _parsed(mac) for address, mac in wanted.items()}
    with _inside(pid) as there, _telling_neighbours():
        for name, address in _addresses(there):
            if address in macs:
                _ask(there, _SET_MAC, name, struct.pack("=H6s", _ETHERNET, macs[address]))


def take_down(pid: int) -> None:
    """Take down the interfaces of a process's namespace, but not the loopback. Raises OSError."""
    with _inside(pid) as there:
        for name in _names(pid):
            _set_up(there, name, up=False)


def near_ends(pid: int) -> tuple[str, ...]:
    """Name the interfaces here of which the other end (veth) is in a process's namespace.

    There are none where that is this very namespace. Raises OSError.
    """
    if Path(f"/proc/{pid}/ns/net").samefile("/proc/thread-self/ns/net"):
        return ()
    with _inside(pid):
        pairs = _pairs()
    names = []
    for index, other in pairs:
        with suppress(OSError, ValueError):  # it leads elsewhere
            name = socket.if_indextoname(other)
            if int(Path(f"/sys/class/net/{name}/iflink").read_text()) == index:
                names.append(name)
    return tuple(names)


def silence(names: Iterable[str]) -> None:
    """Take interfaces of this namespace down: whoever is behind them keeps its own as they are."""
    _set_all(names, up=False)


def speak(names: Iterable[str]) -> None:
    """Put interfaces of this namespace up again; what is gone is passed over. Never raises."""
    _set_all(names, up=True)


def _set_all(names: Iterable[str], *, up: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        for name in names:
            with suppress(OSError, UnicodeError, struct.error):
                _set_up(here, name.encode("ascii"), up=up)


def _set_up(there: socket.socket, name: bytes, *, up: bool) -> None:
    (flags,) = struct.unpack_from("=H", _ask(there, _GET_FLAGS, name))
    flags = flags | _UP if up else flags & ~_UP
    _ask(there, _SET_FLAGS, name, struct.pack("=H", flags))


def _pairs() -> list[tuple[int, int]]:
    """Return the index of each veth of this namespace, and of its other end (rtnetlink(7))."""
    request = _LINK_MESSAGE.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    links = netlink.dump(_NETLINK_ROUTE, _GET_LINK, request, _ANSWER_SECONDS)
    return [pair for link in links if (pair := _pair(link))]


def _pair(link: bytes) -> tuple[int, int] | None:
    """Parse one interface; None for any other than a veth."""
    _, _, index, _, _ = _LINK_MESSAGE.unpack_from(link)
    attributes = dict(netlink.attributes(link[_LINK_MESSAGE.size :]))
    kinds = dict(netlink.attributes(attributes.get(_LINK_INFO, b"")))
    other = attributes.get(_LINK_OTHER, b"")
    if kinds.get(_INFO_KIND, b"").rstrip(b"\0") != b"veth" or not other:
        return None
    return index, int.from_bytes(other[:4], sys.byteorder)


def _parsed(mac: str) -> bytes:
    octets = bytes.fromhex(mac.replace(":", ""))
    if len(octets) != _MAC_BYTES:
        raise ValueError(f"not a MAC address: {mac!r}")
    return octets


@contextmanager
def _inside(pid: int) -> Iterator[socket.socket]:
    """Be in a process's network namespace, with a socket that belongs to it."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        netlink.enter(Path(f"/proc/{pid}/ns/net"))
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
                yield asked
        finally:
            netlink.enter_open(here)
    finally:
        os.close(here)


@contextmanager
def _telling_neighbours() -> Iterator[None]:
    """Let the kernel announce new MACs; /proc/sys/net is that of the opener's namespace."""
    before: dict[Path, str] = {}
    for setting in _NOTIFY:
        with suppress(OSError):  # a kernel without IPv6
            before[setting] = setting.read_text()
            setting.write_text("1")
    try:
        yield
    finally:
        for setting, value in before.items():
            with suppress(OSError):
                setting.write_text(value)


def _names(pid: int) -> tuple[bytes, ...]:
    """Name the interfaces of a process's namespace, but not the loopback."""
    lines = Path(f"/proc/{pid}/net/dev").read_bytes().splitlines()[2:]
    names = (line.partition(b":")[0].strip() for line in lines)
    return tuple(name for name in names if name != b"lo")


def _addresses(there: socket.socket) -> Iterator[tuple[bytes, str]]:
    """Yield each IPv4 address with its interface's name (SIOCGIFCONF in netdevice(7))."""
    found = ctypes.create_string_buffer(_MOST * _REQUEST.size)
    request = _LIST.pack(len(found), ctypes.addressof(found))
    length, _ = _LIST.unpack(fcntl.ioctl(there, _GET_ADDRESSES, request))
    for name, value in _REQUEST.iter_unpack(found.raw[:length]):
        # A label such as `eth0:1` names its interface first.
        yield name.partition(b"\0")[0].partition(b":")[0], socket.inet_ntoa(value[4:8])


def _ask(there: socket.socket, number: int, name: bytes, value: bytes = b"") -> bytes:
    """Make one request about an interface; return what it answers."""
    return fcntl.ioctl(there, number, _REQUEST.pack(name, value))[16:]
