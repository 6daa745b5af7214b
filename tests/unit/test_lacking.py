"""Containers that Docker cannot start at all keep their checkpoint until it can."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from drainer.cli import manifest_output
from drainer.engine.fake import FakeEngine
from drainer.errors import EngineError, EngineUnavailableError
from drainer.lacking import Found, Lack, what_is_lacking
from drainer.manifest import CheckpointState, Entry, State
from drainer.model import Container, Mount, RestartPolicy
from drainer.networks import Address, Membership, Port
from tests.unit.world import World, entry_of

WEB = Port(80, "tcp", "127.0.0.1")
NET = Address("shop", "172.18.0.2")
DATA = Mount("volume", "/var/lib/docker/volumes/data/_data", "/data", driver="local", name="data")
LOG = f"{DATA.source}/log"
NOTHING = Found(networks={}, volumes=(), ports={})


def lose_network(engine: FakeEngine) -> None:
    engine.remove_network("shop")


def make_network_anew(engine: FakeEngine) -> None:
    engine.remove_network("shop")
    engine.create_network("shop")


def lose_volume(engine: FakeEngine) -> None:
    engine.gone.volumes.add("data")
    engine.files.away.add(LOG)


def take_port(engine: FakeEngine) -> None:
    engine.gone.ports[WEB] = "nginx (pid 812)"


def mend(engine: FakeEngine) -> None:
    engine.gone.volumes.clear()
    engine.files.away.clear()
    engine.gone.ports.clear()
    engine.create_network("shop")
    engine.connect("shop", "web")


LOSSES = [
    pytest.param(
        lose_network,
        "its network shop is gone: create it again and connect it;"
        " run: docker network connect shop web",
        id="network",
    ),
    pytest.param(
        make_network_anew,
        "its network shop was made anew: connect it; run: docker network connect shop web",
        id="network of the same name",
    ),
    pytest.param(lose_volume, "its volume data is gone: create it again", id="volume"),
    pytest.param(
        take_port, "port 80/tcp of this host is taken by nginx (pid 812): free it", id="port"
    ),
]


def add_web(world: World) -> Container:
    return world.add("web", "always", addresses=(NET,), mounts=(DATA,), ports=(WEB,), files=(LOG,))


@pytest.fixture
def shop(world: World) -> World:
    """Reboot with one container that needs all of it, and one that needs nothing."""
    add_web(world)
    world.add("other", "always")
    world.drain()
    world.reboot()
    return world


@pytest.mark.parametrize(("lose", "why"), LOSSES)
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
    mend(shop.engine)
    manifest = shop.resume()
    assert not manifest.pending
    assert (entry_of(manifest, "web").state, entry_of(manifest, "web").detail) == (
        State.RESTORED,
        "",
    )
    shop.check_promise()
    shop.check_debris()


@pytest.mark.parametrize(("lose", "why"), LOSSES)
def test_who_gives_up_gets_it_back_from_docker_as_it_was(
    shop: World, lose: Callable[[FakeEngine], None], why: str
) -> None:
    lose(shop.engine)
    shop.give_up = True
    manifest = shop.resume()
    assert not manifest.pending
    web = entry_of(manifest, "web")
    assert (web.state, web.checkpoint_state) == (State.LEFT, CheckpointState.UNUSABLE)
    assert web.detail == f"it cannot be started: {why}; left down, as was asked for"
    assert shop.now("web").restart_policy == RestartPolicy("always")
    mend(shop.engine)
    shop.reboot()
    shop.check_promise()


def test_a_second_drain_keeps_what_waits(shop: World) -> None:
    lose_volume(shop.engine)
    shop.resume()
    shop.drain()
    shop.reboot()
    mend(shop.engine)
    assert entry_of(shop.resume(), "web").state is State.RESTORED
    shop.check_promise()
    shop.check_debris()


def test_what_comes_back_during_the_resume_is_enough(shop: World) -> None:
    take_port(shop.engine)
    shop.engine.script("start", run=shop.engine.gone.ports.clear)
    assert entry_of(shop.resume(), "web").state is State.RESTORED
    shop.check_promise()


@pytest.mark.parametrize("lose", [lose_network, lose_volume])
@pytest.mark.parametrize("call", ["inspect", "networks", "volumes"])
@pytest.mark.parametrize("error", [EngineError, EngineUnavailableError])
def test_a_docker_that_tells_nothing_later_is_believed_what_it_told_before(
    shop: World,
    lose: Callable[[FakeEngine], None],
    call: str,
    error: type[EngineError],
) -> None:
    lose(shop.engine)

    def fall_silent() -> None:
        # After the first look, and for good.
        for nth in range(1, 40):
            shop.engine.script(call, shop.engine.inspect("web").id, nth=nth, error=error("no"))
            shop.engine.script(call, nth=nth, error=error("no"))

    shop.engine.script("start", run=fall_silent)
    web = entry_of(shop.resume(), "web")
    assert (web.state, web.checkpoint_state) == (State.STOPPED, CheckpointState.COMPLETE)


def test_a_reason_is_told_once_for_all(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(20):
        world.add(f"web{number:02}", "always", addresses=(NET,))
    manifest = world.drain()
    lose_network(world.engine)
    world.resume()
    (lacking,) = world.heard
    manifest_output.say_lacking(manifest, lacking)
    told, then = capsys.readouterr().err.splitlines()
    assert told.startswith("drainer: cannot be started now: web00, web01, ")
    assert told.endswith(", web19: its network shop is gone: create it again and connect it")
    assert "`drainer resume`" in then


def test_who_joins_what_cannot_be_started_waits_for_it(world: World) -> None:
    web = add_web(world)
    world.add("side", "always", network_mode=f"container:{web.id}")
    world.drain()
    lose_network(world.engine)
    manifest = world.resume()
    assert entry_of(manifest, "side").detail == "it needs web, which cannot be started"
    mend(world.engine)
    assert {e.state for e in world.resume().entries} == {State.RESTORED}
    world.check_promise()


def test_who_joins_one_that_stays_down_keeps_its_memory_until_that_one_is_up(
    world: World,
) -> None:
    web = add_web(world)
    world.add("side", "always", network_mode=f"container:{web.id}")
    drained = world.drain()
    world.engine.damage_checkpoint("web", entry_of(drained, "web").checkpoint)
    world.leave_failed = True
    manifest = world.resume()
    assert entry_of(manifest, "web").state is State.LEFT
    side = entry_of(manifest, "side")
    assert (side.state, side.checkpoint_state) == (State.STOPPED, CheckpointState.COMPLETE)
    assert side.detail == "it needs web, which is down: start it"
    world.engine.start(web.id, 1.0)
    assert entry_of(world.resume(), "side").state is State.RESTORED


def test_who_only_lists_one_that_stays_down_does_not_wait(world: World) -> None:
    add_web(world)
    world.add("user", "always", volumes_from=("web",))
    drained = world.drain()
    world.engine.damage_checkpoint("web", entry_of(drained, "web").checkpoint)
    world.leave_failed = True
    assert entry_of(world.resume(), "user").state is State.RESTORED


def test_who_only_works_with_it_is_not_kept_waiting(world: World) -> None:
    add_web(world)
    world.add("user", "always", volumes_from=("web",))
    world.drain()
    lose_network(world.engine)
    assert entry_of(world.resume(), "user").state is State.RESTORED
    assert not any("waits for" in entry.detail for entry in world.seen)


def test_what_is_not_restored_goes_its_old_way(shop: World) -> None:
    shop.engine.start(shop.now("web").id, 1.0)
    shop.engine.stop("web", 0)
    lose_network(shop.engine)
    manifest = shop.resume()
    assert not manifest.pending
    assert entry_of(manifest, "web").state is State.LEFT
    assert shop.now("web").restart_policy == RestartPolicy("always")


def judge(container: Container, found: Found, ports: tuple[Port, ...] = ()) -> Lack | None:
    entry = Entry("1" * 64, "web", "i", State.STOPPED, RestartPolicy(), ports=ports)
    return what_is_lacking([(entry, container)], found).get(entry.id)


def test_what_is_not_known_is_not_judged() -> None:
    web = Container("1" * 64, "web", networks=(Membership("shop", "id"),), mounts=(DATA,))
    assert judge(web, Found(networks=None, volumes=None, ports={})) is None
    assert judge(web, NOTHING)


@pytest.mark.parametrize("own", ["bridge", "host", "none"])
def test_dockers_own_networks_have_other_ids_after_every_start(own: str) -> None:
    assert judge(Container("1" * 64, "web", networks=(Membership(own, "old"),)), NOTHING) is None


def test_one_that_was_connected_while_it_was_down_finds_its_network_by_name() -> None:
    web = Container("1" * 64, "web", networks=(Membership("shop"),))
    assert judge(web, replace(NOTHING, networks={"new": "shop"})) is None
    assert judge(web, replace(NOTHING, networks={"new": "other"}))


def test_the_remedy_keeps_what_the_network_was_asked_for() -> None:
    member = Membership("shop", "old", ("web", "a b; rm"), "172.18.0.9", "fd00::9")
    lack = judge(Container("1" * 64, "shop-web-1", networks=(member,)), NOTHING)
    assert lack
    assert lack.remedy == (
        "run: docker network connect --alias=web '--alias=a b; rm'"
        " --ip=172.18.0.9 --ip6=fd00::9 shop shop-web-1"
    )


def test_volumes_of_plugins_are_not_judged() -> None:
    web = Container("1" * 64, "web", mounts=(replace(DATA, driver="rexray"),))
    assert judge(web, NOTHING) is None


def test_a_port_is_judged_by_what_was_bound() -> None:
    why = "port 80/tcp of this host is taken by nginx (pid 812): free it"
    found = replace(NOTHING, ports={WEB: why})
    web = Container("1" * 64, "web", ports=(WEB,))
    assert judge(web, found) is None
    assert judge(web, found, (WEB,)) == Lack(why)


def test_a_name_like_the_start_of_an_id_misleads_nobody() -> None:
    entries = [
        Entry(i, n, "i", State.STOPPED, RestartPolicy()) for i, n in (("db" * 32, "x"), ("1", "y"))
    ]
    lacking = Container("db" * 32, "x", networks=(Membership("shop", "old"),))
    user = Container("1", "y", links=("db",))
    found = what_is_lacking(list(zip(entries, (lacking, user), strict=True)), NOTHING)
    assert set(found) == {lacking.id}
