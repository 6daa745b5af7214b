"""Connections that are kept, within a group and to other hosts: nobody ends them meanwhile."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from drainer.carriers.runtime import CONNECTIONS_LOST
from drainer.errors import RuntimeRefusedError
from drainer.labels import LABEL_GROUP
from drainer.manifest import State
from drainer.model import Route
from drainer.networks import Address
from tests.unit.instants import die_at_each
from tests.unit.pair import PAIR, entries
from tests.unit.world import Killed, World, container_id

STRANGER = Address("front", "10.0.0.9", fixed=True)
FAR = "192.0.2.9"
KEEP = {**PAIR, "drainer.tcp": "keep"}


def connected(world: World, name: str, *peers: str) -> None:
    ordinary = world.host.processes(world.now(name))
    facts = replace(ordinary, tcp_established=1, tcp_peers=peers)
    world.host.process_facts[container_id(name)] = facts


def keepers(world: World) -> None:
    """Run two containers with a connection between them that is to be kept."""
    for name, address, peer in (
        ("left", "10.0.0.2", "10.0.0.3"),
        ("right", "10.0.0.3", "10.0.0.2"),
    ):
        world.add(name, "always", labels=KEEP, addresses=(Address("front", address, fixed=True),))
        connected(world, name, peer)


def test_kept_connections_are_spoken_on_when_all_of_the_group_is_back(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    keepers(world)
    world.add("alone", "always")
    assert {e.state for e in world.drain().entries} == {State.STOPPED}
    world.reboot()
    assert {e.state for e in world.resume().entries} == {State.RESTORED}
    quiet = {order.container: order.quiet for order in world.runtime.orders}
    assert [quiet[container_id(n)] for n in ("left", "right", "alone")] == [True, True, False]
    both = frozenset({container_id("left"), container_id("right")})
    # Not when they were killed: their kernels would tell that to the other end.
    assert world.runtime.spoken == [both]
    assert not world.runtime.silent
    flags = {order.container: order.flags for order in world.runtime.orders}
    assert "tcp-established" in flags[container_id("left")]
    assert "tcp-close" in flags[container_id("alone")]


def test_they_are_spoken_on_also_if_one_of_the_group_starts_cold(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    keepers(world)
    drained = world.drain()
    world.reboot()
    world.engine.damage_checkpoint(container_id("left"), drained.entries[0].checkpoint)
    states = {e.name: e.state for e in world.resume().entries}
    assert states == {"left": State.STARTED_COLD, "right": State.RESTORED}
    assert len(world.runtime.spoken) == 1
    assert not world.runtime.silent


def test_they_are_silent_from_the_pause_to_the_kill(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    keepers(world)
    seen: list[set[str]] = []
    for nth in (1, 2):
        world.engine.script("dump", nth=nth, run=lambda: seen.append(set(world.runtime.silent)))
    world.drain()
    both = {container_id("left"), container_id("right")}
    assert seen == [both, both]


def nobody_is_cut_off(world: World) -> None:
    assert not world.runtime.silent


@pytest.mark.parametrize("phase", ["drain", "resume"])
def test_nobody_stays_cut_off_whenever_drainer_dies(tmp_path: Path, phase: str) -> None:
    die_at_each(tmp_path, Route.RUNTIME, phase, "same boot", keepers, nobody_is_cut_off)


@pytest.mark.parametrize(
    ("labels", "network", "reason"),
    [
        ({**PAIR, "drainer.tcp": "close"}, "", "to 10.0.0.3"),
        ({"drainer.tcp": "keep", LABEL_GROUP: "other"}, "", "to 10.0.0.3"),
        (KEEP, "beside", "to 10.0.0.3"),
        (KEEP, "host", "to 10.0.0.3"),
    ],
)
def test_both_ends_must_keep_it_and_all_that_share_their_network(
    tmp_path: Path, labels: dict[str, str], network: str, reason: str
) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    keepers(world)
    mode = {"network_mode": "host"} if network == "host" else {}
    world.engine.change(container_id("right"), labels=labels, **mode)
    if network == "beside":
        world.add("beside", network_mode=f"container:{container_id('right')}")
    left = entries(world)["left"]
    assert ("tcp_not_kept", reason) in {(r.id, r.detail) for r in left.reasons}


def test_who_is_connected_to_others_than_its_group_is_skipped_with_it(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    keepers(world)
    world.add("third", labels=KEEP, addresses=(Address("front", "10.0.0.4", fixed=True),))
    world.add("stranger", labels=KEEP | {LABEL_GROUP: "other"}, addresses=(STRANGER,))
    connected(world, "third", "10.0.0.2", STRANGER.ipv4)
    found = entries(world)
    assert {n: [r.id for r in e.reasons] for n, e in found.items()} == {
        "left": ["group_incomplete"],
        "right": ["group_incomplete"],
        "third": ["tcp_not_kept"],
        "stranger": [],
    }
    assert found["third"].reasons[0].detail == f"to {STRANGER.ipv4}"


def test_an_address_that_may_change_keeps_no_connection(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    keepers(world)
    world.add("shell", "always", tty=True, addresses=(Address("front", "10.0.0.4"),))
    # What Docker starts first may take what Docker has dealt out.
    world.engine.change(container_id("left"), addresses=(Address("front", "10.0.0.2"),))
    found = entries(world)
    assert [r.id for r in found["left"].reasons] == ["tcp_not_kept"]
    assert [r.id for r in found["right"].reasons] == ["group_incomplete"]


def far(world: World) -> None:
    """Run a container with a connection to another host that is to be kept."""
    address = Address("front", "10.0.0.2", fixed=True)
    world.add("far", "always", labels={"drainer.tcp": "keep"}, addresses=(address,))
    connected(world, "far", FAR)
    world.host.connections = frozenset({(address.ipv4, FAR), (address.ipv4, "10.0.0.1")})
    world.runtime.far = frozenset({FAR})


def far_group(world: World) -> None:
    """Run a group of which one has such a connection, too."""
    keepers(world)
    connected(world, "left", "10.0.0.3", FAR)
    world.host.connections = frozenset({("10.0.0.2", FAR)})
    world.runtime.far = frozenset({FAR})


def test_a_connection_to_another_host_is_guarded_from_the_dump_to_the_restore(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    far(world)
    world.add("alone", "always")
    seen: list[tuple[set[str], set[str]]] = []

    def look() -> None:
        seen.append((set(world.runtime.guarded), set(world.runtime.silent)))

    for nth in (1, 2):
        world.engine.script("dump", nth=nth, run=look)
    note = next(n for n in entries(world)["far"].notes if n.id == "tcp_kept")
    assert note.detail == f"to {FAR}"
    assert {e.state for e in world.drain().entries} == {State.STOPPED}
    identity = container_id("far")
    assert ({identity}, {identity}) in seen
    assert world.runtime.guarded == {identity}
    world.reboot()
    assert {e.state for e in world.resume().entries} == {State.RESTORED}
    assert not world.runtime.guarded
    # It waits for nobody.
    assert not any(order.quiet for order in world.runtime.orders)


def test_what_cannot_be_guarded_is_left_running(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    far(world)
    world.engine.script("guard", error=RuntimeRefusedError("no iptables"))
    (entry,) = world.drain().entries
    assert (entry.state, entry.detail) == (State.LEFT, "no iptables")
    assert world.now("far").running
    assert not world.now("far").paused
    assert not world.runtime.guarded | world.runtime.silent


def test_what_the_host_does_not_track_cannot_be_kept(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    far(world)
    for peers in ((FAR, "192.0.2.77"), (FAR, "2001:db8::9"), (FAR, "10.0.0.1")):
        connected(world, "far", *peers)
        (reason,) = entries(world)["far"].reasons
        assert (reason.id, reason.detail) == ("tcp_not_kept", f"to {peers[1]}")


def test_a_connection_that_is_made_after_the_plan_is_kept_or_the_container_is_not_carried(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    far(world)
    for peer, state in ((FAR, State.STOPPED), ("192.0.2.77", State.LEFT)):
        world.live_again()
        connected(world, "far", "127.0.0.1")
        world.engine.script("pause", run=lambda peer=peer: connected(world, "far", peer))  # type: ignore[misc]
        (entry,) = world.drain().entries
        assert entry.state is state, entry.detail
        if state is State.STOPPED:
            world.reboot()
            world.resume()
    assert entry.detail == "its connection to 192.0.2.77 cannot be kept: the host does not track it"
    assert not world.runtime.guarded | world.runtime.silent


def test_nothing_is_asked_of_the_firewall_without_such_a_connection(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    keepers(world)
    world.drain()
    assert "guard" not in {call.method for call in world.engine.calls}


def test_a_cold_start_ends_the_guard(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    far(world)
    (drained,) = world.drain().entries
    world.reboot()
    world.engine.damage_checkpoint(container_id("far"), drained.checkpoint)
    (entry,) = world.resume().entries
    assert entry.state is State.STARTED_COLD
    assert not world.runtime.guarded


@pytest.mark.parametrize("populate", [far, far_group])
def test_a_cold_start_ends_the_guard_whenever_drainer_dies(
    tmp_path: Path, populate: Callable[[World], None]
) -> None:
    for number in range(1, 100):
        world = World(tmp_path / str(number), routes=(Route.RUNTIME,))
        populate(world)
        drained = world.drain().entries[-1]
        assert drained.id in world.runtime.guarded
        world.reboot()
        world.engine.damage_checkpoint(drained.id, drained.checkpoint)
        world.kill_at(number)
        with suppress(Killed):
            world.resume()
        completed = not world.dead
        world.live_again()
        states = {e.id: e.state for e in world.resume().entries}
        assert states.pop(drained.id) is State.STARTED_COLD
        assert not set(states.values()) - {State.RESTORED}
        assert not world.runtime.guarded
        if completed:
            return
    pytest.fail("there was no end to the instants")


def nobody_is_guarded(world: World) -> None:
    assert not world.runtime.guarded | world.runtime.silent


@pytest.mark.parametrize("phase", ["drain", "resume"])
@pytest.mark.parametrize("end", ["same boot", "reboot", "power cut", "drained again"])
def test_nobody_stays_guarded_whenever_drainer_dies(tmp_path: Path, phase: str, end: str) -> None:
    die_at_each(tmp_path, Route.RUNTIME, phase, end, far, nobody_is_guarded)


def test_who_shares_a_network_keeps_connections_to_other_hosts_in_a_group_only(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    far(world)
    mode = f"container:{container_id('far')}"
    world.add("beside", labels={"drainer.tcp": "keep"}, network_mode=mode)
    found = entries(world)
    assert [r.detail for r in found["far"].reasons if r.id == "tcp_not_kept"] == [f"to {FAR}"]
    for name in ("far", "beside"):
        world.engine.change(container_id(name), labels=KEEP)
    assert not entries(world)["far"].reasons


def test_connections_that_could_not_be_put_back_are_reported(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    far(world)
    world.runtime.lost.add(container_id("far"))
    world.drain()
    world.reboot()
    (entry,) = world.resume().entries
    assert entry.state is State.RESTORED
    assert CONNECTIONS_LOST in entry.notes
