"""What Docker has to find again to start a container at all, and may not find after a reboot.

A network can have been removed while nothing ran, a volume be gone, a port of the host be taken by
another program. A restore is refused then, and so is a cold start.
"""

import shlex
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from drainer.addresses import OWN_NETWORKS
from drainer.deadline import Deadline
from drainer.engine.base import Engine
from drainer.errors import ContainerGoneError, DrainerError
from drainer.host.base import Host
from drainer.manifest import Entry, Manifest, State
from drainer.model import Bond, Container
from drainer.networks import Membership, Port
from drainer.order import all_bonds
from drainer.recover import Step, next_step

_NEEDED = {Bond.NETWORK, Bond.PID, Bond.IPC, Bond.LINK}
"""The ways to use another container that let Docker start nothing before that one runs."""

_LOCAL = "local"
"""The driver of the volumes that Docker itself keeps. A plugin may not be up yet."""


Pair = tuple[Entry, Container]


@dataclass(frozen=True, slots=True)
class Lack:
    """Why a container cannot be started."""

    why: str
    """The same words for all that lack the same."""
    remedy: str = ""
    """What is to be done for this one beside that."""
    files_away: bool = False
    """Whether files that it had open cannot be looked at."""

    def __str__(self) -> str:
        """Return both."""
        return f"{self.why}; {self.remedy}" if self.remedy else self.why


@dataclass(frozen=True, slots=True)
class Found:
    """What there is for containers; None where that is not known."""

    networks: Mapping[str, str] | None
    """Names by id."""
    volumes: Collection[str] | None
    ports: Mapping[Port, str]
    """Those that cannot be bound, and why."""
    down: Mapping[str, Lack] = field(default_factory=dict)
    """Who needs one that stays down, by id."""


def lacking(
    manifest: Manifest,
    engine: Engine,
    host: Host,
    deadline: Deadline,
    before: Mapping[str, Lack],
) -> dict[str, Lack]:
    """Say of each container that waits for its restore and could not be started now why, by id.

    What cannot be told now, for want of an answer, is as it was said to be `before`.
    """
    waiting: list[Pair] = []
    kept: set[str] = set()
    down: dict[str, Lack] = {}
    for entry in manifest.entries:
        if deadline.ended:
            # Nothing more is restored in this run, and each look may take a minute.
            return dict(before)
        if entry.state is not State.STOPPED:
            continue
        try:
            container = engine.inspect(entry.id)
            if next_step(entry, container) is not Step.RESTORE:
                continue
            waiting.append((entry, container))
            if lack := lacks_provider(entry, container, manifest, engine):
                down[entry.id] = lack
        except ContainerGoneError:
            continue
        except DrainerError:
            kept.add(entry.id)
    found = _look(waiting, engine, host, swarm=manifest.engine.swarm)
    found = replace(found, down=down)
    if (found.networks is None and not manifest.engine.swarm) or found.volumes is None:
        kept |= {entry.id for entry, _ in waiting}
    known = {i: lack for i, lack in before.items() if i in kept}
    return known | what_is_lacking(waiting, found)


def lacks_provider(
    entry: Entry, container: Container, manifest: Manifest, engine: Engine
) -> Lack | None:
    """Say whether it needs one that is settled and yet down, as one that was left down is.

    One that was removed is not waited for: nothing brings it back. Raises `DrainerError` where
    Docker does not tell.
    """
    for other in manifest.entries:
        if other.id not in entry.needs or not other.state.ended:
            continue
        try:
            provider = engine.inspect(other.id)
        except ContainerGoneError:
            continue
        needed = any(bond in _NEEDED for _, bond in all_bonds([container, provider])[entry.id])
        if needed and not provider.running:
            return Lack(f"it needs {other.name}, which is down: start it")
    return None


def _look(waiting: Collection[Pair], engine: Engine, host: Host, *, swarm: bool) -> Found:
    """Ask only for what somebody needs. In a swarm a node does not list all that it can join."""
    networks: Mapping[str, str] | None = None if swarm else {}
    volumes: Collection[str] | None = ()
    if not swarm and any(_networks(container) for _, container in waiting):
        networks = None
        with suppress(DrainerError):
            networks = engine.networks()
    if any(_volumes(container) for _, container in waiting):
        volumes = None
        with suppress(DrainerError):
            volumes = engine.volumes()
    ports = {port for entry, _ in waiting for port in entry.ports}
    return Found(networks, volumes, host.port_obstacles(ports) if ports else {})


def what_is_lacking(waiting: Collection[Pair], found: Found) -> dict[str, Lack]:
    """Judge by what was found. Pure.

    What needs another one of these containers lacks it, if that one cannot be started.
    """
    lacks = {e.id: lack for e, c in waiting if (lack := _lack(e, c, found))}
    names = {container.id: container.name for _, container in waiting}
    needs = {entry.id: entry.needs for entry, _ in waiting}
    bonds = all_bonds([container for _, container in waiting])
    while True:
        more = {
            user: Lack(f"it needs {names[provider]}, which cannot be started")
            for user, uses in bonds.items()
            for provider, bond in uses
            if bond in _NEEDED and provider in needs[user]
            if provider in lacks and user not in lacks
        }
        if not more:
            return lacks
        lacks |= more


def _lack(entry: Entry, container: Container, found: Found) -> Lack | None:
    if entry.id in found.down:
        return found.down[entry.id]
    if found.networks is not None:
        for member in _networks(container):
            if lack := _lacks_network(container, member, found.networks):
                return lack
    if found.volumes is not None:
        for volume in _volumes(container):
            if volume not in found.volumes:
                return Lack(f"its volume {volume} is gone: create it again", files_away=True)
    for port in entry.ports:
        if port in found.ports:
            return Lack(found.ports[port])
    return None


def _lacks_network(
    container: Container, member: Membership, networks: Mapping[str, str]
) -> Lack | None:
    """Judge as Docker does, which goes by the id of the last start if there is one.

    See moby daemon/container_operations.go getNetworkID.
    """
    named = member.network in networks.values()
    if member.id in networks or (named and not member.id):
        return None
    options = [f"--alias={alias}" for alias in member.aliases]
    options += [f"--ip={member.ipv4}"] if member.ipv4 else []
    options += [f"--ip6={member.ipv6}"] if member.ipv6 else []
    command = ("docker", "network", "connect", *options, member.network, container.name)
    why = "was made anew: connect it" if named else "is gone: create it again and connect it"
    return Lack(f"its network {member.network} {why}", f"run: {shlex.join(command)}")


def _networks(container: Container) -> tuple[Membership, ...]:
    """Return the networks that it finds by more than their name."""
    return tuple(member for member in container.networks if member.network not in OWN_NETWORKS)


def _volumes(container: Container) -> tuple[str, ...]:
    """Return the names of its volumes that Docker itself keeps."""
    return tuple(m.name for m in container.mounts if m.kind == "volume" and m.driver == _LOCAL)
