"""Let nothing happen to the connections of paused containers that are to be kept."""

from collections.abc import Collection
from ipaddress import ip_address

from drainer.carriers.base import Carriers
from drainer.engine.base import Engine
from drainer.errors import DrainerError
from drainer.host.base import Host
from drainer.manifest import Entry


def cut_off(
    keepers: Collection[Entry],
    engine: Engine,
    host: Host,
    carriers: Carriers,
    near: Collection[str],
) -> None:
    """Cut containers of a team off their networks, and guard what they have with other hosts.

    `near` are the addresses that go away with this host. Raises `DrainerError` where a connection
    to another host cannot be guarded, which may have been made since the plan.
    """
    containers = {entry.id: engine.inspect(entry.id) for entry in keepers}
    for entry in keepers:
        carriers[entry.route].cut_off(entry, containers[entry.id])
    peers = {peer for c in containers.values() for peer in host.processes(c).tcp_peers}
    far = {peer for peer in peers if peer not in near and not ip_address(peer).is_loopback}
    if not far:
        return
    # Who shares another one's network has its connections where the addresses are.
    guarded: set[str] = set()
    for entry in keepers:
        guarded |= carriers[entry.route].guard(entry, containers[entry.id], near)
    if lost := sorted(far - guarded):
        raise DrainerError(
            f"its connection to {lost[0]} cannot be kept: the host does not track it"
        )
