"""Which dynamic addresses can be kept over a reboot, and what must be held for that. Pure.

Docker allots the lowest free address of a network at each start (moby libnetwork/ipams/defaultipam,
Bitmap.SetAny), and does so for IPv4 and IPv6 apart. So an address can be dealt out again as long as
all lower ones are taken by others: by placeholders.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from drainer.model import Container
from drainer.networks import Address, Endpoint, Pool

OWN_NETWORKS = ("bridge", "host", "none")
"""Docker's own, which it finds by name. The bridge has another id after every start of Docker."""

MOST_PLACEHOLDERS = 64
"""For one network. What would need more of them is not kept."""

_TERMINATED = 143
_MAC_BITS = 48
_BROADCASTS = 4
"""The version of IP that has broadcast addresses."""


class Number(NamedTuple):
    """An IP address that can be counted from; compare only within one version."""

    version: int
    value: int


@dataclass(frozen=True, slots=True)
class Prospect:
    """Whether a carried container will have its dynamic address on a network again."""

    container: str
    """Its id."""
    network: str
    kept: bool
    why: str = ""
    """A clause that says why not; empty when it is kept."""


def number(text: str) -> Number | None:
    """Read an address; None for what is none, which nobody can ask for."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return Number(address.version, int(address))


def dealt(address: Address) -> tuple[str, ...]:
    """Return what Docker chose from a pool: none of it when it was asked for (`--ip`).

    Before Docker 28, IPv6 on the default bridge follows from the MAC, and that from the IPv4
    address (moby v26.1.5 daemon/daemon_unix.go deferIPv6Alloc): such a one is kept with it.
    """
    if address.fixed:
        return ()
    chosen = [address.ipv4]
    ipv6, mac = number(address.ipv6), address.mac.replace(":", "")
    if not (ipv6 and mac and f"{ipv6.value % (1 << _MAC_BITS):012x}" == mac.lower()):
        chosen.append(address.ipv6)
    return tuple(text for text in chosen if number(text))


def wanted(network: str, owners: Iterable[Collection[Address]]) -> frozenset[str]:
    """Return the dynamic addresses on a network that are to be dealt out again."""
    return frozenset(
        text
        for addresses in owners
        for address in addresses
        if address.network == network
        for text in dealt(address)
    )


def missing(wanted: Collection[str], taken: Collection[str], new: Collection[str]) -> int:
    """Return how many placeholders more are needed at least, until all wanted addresses are held.

    `taken` are all addresses that are allotted on the network, `new` those of the placeholders
    that were started since it was looked at first. A wanted one that lies below a new one and is
    still free is not to be had, and not waited for. So many starts take nothing above the highest
    wanted address.
    """
    highest: dict[int, int] = {}
    for held in _numbers(new):
        highest[held.version] = max(held.value, highest.get(held.version, 0))
    counts: defaultdict[int, int] = defaultdict(int)
    for free in _numbers(set(wanted) - set(taken)):
        counts[free.version] += free.value > highest.get(free.version, -1)
    return max(counts.values(), default=0)


def next_free(pools: Iterable[Pool], version: int, taken: Collection[str]) -> str:
    """Return the address that Docker would choose next; empty if that cannot be told.

    Neither the subnet's own address nor, with IPv4, that of its broadcasts is ever chosen (moby
    libnetwork/ipams/defaultipam/address_space.go).
    """
    used = {found.value for found in _numbers(taken) if found.version == version}
    for pool in pools:
        try:
            subnet, part = ip_network(pool.subnet), ip_network(pool.part or pool.subnet)
        except ValueError:
            continue
        if subnet.version != version:
            continue
        used |= {found.value for found in _numbers(pool.reserved)}
        used.add(int(subnet.network_address))
        if version == _BROADCASTS:
            used.add(int(subnet.broadcast_address))
        value, last = int(part.network_address), int(part.broadcast_address)
        while value in used:
            value += 1
        if value <= last:
            return str(ip_address(value) if version == _BROADCASTS else IPv6Address(value))
    return ""


def holders(address: Address, held: Mapping[str, Endpoint]) -> tuple[str, ...]:
    """Return the ids of those in `held` that must go for a container to be given its address.

    One that asks for its addresses needs each of them free. Otherwise both versions are held by
    the same placeholder, as a rule. If not, that of the IPv4 address goes; the other one goes, too,
    if the addresses that this gives away besides are higher ones, so that they are not allotted.
    """
    first = [i for i, end in held.items() if address.ipv4 and end.ipv4 == address.ipv4]
    second = [i for i, end in held.items() if address.ipv6 and end.ipv6 == address.ipv6]
    if address.fixed or not (first and second):
        return tuple(dict.fromkeys(first + second))
    harmless = _is_no_lower(held[second[0]].ipv4, address.ipv4) and _is_no_lower(
        held[first[0]].ipv6, address.ipv6
    )
    return tuple(dict.fromkeys(first + second if harmless else first))


def _is_no_lower(text: str, bound: str) -> bool:
    found, lowest = number(text), number(bound)
    return not found or not lowest or found >= lowest


def kept(containers: Collection[Container], carried: Collection[str]) -> tuple[Prospect, ...]:
    """Say of each carried container and network what will become of its dynamic address.

    `containers` are all that run, `carried` the ids of those that a resume starts. Networks on
    which a container has no dynamic address are left out. The pool is taken to begin with the
    lowest address in use, so that an address is at worst kept against this forecast. A stopped
    container that Docker starts at boot is not in the forecast.
    """
    users: defaultdict[str, list[tuple[Container, Address]]] = defaultdict(list)
    for container in containers:
        for address in container.addresses:
            users[address.network].append((container, address))
    prospects = []
    for network, here in users.items():
        early = [(c, a) for c, a in here if c.id not in carried and _is_early(c)]
        lowest = _lowest(a for _, a in here)
        for container, address in here:
            chosen = dealt(address)
            if container.id in carried and chosen:
                why = _obstacle(chosen, early, lowest)
                prospects.append(Prospect(container.id, network, not why, why))
    return tuple(prospects)


def _is_early(container: Container) -> bool:
    """Tell whether Docker starts a skipped container at boot, so before every carried one.

    With which code it will end is not known; most do not catch SIGTERM.
    """
    return not container.auto_remove and container.restart_policy.starts_at_boot(
        _TERMINATED, container.restart_count
    )


def _lowest(addresses: Iterable[Address]) -> dict[int, int]:
    """Return the lowest address that is in use, by IP version."""
    lowest: dict[int, int] = {}
    for found in _numbers(text for a in addresses for text in (a.ipv4, a.ipv6)):
        lowest[found.version] = min(found.value, lowest.get(found.version, found.value))
    return lowest


def _obstacle(
    chosen: Collection[str],
    early: Collection[tuple[Container, Address]],
    lowest: Mapping[int, int],
) -> str:
    """Say what keeps addresses from being dealt out again; empty if nothing does.

    Those that come up early take the lowest addresses among themselves, in any order, but for
    the fixed ones. An address is lost if it is among these.
    """
    ranks = []
    for found in _numbers(chosen):
        fixed = _numbers(t for _, a in early if a.fixed for t in (a.ipv4, a.ipv6))
        below = sum(n.version == found.version and n.value < found.value for n in set(fixed))
        ranks.append(found.value - lowest[found.version] + 1 - below)
        takers = [c.name for c, a in early if any(_numbers_of(a, found.version))]
        if ranks[-1] <= len(takers):
            return f"{takers[0]} is skipped, is started by Docker first, and may take it"
        if ranks[-1] - len(takers) > MOST_PLACEHOLDERS:
            return f"more than {MOST_PLACEHOLDERS} lower addresses would have to be held"
    if len(set(ranks)) > 1:
        return "its IPv4 and IPv6 addresses were not dealt out together, so the latter may change"
    return ""


def _numbers_of(address: Address, version: int) -> Iterable[Number]:
    return (n for n in _numbers(dealt(address)) if n.version == version)


def _numbers(texts: Iterable[str]) -> Iterable[Number]:
    return (found for text in texts if (found := number(text)))
