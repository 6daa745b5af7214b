"""How many large containers are taken down at once."""

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from drainer.lanes import GAIN, LARGE, Dump, Lanes, width
from drainer.manifest import State
from drainer.model import Container, PlanEntry, Route, Verdict
from tests.unit.test_budget_of_a_drain import expect
from tests.unit.world import World, container_id

MIB = 1 << 20


def dump(rate: float, beside: float = 1, waiting: float = 0.2) -> Dump:
    """Make a dump of so many bytes a second, which has waited for the disk for part of its time."""
    seconds = MIB / rate
    return Dump(MIB, seconds, waiting * seconds, beside)


def pair(rate: float) -> list[Dump]:
    """Make two that were taken down side by side."""
    return [dump(rate, 2), dump(rate, 2)]


@pytest.mark.parametrize(
    ("dumps", "most", "lanes"),
    [
        ([], 8, 1),
        ([], 1, 1),
        ([dump(100)], 1, 1),
        ([dump(100)], 8, 2),
        ([dump(100), *pair(50)], 8, 1),  # the disk writes two no faster than one
        ([dump(100), *pair(100 * GAIN / 2 - 1)], 8, 1),
        ([dump(100), *pair(100 * GAIN / 2 + 1)], 8, 4),
        ([dump(100), dump(100, 2)], 8, 2),  # and the other one of the two?
        ([dump(100), dump(100, 2), dump(40, 2)], 8, 1),
        ([dump(100), *pair(90), *[dump(45, 4)] * 4], 8, 2),  # it is at its limit with two
        ([dump(100), *pair(90), *[dump(80, 4)] * 4, *[dump(70, 8)] * 8], 8, 8),
        ([dump(100), *pair(90)], 3, 3),
        ([dump(100), *pair(90), *[dump(60, 3)] * 3], 3, 2),
        ([dump(100), dump(99, 1.4), dump(99, 1.4)], 8, 2),  # that was no two
        ([dump(100, waiting=0.6)], 8, 1),  # two would only wait for longer
        ([dump(100, waiting=0.6), dump(300)], 8, 2),
        ([dump(100), *pair(90), dump(100, waiting=0.99)], 2, 2),  # it has shown that it can
        ([*pair(50)], 8, 1),  # there is nothing to compare that with
    ],
)
def test_twice_as_many_as_long_as_that_brings_more(
    dumps: list[Dump], most: int, lanes: int
) -> None:
    assert width(dumps, most) == lanes


def planned(name: str, size: int, route: Route = Route.RUNTIME) -> PlanEntry:
    return PlanEntry(Container(name, name), Verdict.CARRY, route=route, expected_bytes=size)


class Clock:
    """Stands still until it is told to go on."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def lanes_of(sizes: Iterable[PlanEntry], most: int, clock: Clock) -> Lanes:
    return Lanes(tuple(sizes), most, clock)


def test_those_beside_a_dump_are_counted_over_its_time() -> None:
    clock = Clock()
    lanes = lanes_of([planned(n, LARGE) for n in "abcde"], 4, clock)

    def take(name: str, seconds: float) -> None:
        with lanes.of([name]):
            lanes.begin(name)
            clock.now += seconds
            lanes.end(name, LARGE, seconds)

    assert not lanes.admits(["b"], [["a"]])
    take("a", 10)
    assert lanes.admits(["b"], [["a"]])
    assert not lanes.admits(["c"], [["a"], ["b"]])
    # Beside another one each takes 18 s: that brings hardly anything.
    with lanes.of(["b"]):
        take("c", 18)
        assert lanes.admits(["d"], [["b"]])
        take("d", 18)
    assert not lanes.admits(["e"], [["b"]])


def test_what_is_small_or_goes_through_docker_takes_no_lane() -> None:
    entries = [planned("small", LARGE - 1), planned("docker", 10 * LARGE, Route.ENGINE)]
    lanes = lanes_of([*entries, planned("large", LARGE), planned("other", LARGE)], 4, Clock())
    assert lanes.admits(["small"], [["large"]])
    assert lanes.admits(["docker"], [["large"]])
    assert lanes.admits(["large"], [["small"], ["docker"]])
    assert not lanes.admits(["small", "other"], [["large"]])


def test_of_a_group_nothing_is_learnt() -> None:
    clock = Clock()
    lanes = lanes_of([planned(n, LARGE) for n in "abc"], 4, clock)
    with lanes.of(["a", "b"]):
        lanes.begin("a")
        clock.now += 1
        lanes.end("a", LARGE, 1)
    assert not lanes.admits(["b"], [["c"]])


def test_large_ones_are_frozen_one_after_the_other_on_a_disk_that_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "state", routes=(Route.RUNTIME,), parallel=4)
    names = [f"large{n}" for n in range(4)]
    for name in names:
        world.add(name, "always")
        expect(world, name, 100 * MIB)
    disk, active, most = threading.Lock(), 0, 0
    checkpoint = world.runtime.checkpoint

    def slowly(*arguments: object, **named: object) -> object:
        nonlocal active, most
        active += 1
        most = max(most, active)
        try:
            with disk:
                threading.Event().wait(0.1)
            return checkpoint(*arguments, **named)  # type: ignore[arg-type]
        finally:
            active -= 1

    monkeypatch.setattr(world.runtime, "checkpoint", slowly)
    monkeypatch.setattr(world.host, "verify_checkpoint", lambda _directory: 100 * MIB)
    drained = world.drain()
    assert {e.state for e in drained.entries} == {State.STOPPED}
    # Two are tried at once after the first, and no more than that.
    assert most == 2
    assert {e.id for e in drained.entries} == set(map(container_id, names))
