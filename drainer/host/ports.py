"""Ports of the host that Docker cannot bind now, and why."""

import errno
import socket
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from drainer.host.proc_files import socket_inode
from drainer.host.procfs import Proc
from drainer.networks import Port
from drainer.text import printable

_WAITS = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
"""The tables of /proc/PID/net, and the state in each of a socket that waits for whoever comes:
LISTEN and CLOSE (include/net/tcp_states.h)."""

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_TELLING = {errno.EADDRINUSE, errno.EADDRNOTAVAIL}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A socket that waits on a port."""

    protocol: str
    number: int
    inode: int


def obstacles(ports: Collection[Port], proc: Proc) -> dict[Port, str]:
    """Say of those of the ports that Docker could not bind now why."""
    found = {port: problem for port in ports if (problem := bind(port)) in _TELLING}
    taken = [port for port, problem in found.items() if problem == errno.EADDRINUSE]
    who = _holders(taken, proc) if taken else {}
    return {
        port: f"{port} of this host is taken by {who[port]}: free it"
        if port in who
        else f"the host has no address {port.address} now: bring it up"
        for port in found
    }


def bind(port: Port) -> int:
    """Bind a port for a moment, as Docker does; return the errno of the refusal, or 0.

    See moby libnetwork/drivers/bridge/port_mapping. With SO_REUSEADDR, which Go sets for TCP and
    Docker 28 for UDP, too: an older Docker refuses more. What cannot be tried is not refused:
    Docker's own refusal tells.
    """
    kind = _KINDS.get(port.protocol)
    if kind is None or not port.address:
        return 0
    try:
        family = _FAMILIES[ip_address(port.address).version]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            trial.bind((port.address, port.number))
    except OSError as error:
        return error.errno or 0
    except (OverflowError, ValueError):
        return 0
    return 0


def _holders(ports: Collection[Port], proc: Proc) -> dict[Port, str]:
    """Say who has each of these ports, such as `nginx (pid 812)`."""
    waiting = {(found.protocol, found.number): found.inode for found in _waiting(proc)}
    inodes = {port: waiting.get((port.protocol, port.number), 0) for port in ports}
    owners = _owners(set(inodes.values()), proc)
    return {port: owners.get(inode, "another program") for port, inode in inodes.items()}


def _waiting(proc: Proc) -> Iterator[Waiting]:
    for table, state in _WAITS.items():
        for line in proc.text(1, "net", table).splitlines()[1:]:
            if (found := parse_row(line, table.rstrip("6"), state)) is not None:
                yield found


def parse_row(line: str, protocol: str, state: str) -> Waiting | None:
    """Parse a row of /proc/PID/net/tcp and the like, if it is in this state (proc_pid_net(5))."""
    match line.split():
        case [_, local, _, found, _, _, _, _, _, inode, *_] if found == state:
            with suppress(ValueError):
                return Waiting(protocol, int(local.rpartition(":")[2], 16), int(inode))
    return None


def _owners(inodes: Collection[int], proc: Proc) -> dict[int, str]:
    found: dict[int, str] = {}
    for pid, stat in proc.processes().items():
        for descriptor in proc.names(pid, "fd"):
            inode = socket_inode(proc.link(pid, "fd", descriptor))
            if inode is not None and inode in inodes:
                found.setdefault(inode, f"{printable(stat.name)} (pid {pid})")
    return found
