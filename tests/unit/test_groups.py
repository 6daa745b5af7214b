"""Groups: containers that are carried together, or not at all."""

import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from drainer.carriers.base import Carriers
from drainer.deadline import Deadline
from drainer.errors import (
    DrainerError,
    EngineError,
    EngineTimeoutError,
    RuntimeRefusedError,
    StorageError,
)
from drainer.labels import LABEL_ENABLE, LABEL_GROUP
from drainer.manifest import Manifest, State
from drainer.model import ROUTES, Container, EngineFacts, PlanEntry, Route, Verdict
from drainer.networks import Address
from drainer.order import teams
from drainer.storage import FileSystem
from tests.unit.test_budget_of_a_drain import expect
from tests.unit.world import Clock, Killed, World, container_id

PAIR = {LABEL_GROUP: "pair"}


@pytest.fixture(autouse=True)
def no_second_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two drains of one host never have the same name."""
    monkeypatch.setattr("drainer.drain.datetime", Clock)


def entries(world: World) -> dict[str, PlanEntry]:
    return {e.container.name: e for e in world.plan().entries}


def populate(world: World) -> None:
    world.add("left", "always", labels=PAIR)
    world.add("right", "unless-stopped", labels=PAIR)


def together(world: World) -> None:
    """All of the group is up, or all of it is down; without a kill it is up."""
    killed = {c.container for c in world.engine.calls if c.method == "kill"}
    up = [world.now(name).running for name in ("left", "right")]
    assert len(set(up)) == 1
    assert any(up) == (not killed)


def test_a_group_is_skipped_when_one_of_it_is(tmp_path: Path) -> None:
    world = World(tmp_path)
    populate(world)
    world.add("shell", "always", labels=PAIR, tty=True)
    world.add("other", "always", labels={LABEL_GROUP: "others"})
    world.add("alone", "always")
    found = entries(world)
    assert {n for n, e in found.items() if e.verdict is Verdict.CARRY} == {"other", "alone"}
    assert [r.id for r in found["left"].reasons] == ["group_incomplete"]
    assert found["left"].reasons[0].detail == "group pair: shell"
    assert [r.id for r in found["shell"].reasons] == ["tty"]


def test_who_uses_one_of_a_skipped_group_is_skipped_with_its_own_group(tmp_path: Path) -> None:
    world = World(tmp_path)
    populate(world)
    left = container_id("left")
    world.add("right", labels={**PAIR, LABEL_ENABLE: "false"})
    world.add("user", network_mode=f"container:{left}", labels={LABEL_GROUP: "users"})
    world.add("friend", labels={LABEL_GROUP: "users"})
    found = entries(world)
    assert {n: [r.id for r in e.reasons] for n, e in found.items()} == {
        "left": ["group_incomplete"],
        "right": ["opted_out"],
        "user": ["provider_skipped"],
        "friend": ["group_incomplete"],
    }


def test_a_group_without_room_for_all_takes_none_from_others(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    for name in ("a-big", "b-big"):
        world.add(name, labels={**PAIR, "drainer.priority": "5"})
        expect(world, name, 600 << 20)
    world.add("z-small")
    expect(world, "z-small", 500 << 20)
    world.host.other_places["state"] = FileSystem("8:1", "/", 1 << 30)
    found = entries(world)
    assert {n for n, e in found.items() if e.verdict is Verdict.CARRY} == {"z-small"}
    assert {r.id for e in found.values() for r in e.reasons} == {
        "no_room_runtime",
        "group_incomplete",
    }


@pytest.mark.parametrize("parallel", [1, 3])
@pytest.mark.parametrize("route", ROUTES)
def test_all_are_paused_before_the_first_dump_and_dumped_before_the_first_kill(
    tmp_path: Path, route: Route, parallel: int
) -> None:
    world = World(tmp_path, routes=(route,), parallel=parallel)
    populate(world)
    world.add("third", "always", labels=PAIR)
    drained = world.drain()
    assert {e.state for e in drained.entries} == {State.STOPPED}
    steps = {"pause": 0, "create_checkpoint": 1, "dump": 1, "kill": 2}
    order = [steps[c.method] for c in world.engine.calls if c.method in steps]
    assert order == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    world.reboot()
    resumed = world.resume()
    assert {e.state for e in resumed.entries} == {State.RESTORED}
    world.check_promise()


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize(
    ("route", "call"), [(Route.ENGINE, "create_checkpoint"), (Route.RUNTIME, "dump")]
)
def test_if_one_cannot_be_dumped_all_go_on_running(
    tmp_path: Path, route: Route, call: str, nth: int
) -> None:
    world = World(tmp_path, routes=(route,))
    populate(world)
    world.add("zed", "always")
    world.engine.script(call, nth=nth, error=EngineError("it broke"))
    drained = {e.name: e for e in world.drain().entries}
    assert drained["left"].state is drained["right"].state is State.LEFT
    details = {drained[name].detail for name in ("left", "right")}
    failed = ("left", "right")[nth - 1]
    assert f"it goes together with {failed}, which failed: it broke" in details
    for name in ("left", "right"):
        assert world.now(name).running
        assert not world.now(name).paused
    assert world.now("left").restart_policy.name == "always"
    assert drained["zed"].state is State.STOPPED


@pytest.mark.parametrize("end", ["power cut", "same boot"])
@pytest.mark.parametrize("phase", ["drain", "resume"])
@pytest.mark.parametrize("route", ROUTES)
def test_drainer_may_die_at_any_instant(tmp_path: Path, route: Route, phase: str, end: str) -> None:
    for number in range(1, 400):
        world = World(tmp_path / str(number), routes=(route,))
        populate(world)
        if phase == "resume":
            world.drain()
            world.reboot()
        world.kill_at(number)
        with suppress(Killed):
            world.drain() if phase == "drain" else world.resume()
        completed = not world.dead
        world.live_again()
        if end == "power cut":
            world.power_cut()
        if not world.file.exists:
            continue
        assert world.resume().finished
        world.check_promise()
        world.check_debris(world.kept_checkpoints())
        if completed:
            return
    pytest.fail("there was no end to the instants")


@pytest.mark.parametrize("error", [EngineError, EngineTimeoutError, RuntimeRefusedError])
@pytest.mark.parametrize(
    "call", ["inspect", "set_restart_policy", "pause", "unpause", "kill", "dump"]
)
def test_any_one_call_may_fail(tmp_path: Path, call: str, error: type[DrainerError]) -> None:
    for nth in range(1, 100):
        world = World(tmp_path / str(nth), routes=(Route.RUNTIME,))
        populate(world)
        world.engine.script(call, nth=nth, error=error("it broke"))
        world.drain()
        made = sum(c.method == call for c in world.engine.calls)
        together(world)
        world.reboot()
        assert world.resume().finished
        world.check_promise()
        world.check_debris()
        if made < nth:
            return
    pytest.fail("there was no end to the calls")


def test_a_group_begins_only_with_time_for_all_of_it(tmp_path: Path) -> None:
    world = World(tmp_path, budget=50.0, routes=(Route.ENGINE,))
    populate(world)
    for name in ("left", "right"):
        expect(world, name, 400 << 20)
    drained = world.drain()
    assert {e.state for e in drained.entries} == {State.LEFT}
    assert {e.detail[:33] for e in drained.entries} == {"it does not fit into the budget: "}
    assert "pause" not in {c.method for c in world.engine.calls}


def test_teams_of_groups_and_of_groups_that_use_each_other() -> None:
    uses = {"a1": ["b1"], "a2": [], "b1": [], "b2": ["a2"], "c1": ["c2"], "c2": [], "d": ["a1"]}
    groups = {n: n[0] for n in ("a1", "a2", "b1", "b2", "c1", "c2")}
    found = teams(uses, groups)
    assert len({found[n] for n in ("a1", "a2", "b1", "b2")}) == 1
    assert found["c1"] == found["c2"]
    assert found["d"] == "d"
    assert len(set(found.values())) == 3
    assert teams(uses, {}) == {n: n for n in uses}


def test_what_somebody_lets_run_on_meanwhile_saves_the_others_too(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    populate(world)
    let_go = partial(world.engine.unpause, container_id("left"))
    world.engine.script("dump", nth=2, run=let_go)
    drained = world.drain()
    assert {e.state for e in drained.entries} == {State.LEFT}
    assert any("somebody let it run on" in e.detail for e in drained.entries)
    together(world)


def test_what_is_down_of_others_parts_no_group(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    world.add("alone", "always")
    populate(world)
    alone, refused = container_id("alone"), DrainerError("it broke")
    kill_frozen = world.host.kill_frozen

    def refuse_left(container: Container) -> bool:
        if container.id == container_id("left"):
            raise refused
        return kill_frozen(container)

    world.host.kill_frozen = refuse_left  # type: ignore[method-assign]
    states = {e.name: e.state for e in world.drain().entries}
    assert states == {"alone": State.STOPPED, "left": State.LEFT, "right": State.LEFT}
    assert [c.container for c in world.engine.calls if c.method == "kill"] == [alone]


@pytest.mark.parametrize("parallel", [1, 3])
def test_an_interruption_begins_no_more_dumps(tmp_path: Path, parallel: int) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,), parallel=parallel)
    populate(world)
    for name in ("third", "fourth", "fifth"):
        world.add(name, "always", labels=PAIR)
    deadlines: list[Deadline] = []
    carriers = world.carriers

    def noting(facts: EngineFacts, deadline: Deadline) -> Carriers:
        deadlines.append(deadline)
        return carriers(facts, deadline)

    world.carriers = noting  # type: ignore[method-assign]

    def interrupt() -> None:
        deadlines[-1].interrupt()

    world.engine.script("dump", nth=1, run=interrupt)
    drained = world.drain()
    assert {e.state for e in drained.entries} == {State.LEFT}
    assert any("interrupted" in e.detail for e in drained.entries)
    assert sum(c.method == "dump" for c in world.engine.calls) <= parallel
    assert all(world.now(e.name).running and not world.now(e.name).paused for e in drained.entries)


def test_one_that_cannot_be_written_down_keeps_no_other_from_being_given_back(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    populate(world)
    world.add("third", "always", labels=PAIR)
    world.engine.script("dump", nth=2, error=EngineError("it broke"))
    write = world.file.write

    def failing(manifest: Manifest) -> None:
        if any(e.name == "left" and e.state is State.LEFT for e in manifest.entries):
            raise StorageError("the disk is full")
        write(manifest)

    world.file.write = failing  # type: ignore[method-assign]
    world.drain()
    assert [world.now(n).paused for n in ("left", "right", "third")] == [False] * 3
    world.file.write = write  # type: ignore[method-assign]
    assert world.resume().finished
    world.check_promise()


def test_all_run_again_before_any_is_stopped(tmp_path: Path) -> None:
    # Whose other end is frozen cannot end in order.
    world = World(tmp_path, routes=(Route.RUNTIME,), stop_failed=True)
    populate(world)
    world.engine.script("dump", nth=2, error=EngineError("it broke"))
    drained = world.drain()
    calls = [c.method for c in world.engine.calls if c.method in {"unpause", "stop_in_order"}]
    assert calls == ["unpause", "unpause", "stop_in_order", "stop_in_order"]
    assert {e.state for e in drained.entries} == {State.STOPPED}
    world.reboot()
    assert {e.state for e in world.resume().entries} == {State.STARTED_COLD}
    world.check_promise()


def test_what_is_written_in_passing_needs_room_but_once(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.ENGINE,), parallel=3)
    for name in ("a", "b", "c"):
        world.add(name, "always", labels=PAIR)
        expect(world, name, 400 << 20)
    world.host.other_places["temporary"] = FileSystem("tmp", "/tmp", 1 << 30)
    drained = world.drain()
    assert {e.state for e in drained.entries} == {State.STOPPED}, drained.entries[0].detail


def test_a_group_counts_as_much_as_its_most_valuable_member(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    for name, group, value in (("a", "g", "10"), ("b", "g", "0"), ("c", "h", "5"), ("d", "h", "5")):
        world.add(name, labels={LABEL_GROUP: group, "drainer.priority": value})
        expect(world, name, 400 << 20)
    world.host.other_places["state"] = FileSystem("8:1", "/", 1 << 30)
    found = entries(world)
    assert {n for n, e in found.items() if e.verdict is Verdict.CARRY} == {"a", "b"}
    assert [found[n].priority for n in ("a", "b")] == [10, 10]


def test_a_dump_is_timed_by_itself(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    populate(world)
    for nth in (1, 2):
        world.engine.script("dump", nth=nth, run=lambda: time.sleep(0.2))
    drained = world.drain()
    took = [e.dump_milliseconds for e in drained.entries]
    spans = [e.moment(State.DUMPED) - e.moment(State.DUMPING) for e in drained.entries]  # type: ignore[operator]
    assert all(each >= 200 for each in took)
    # The second one was paused while the first one was dumped.
    assert max(spans) * 1000 - max(took) > 150


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
    # Once when their drain is over, and once when both are back.
    assert world.runtime.spoken == [both, both]
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
    assert len(world.runtime.spoken) == 2
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


@pytest.mark.parametrize("phase", ["drain", "resume"])
def test_nobody_stays_cut_off_whenever_drainer_dies(tmp_path: Path, phase: str) -> None:
    for number in range(1, 300):
        world = World(tmp_path / str(number), routes=(Route.RUNTIME,))
        keepers(world)
        if phase == "resume":
            world.drain()
            world.reboot()
        world.kill_at(number)
        with suppress(Killed):
            world.drain() if phase == "drain" else world.resume()
        completed = not world.dead
        world.live_again()
        if not world.file.exists:
            continue
        assert world.resume().finished
        assert not world.runtime.silent
        world.check_promise()
        if completed:
            return
    pytest.fail("there was no end to the instants")


def test_an_end_that_somebody_wants_stops_nothing_in_order(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,), stop_failed=True, budget=1000.0)
    populate(world)
    deadlines: list[Deadline] = []
    carriers = world.carriers

    def noting(facts: EngineFacts, deadline: Deadline) -> Carriers:
        deadlines.append(deadline)
        return carriers(facts, deadline)

    world.carriers = noting  # type: ignore[method-assign]

    def interrupt() -> None:
        deadlines[-1].interrupt()

    world.engine.script("dump", nth=1, run=interrupt)
    assert {e.state for e in world.drain().entries} == {State.LEFT}
    assert all(world.now(name).running for name in ("left", "right"))


def test_a_kill_that_could_not_be_written_down_at_once_is_a_kill(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    populate(world)
    write, failures = world.file.write, [StorageError("the disk is full")]

    def failing(manifest: Manifest) -> None:
        if failures and any(e.state is State.STOPPED for e in manifest.entries):
            raise failures.pop()
        write(manifest)

    world.file.write = failing  # type: ignore[method-assign]
    assert {e.state for e in world.drain().entries} == {State.STOPPED}
    world.reboot()
    assert {e.state for e in world.resume().entries} == {State.RESTORED}


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
    connected(world, "third", "10.0.0.2", "192.0.2.1")
    found = entries(world)
    assert {n: [r.id for r in e.reasons] for n, e in found.items()} == {
        "left": ["group_incomplete"],
        "right": ["group_incomplete"],
        "third": ["tcp_not_kept"],
    }
    assert found["third"].reasons[0].detail == "to 192.0.2.1"


def test_an_address_that_may_change_keeps_no_connection(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    keepers(world)
    world.add("shell", "always", tty=True, addresses=(Address("front", "10.0.0.4"),))
    # What Docker starts first may take what Docker has dealt out.
    world.engine.change(container_id("left"), addresses=(Address("front", "10.0.0.2"),))
    found = entries(world)
    assert [r.id for r in found["left"].reasons] == ["tcp_not_kept"]
    assert [r.id for r in found["right"].reasons] == ["group_incomplete"]
