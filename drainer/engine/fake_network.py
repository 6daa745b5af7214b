"""Networks of the fake daemon: who has which address.

As Docker's own allocator does, a dynamic address is given back when its container goes down, and
the lowest free one is allotted at start (moby libnetwork/ipams/defaultipam).
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from drainer.addresses import OWN_NETWORKS
from drainer.errors import EngineError
from drainer.networks import Address, Membership, Pool

_PREFIX = {4: 24, 6: 64}
_FIRST = 2
"""The first address of a pool is the gateway's."""


class FakeNetworks:
    """Pools by network and IP version. Each is learnt from the first address that is seen of it."""

    def __init__(self) -> None:
        """Start without any network but Docker's own."""
        self.names = {name: name for name in OWN_NETWORKS}
        """The names of all networks, by id."""
        self._made = 0
        self._pools: dict[tuple[str, int], IPv4Network | IPv6Network] = {}

    def learn(self, addresses: Iterable[Address]) -> None:
        """Take note of the pools that these addresses are from."""
        for address in addresses:
            if address.network not in self.names.values():
                self.create(address.network)
            for text in (address.ipv4, address.ipv6):
                with suppress(ValueError):
                    version = ip_address(text).version
                    pool = ip_network(f"{text}/{_PREFIX[version]}", strict=False)
                    self._pools.setdefault((address.network, version), pool)

    def create(self, name: str) -> None:
        """Make a network, with an id that none has had."""
        self._made += 1
        self.names[f"{self._made:064x}"] = name

    def remove(self, name: str) -> None:
        """Remove a network; its containers go on naming it."""
        self.names = {identity: n for identity, n in self.names.items() if n != name}

    def members(self, addresses: Iterable[Address]) -> tuple[Membership, ...]:
        """Return what a container notes of the networks of these addresses when it starts."""
        known = {name: identity for identity, name in self.names.items()}
        return tuple(Membership(a.network, known.get(a.network, "")) for a in addresses)

    def require(self, networks: Iterable[Membership]) -> None:
        """Raise Docker's refusal to start what is in a network that is gone."""
        for member in networks:
            by_name = member.network in OWN_NETWORKS or not member.id
            known = member.network in self.names.values() if by_name else member.id in self.names
            if not known:
                raise EngineError(f"network {member.id or member.network} not found")

    def of(self, network: str) -> tuple[Pool, ...]:
        """Return the pools of a network; the first address of each is the gateway's."""
        return tuple(
            Pool(str(pool), reserved=(str(pool[_FIRST - 1]),))
            for (name, _), pool in self._pools.items()
            if name == network
        )

    def allot(
        self, addresses: Iterable[Address], taken: Collection[Address]
    ) -> tuple[Address, ...]:
        """Return what a container has once it is started; what it has already stays.

        `taken` is what others have. Raises Docker's refusal of a fixed address that is not free.
        """
        return tuple(self._allotted(address, taken) for address in addresses)

    def _allotted(self, address: Address, taken: Collection[Address]) -> Address:
        others = [other for other in taken if other.network == address.network]
        used = {other.ipv4 for other in others} | {other.ipv6 for other in others}
        if address.fixed:
            if {address.ipv4, address.ipv6} - {""} & used:
                raise EngineError("failed to set up container networking: Address already in use")
            return address
        return replace(
            address,
            ipv4=address.ipv4 or self._lowest(address.network, 4, used),
            ipv6=address.ipv6 or self._lowest(address.network, 6, used),
        )

    def _lowest(self, network: str, version: int, used: set[str]) -> str:
        pool = self._pools.get((network, version))
        if pool is None:
            return ""
        free = (str(pool[n]) for n in range(_FIRST, len(used) + _FIRST + 1))
        return next(address for address in free if address not in used)


def given_back(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """Return what a container still has when it is down: fixed addresses, and its networks."""
    return tuple(
        address if address.fixed else replace(address, ipv4="", ipv6="", mac="")
        for address in addresses
    )
