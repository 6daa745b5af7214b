"""Ports of the host that are taken, and by whom."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from sys import byteorder

from drainer.host.procfs import Proc
from drainer.model import Port
from drainer.text import printable

_WAITS = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
"""The tables of /proc/PID/net, and the state in each of a socket that waits for whoever comes:
LISTEN and CLOSE (include/net/tcp_states.h)."""

_SOCKET = re.compile(r"socket:\[(\d+)\]", re.ASCII)
_WORD = 8
"""Hexadecimal digits; addresses are written as words in the machine's own order of bytes."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that keeps others from a port."""

    protocol: str
    address: IPv4Address | IPv6Address
    number: int
    inode: int

    def takes(self, port: Port) -> bool:
        """Tell whether Docker could not bind a port because of this (bind(2), EADDRINUSE)."""
        if (self.protocol, self.number) != (port.protocol, port.number):
            return False
        if not port.address:
            return True
        try:
            wanted = ip_address(port.address)
        except ValueError:
            return False
        if wanted.version != self.address.version:
            return False
        either = wanted.is_unspecified or self.address.is_unspecified
        return either or wanted == self.address


def holders(ports: Collection[Port], proc: Proc) -> dict[Port, str]:
    """Say of those of the ports that are taken who has them, such as `nginx (pid 812)`."""
    found = tuple(_listeners(proc))
    taken = {p: taker.inode for p in ports for taker in found if taker.takes(p)}
    if not taken:
        return {}
    owners = _owners(set(taken.values()), proc)
    return {port: owners.get(inode, "another program") for port, inode in taken.items()}


def _listeners(proc: Proc) -> Iterator[Listener]:
    for table, state in _WAITS.items():
        for line in proc.text(1, "net", table).splitlines()[1:]:
            if (found := parse_row(line, table.rstrip("6"), state)) is not None:
                yield found


def parse_row(line: str, protocol: str, state: str) -> Listener | None:
    """Parse a row of /proc/PID/net/tcp and the like, if it is in this state (proc_pid_net(5))."""
    match line.split():
        case [_, local, _, found, _, _, _, _, _, inode, *_] if found == state:
            address, _, port = local.partition(":")
            return Listener(protocol, _address(address), int(port, 16), int(inode))
    return None


def _address(text: str) -> IPv4Address | IPv6Address:
    words = (text[at : at + _WORD] for at in range(0, len(text), _WORD))
    data = b"".join(int(word, 16).to_bytes(_WORD // 2, byteorder) for word in words)
    return IPv4Address(data) if len(data) == _WORD // 2 else IPv6Address(data)


def _owners(inodes: Collection[int], proc: Proc) -> dict[int, str]:
    found: dict[int, str] = {}
    for pid, stat in proc.processes().items():
        for descriptor in proc.names(pid, "fd"):
            link = _SOCKET.fullmatch(proc.link(pid, "fd", descriptor))
            if link and int(link[1]) in inodes:
                found.setdefault(int(link[1]), f"{printable(stat.name)} (pid {pid})")
    return found
