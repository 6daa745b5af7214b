"""What Docker has to find again to start a container at all, and may not find after a reboot.

A network can have been removed while nothing ran, a volume be on a disk that is away, a port of the
host be taken by another program. A restore is refused then, and so is a cold start.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from drainer.engine.base import Engine
from drainer.errors import ContainerGoneError, DrainerError
from drainer.host.base import Host
from drainer.manifest import Manifest, State
from drainer.model import Bond, Container, Port
from drainer.order import all_bonds

_NEEDED = {Bond.NETWORK, Bond.PID, Bond.IPC, Bond.LINK}
"""The ways to use another container that let Docker start nothing before that one runs."""

_OWN = {"bridge", "host", "none"}
"""Docker's own networks, which it finds by name. The bridge has another id after every start."""

_LOCAL = "local"
"""The driver of the volumes that Docker itself keeps. A plugin may not be up yet."""


def lacking(manifest: Manifest, engine: Engine, host: Host) -> dict[str, str]:
    """Say of each container that waits for its restore and could not be started now why, by id.

    Says nothing while Docker does not answer: whoever asks next knows what to do then.
    """
    waiting = [entry.id for entry in manifest.entries if entry.state is State.STOPPED]
    try:
        down = [c for c in _present(engine, waiting) if not c.running]
        ports = {port for container in down for port in container.ports}
        # In a swarm, a node does not list every network that it can join.
        networks = engine.networks() if down and not manifest.engine.swarm else None
        volumes = engine.volumes() if any(map(_volumes, down)) else ()
    except DrainerError:
        return {}
    return what_is_lacking(down, networks, volumes, host.port_holders(ports) if ports else {})


def _present(engine: Engine, containers: Collection[str]) -> Iterator[Container]:
    for container in containers:
        with suppress(ContainerGoneError):
            yield engine.inspect(container)


def _volumes(container: Container) -> tuple[str, ...]:
    """Return the names of its volumes that Docker itself keeps."""
    return tuple(m.name for m in container.mounts if m.kind == "volume" and m.driver == _LOCAL)


def what_is_lacking(
    containers: Collection[Container],
    networks: Mapping[str, str] | None,
    volumes: Collection[str],
    taken: Mapping[Port, str],
) -> dict[str, str]:
    """Judge by the networks (names by id; None if not known), the volumes, and the taken ports.

    Docker finds a network by the id that it had at the container's last start, if any (moby
    daemon/container_operations.go getNetworkID). What needs another of these containers lacks it,
    if that one cannot be started. Pure.
    """
    found = {c.id: why for c in containers if (why := _what_it_lacks(c, networks, volumes, taken))}
    names = {c.id: c.name for c in containers}
    bonds = all_bonds(containers)
    while True:
        more = {
            user: f"it needs {names[provider]}, which cannot be started"
            for user, uses in bonds.items()
            for provider, bond in uses
            if bond in _NEEDED and provider in found and user not in found
        }
        if not more:
            return found
        found |= more


def _what_it_lacks(
    container: Container,
    networks: Mapping[str, str] | None,
    volumes: Collection[str],
    taken: Mapping[Port, str],
) -> str:
    for name, identity in container.networks.items():
        named = networks is not None and name in networks.values()
        if networks is None or name in _OWN or identity in networks or (named and not identity):
            continue
        connect = f"`docker network connect {name} CONTAINER`"
        if named:
            return f"its network {name} was made anew: run {connect}"
        return f"its network {name} is gone: create it again, and run {connect}"
    for volume in _volumes(container):
        if volume not in volumes:
            return f"its volume {volume} is gone: create it again"
    for port in container.ports:
        if port in taken:
            return f"{port} of this host is taken by {taken[port]}: free it"
    return ""
