"""Containers that Docker cannot start at all keep their checkpoint until it can."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from drainer.cli import output
from drainer.engine.fake import FakeEngine
from drainer.errors import EngineUnavailableError
from drainer.lacking import what_is_lacking
from drainer.manifest import CheckpointState, State
from drainer.model import Address, Container, Mount, Port
from tests.unit.world import World, entry_of

WEB = Port(80, "tcp", "0.0.0.0")  # noqa: S104 - as Docker shows it; nothing listens
NET = Address("shop", "172.18.0.2")
DATA = Mount("volume", "/var/lib/docker/volumes/data/_data", "/data", driver="local", name="data")


def lose_network(engine: FakeEngine) -> None:
    engine.remove_network("shop")


def make_network_anew(engine: FakeEngine) -> None:
    engine.remove_network("shop")
    engine.create_network("shop")


def lose_volume(engine: FakeEngine) -> None:
    engine.gone.volumes.add("data")


def take_port(engine: FakeEngine) -> None:
    engine.gone.ports[WEB] = "nginx (pid 812)"


CASES = [
    pytest.param(
        lose_network,
        "its network shop is gone: create it again, and run"
        " `docker network connect shop CONTAINER`",
        id="network",
    ),
    pytest.param(
        make_network_anew,
        "its network shop was made anew: run `docker network connect shop CONTAINER`",
        id="network of the same name",
    ),
    pytest.param(lose_volume, "its volume data is gone: create it again", id="volume"),
    pytest.param(
        take_port, "port 80/tcp of this host is taken by nginx (pid 812): free it", id="port"
    ),
]


@pytest.fixture
def shop(world: World) -> World:
    """Reboot with one container that needs all of it, and one that needs nothing."""
    world.add("web", "always", addresses=(NET,), mounts=(DATA,), ports=(WEB,))
    world.add("other", "always")
    world.drain()
    world.reboot()
    return world


@pytest.mark.parametrize(("lose", "why"), CASES)
def test_what_cannot_be_started_waits_and_is_restored_later(
    shop: World, lose: Callable[[FakeEngine], None], why: str
) -> None:
    lose(shop.engine)
    manifest = shop.resume()
    assert manifest.pending
    web = entry_of(manifest, "web")
    assert (web.state, web.detail) == (State.STOPPED, why)
    assert web.checkpoint_state is CheckpointState.COMPLETE
    assert entry_of(manifest, "other").state is State.RESTORED
    assert ("start", "web") not in {(c.method, c.container) for c in shop.engine.calls}
    shop.engine.gone.volumes.clear()
    shop.engine.gone.ports.clear()
    shop.engine.create_network("shop")
    shop.engine.connect("shop", "web")
    manifest = shop.resume()
    assert not manifest.pending
    assert entry_of(manifest, "web").state is State.RESTORED
    shop.check_promise()
    shop.check_debris()


def test_what_comes_back_during_the_resume_is_enough(shop: World) -> None:
    take_port(shop.engine)
    shop.engine.script("start", run=shop.engine.gone.ports.clear)
    assert entry_of(shop.resume(), "web").state is State.RESTORED
    shop.check_promise()


def test_a_reason_is_told_once_for_all(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(20):
        world.add(f"web{number:02}", "always", addresses=(NET,))
    manifest = world.drain()
    lose_network(world.engine)
    world.resume()
    (lacking,) = world.heard
    output.say_lacking(manifest, lacking)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("drainer: cannot be started now: web00, web01, ")
    assert ", web19: its network shop is gone: create it again" in line


def test_a_docker_that_does_not_tell_hinders_nothing(shop: World) -> None:
    shop.engine.script("networks", error=EngineUnavailableError("no answer"))
    assert entry_of(shop.resume(), "web").state is State.RESTORED


def test_who_joins_what_cannot_be_started_waits_for_it(world: World) -> None:
    web = world.add("web", "always", addresses=(NET,))
    world.add("side", "always", network_mode=f"container:{web.id}")
    world.drain()
    lose_network(world.engine)
    manifest = world.resume()
    assert entry_of(manifest, "side").detail == "it needs web, which cannot be started"
    world.engine.create_network("shop")
    world.engine.connect("shop", "web")
    assert {e.state for e in world.resume().entries} == {State.RESTORED}
    world.check_promise()


def test_in_a_swarm_networks_are_not_judged() -> None:
    web = Container("1" * 64, "web", networks={"shop": "id"})
    assert what_is_lacking([web], None, (), {}) == {}
    assert what_is_lacking([web], {}, (), {}) != {}


def test_one_that_was_connected_while_it_was_down_finds_its_network_by_name() -> None:
    web = Container("1" * 64, "web", networks={"shop": ""})
    assert what_is_lacking([web], {"new": "shop"}, (), {}) == {}
    assert what_is_lacking([web], {"new": "other"}, (), {}) != {}


def test_dockers_own_networks_have_other_ids_after_every_start() -> None:
    web = Container("1" * 64, "web", networks={"bridge": "old"})
    assert what_is_lacking([web], {"new": "bridge"}, (), {}) == {}


def test_volumes_of_plugins_are_not_judged() -> None:
    web = Container("1" * 64, "web", mounts=(replace(DATA, driver="rexray"),))
    assert what_is_lacking([web], {}, (), {}) == {}
