"""What fails for one of a group, fails for all of it, or for none."""

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
from drainer.manifest import Manifest, State
from drainer.model import ROUTES, Container, EngineFacts, Route
from tests.unit.instants import die_at_each
from tests.unit.pair import PAIR, populate
from tests.unit.world import World, container_id


def together(world: World) -> None:
    """All of the group is up, or all of it is down; without a kill it is up."""
    killed = {c.container for c in world.engine.calls if c.method == "kill"}
    up = [world.now(name).running for name in ("left", "right")]
    assert len(set(up)) == 1
    assert any(up) == (not killed)


def interrupt_first_dump(world: World) -> None:
    """Let somebody want an end while the first dump is made."""
    deadlines: list[Deadline] = []
    carriers = world.carriers

    def noting(facts: EngineFacts, deadline: Deadline) -> Carriers:
        deadlines.append(deadline)
        return carriers(facts, deadline)

    world.carriers = noting  # type: ignore[method-assign]

    def interrupt() -> None:
        deadlines[-1].interrupt()

    world.engine.script("dump", nth=1, run=interrupt)


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
    die_at_each(tmp_path, route, phase, end, populate)


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
    interrupt_first_dump(world)
    drained = world.drain()
    assert {e.state for e in drained.entries} == {State.LEFT}
    assert any("interrupted" in e.detail for e in drained.entries)
    assert sum(c.method == "dump" for c in world.engine.calls) <= parallel
    assert all(world.now(e.name).running and not world.now(e.name).paused for e in drained.entries)


def test_an_end_that_somebody_wants_stops_nothing_in_order(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,), stop_failed=True, budget=1000.0)
    populate(world)
    interrupt_first_dump(world)
    assert {e.state for e in world.drain().entries} == {State.LEFT}
    assert all(world.now(name).running for name in ("left", "right"))


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
