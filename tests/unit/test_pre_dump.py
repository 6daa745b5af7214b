"""Most of a large container's memory is saved before it is frozen."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from drainer import lanes
from drainer.carriers.base import Saved
from drainer.criu_options import TRACKING
from drainer.deadline import Deadline
from drainer.errors import EngineTimeoutError, RuntimeRefusedError
from drainer.host.following import Reading, nothing
from drainer.integrity import foresee
from drainer.lanes import Dump
from drainer.manifest import State
from drainer.model import Route
from drainer.storage import FileSystem
from tests.unit.instants import die_at_each
from tests.unit.test_budget_of_a_drain import expect
from tests.unit.world import Killed, World, container_id

GIB = 1 << 30


def populate(world: World) -> None:
    facts = world.host.host_facts
    world.host.host_facts = replace(facts, criu_features=(*facts.criu_features, TRACKING))
    world.add("large", "always")
    expect(world, "large", GIB)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    populate(world)
    world.add("small", "always")
    return world


def made(world: World, name: str) -> list[str]:
    steps = {"set_restart_policy", "pre_dump", "pause", "dump", "kill", "delete_dump"}
    container = container_id(name)
    return [c.method for c in world.engine.calls if c.container == container and c.method in steps]


def test_a_large_container_is_saved_beforehand_while_it_runs(world: World) -> None:
    assert {e.container.name: e.pre_dump for e in world.plan().entries} == {
        "large": True,
        "small": False,
    }
    drained = world.drain()
    assert {e.state for e in drained.entries} == {State.STOPPED}
    assert made(world, "large") == ["set_restart_policy", "pre_dump", "pause", "dump", "kill"]
    assert "pre_dump" not in made(world, "small")
    world.reboot()
    assert {e.state for e in world.resume().entries} == {State.RESTORED}
    world.check_promise()


def test_what_was_saved_in_vain_does_not_count(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would tell others that the disk is slow."""

    def in_vain(*_: object) -> tuple[()]:
        time.sleep(0.5)
        return ()

    monkeypatch.setattr(world.runtime, "pre_dump", in_vain)
    drained = world.drain()
    large = next(e for e in drained.entries if e.name == "large")
    assert (large.state, large.dump_milliseconds < 500) == (State.STOPPED, True)


def test_a_dump_ends_when_it_is_on_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a slow disk would not be noticed before the time is over."""
    monkeypatch.setattr(world.host, "flush", lambda _place: time.sleep(0.3))
    drained = world.drain()
    assert all(e.dump_milliseconds >= 300 for e in drained.entries)


def test_the_disk_has_to_write_what_was_saved_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps: list[Dump] = []

    def note(all_of_them: list[Dump], most: int, *_: object) -> tuple[int, float]:
        dumps[:] = all_of_them
        return most, 0.0

    def saved(*_: object) -> tuple[Reading]:
        time.sleep(0.5)
        return (nothing,)

    monkeypatch.setattr(lanes, "width", note)
    monkeypatch.setattr(world.runtime, "pre_dump", saved)
    monkeypatch.setattr(world.host, "checksums", lambda *_: {"pages-1.img": "a"})
    world.parallel = 2
    for name in ("second", "third"):
        world.add(name)
        expect(world, name, GIB)
    drained = world.drain()
    assert {e.state for e in drained.entries} == {State.STOPPED}
    assert dumps[0].seconds >= 0.5


def test_it_can_be_dumped_without(world: World) -> None:
    world.engine.script("pre_dump", error=RuntimeRefusedError("no tracking"))
    drained = {e.name: e for e in world.drain().entries}
    assert drained["large"].state is State.STOPPED
    assert "its memory was not saved beforehand: no tracking" in drained["large"].notes
    # What there was of it is gone before the dump.
    assert made(world, "large")[1:5] == ["pre_dump", "delete_dump", "pause", "dump"]


def test_what_is_still_under_way_lets_it_run_on(world: World) -> None:
    world.engine.script("pre_dump", error=EngineTimeoutError("runc cannot be ended"))
    drained = {e.name: e for e in world.drain().entries}
    assert drained["large"].state is not State.STOPPED
    assert world.now("large").running
    assert "dump" not in made(world, "large")
    assert drained["small"].state is State.STOPPED
    world.resume()
    world.check_promise()


@pytest.mark.parametrize("why", ["room", "time", "kernel", "owner", "setting"])
def test_it_is_not_where_it_could_cost_more_than_it_saves(world: World, why: str) -> None:
    if why == "room":
        world.host.other_places["state"] = FileSystem("8:1", "/", 3 * GIB)
    elif why == "time":
        world.budget = 120.0
    elif why == "kernel":
        world.host.host_facts = replace(world.host.host_facts, criu_features=("seccomp_filters",))
        world.host.process_facts[container_id("large")] = replace(
            world.host.processes(world.now("large")), seccomp_mode=0
        )
    elif why == "owner":
        world.engine.change(container_id("large"), paused=True)
    else:
        world.host.process_facts[container_id("large")] = replace(
            world.host.processes(world.now("large")), expected_bytes=127 << 20
        )
    drained = {e.name: e for e in world.drain().entries}
    assert drained["large"].state is State.STOPPED, drained["large"].detail
    assert "pre_dump" not in made(world, "large")


def test_drainer_may_die_at_any_instant(tmp_path: Path) -> None:
    die_at_each(tmp_path, Route.RUNTIME, "drain", "same boot", populate)


def test_what_a_killed_pre_dump_has_left_frozen_is_thawed(world: World) -> None:
    def die() -> None:
        world.dead = True

    world.engine.script("pre_dump", run=die)
    with suppress(Killed):
        world.drain()
    world.live_again()
    assert world.resume().finished
    assert world.runtime.thawed == [container_id("large")]
    world.check_promise()


def test_checksums_of_pre_dumps_have_the_names_that_a_dump_gives_them(world: World) -> None:
    asked: list[Mapping[str, str]] = []

    def checksums(_: str, __: Callable[[], bool], known: Mapping[str, str]) -> dict[str, str]:
        asked.append(known)
        return {"pages-1.img": "a", "../pre-1/pages-1.img": "b", "pagemap-1.img": ""}

    world.host.checksums = checksums  # type: ignore[method-assign, assignment]
    saved = [
        Saved("/checkpoints/x/pre-1", lambda _: {"pages-1.img": "b"}),
        Saved("/checkpoints/x/pre-2", lambda _: {"pages-1.img": "a"}),
    ]
    assert foresee(world.host, saved, Deadline(None)).checksums == {
        "../pre-2/pages-1.img": "a",
        "../pre-1/pages-1.img": "b",
        "../pre-2/pagemap-1.img": "",
    }
    assert asked == [{"pages-1.img": "a", "../pre-1/pages-1.img": "b"}]
    assert world.host.flushed == ["/checkpoints/x/pre-2"]
