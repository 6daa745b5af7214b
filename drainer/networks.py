"""Networks, addresses and ports as frozen types. Nothing here reads or writes anything."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """What a container has on one network. Empty strings where it has none."""

    network: str
    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""
    fixed: bool = False
    """Whether the address was asked for (`--ip`), and so is the same after every start."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is allotted to one container on one network now. Empty strings where nothing is."""

    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """From where Docker chooses the addresses of a network."""

    subnet: str
    part: str = ""
    """The part of the subnet that addresses are chosen from (`--ip-range`); empty for all."""
    reserved: tuple[str, ...] = ()
    """Addresses that are never chosen, such as the gateway's."""


@dataclass(frozen=True, slots=True)
class Membership:
    """One network that a container was connected to, as it was asked for, also while it is down."""

    network: str
    id: str = ""
    """The network's, at the last start; empty if it was connected since."""
    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the host."""

    number: int
    protocol: str = "tcp"
    address: str = ""
    """The one of the host's that is bound; `0.0.0.0` or `::` for all of a version."""

    def __str__(self) -> str:
        """Return it as people write it, such as `port 80/tcp`."""
        return f"port {self.number}/{self.protocol}"
