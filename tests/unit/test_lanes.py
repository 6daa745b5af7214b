"""How many large containers are taken down at once."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from drainer.errors import RuntimeRefusedError
from drainer.lanes import GAIN, LARGE, PATIENCE, SLOW, Dump, Lanes, width
from drainer.manifest import State
from drainer.model import Container, PlanEntry, Route, Verdict
from tests.unit.test_budget_of_a_drain import expect
from tests.unit.world import World

MIB = 1 << 20


def dump(rate: float, beside: float = 1, waiting: float = 0.2) -> Dump:
    """Make a dump of so many bytes a second, which has waited for the disk for part of its time."""
    seconds = MIB / rate
    return Dump(MIB, seconds, waiting * seconds, seconds / beside)


def several(number: int, rate: float) -> list[Dump]:
    """Make enough that were taken down so many at once to tell something."""
    return [dump(rate, number)] * (number + 1)


@pytest.mark.parametrize(
    ("dumps", "most", "lanes"),
    [
        ([], 8, 1),
        ([], 1, 1),
        ([dump(100)], 1, 1),
        ([dump(100)], 8, 2),
        ([dump(100), *several(2, 50)], 8, 1),  # the disk writes two no faster than one
        ([dump(100), *several(2, 100 * GAIN / 2 - 1)], 8, 1),
        ([dump(100), *several(2, 100 * GAIN / 2 + 1)], 8, 4),
        # The first of two has had the disk for itself, and the second one after it.
        ([dump(100), dump(100, 2), dump(50, 2)], 8, 2),
        ([dump(100), dump(100, 2), dump(50, 2), dump(50, 2)], 8, 1),
        ([dump(100), *several(2, 90), *several(4, 45)], 8, 2),  # it is at its limit with two
        ([dump(100), *several(2, 90), *several(4, 80), *several(8, 70)], 8, 8),
        ([dump(100), *several(2, 90)], 3, 3),
        ([dump(100), *several(2, 90), *several(3, 60)], 3, 2),
        ([dump(100), *[dump(99, 1.4)] * 3], 8, 2),  # that was no two
        ([dump(100, waiting=0.6)], 8, 1),  # two would only wait for longer
        ([dump(100, waiting=0.6), dump(20)], 8, 2),
        ([dump(100), *several(2, 90), dump(100, waiting=0.99)], 2, 2),  # it has shown that it can
        ([dump(1000), *several(2, 40), *several(1, 100) * 6], 8, 1),
        ([dump(1000), *several(2, 40), *several(1, 100) * 12], 8, 2),  # that was long ago
        ([dump(1), *several(8, 70) * 3], 8, 8),
        ([dump(1), *several(8, 70) * 3], 16, 16),
        ([dump(100), *several(8, 20)], 8, 2),  # eight were too many
        ([dump(100), *several(2, 50), *several(8, 40)], 8, 1),
    ],
)
def test_twice_as_many_as_long_as_that_brings_more(
    dumps: list[Dump], most: int, lanes: int
) -> None:
    assert width(dumps, most)[0] == lanes


def widths(most: int, rate: Callable[[int], float], waiting: float = 0.2) -> list[int]:
    """Return how many go at once in a long drain, where each of so many has such a rate."""
    dumps: list[Dump] = []
    found = []
    for _ in range(400):
        found.append(width(dumps, most)[0])
        dumps.append(dump(rate(found[-1]), found[-1], waiting))
    return found


@pytest.mark.parametrize("most", [1, 2, 3, 6, 8, 64])
def test_what_each_does_as_fast_beside_others_goes_all_at_once(most: int) -> None:
    found = widths(most, lambda _at_once: 100)
    assert found == sorted(found)
    assert (found[0], found[-1]) == (1, most)


@pytest.mark.parametrize("most", [2, 3, 6, 8, 64])
def test_what_is_shared_is_shared_by_two_at_most_and_seldom(most: int) -> None:
    found = widths(most, lambda at_once: 100 / at_once)
    assert set(found) == {1, 2}
    assert found.count(2) < len(found) / 4
    assert set(widths(most, lambda at_once: 100 / at_once, waiting=0.6)) == {1}


def test_a_limit_is_found_and_kept() -> None:
    found = widths(64, lambda at_once: 100 * min(1, 4 / at_once))
    assert {4, 8} >= set(found[100:])
    assert found[100:].count(8) < 100


def test_all_go_at_once_where_they_would_else_be_late() -> None:
    known = [dump(100)]
    assert width(known, 8, rest=7000, left=100)[0] == 2
    assert width(known, 8, rest=7001, left=100)[0] == 8
    assert width(known, 8, rest=1 << 60, left=None)[0] == 2
    # What is not known, or known to be no faster, is no help.
    assert width([], 8, rest=1 << 60, left=100)[0] == 1
    assert width([dump(100, waiting=0.6)], 8, rest=1 << 60, left=100)[0] == 1
    assert width([*known, *several(2, 50)], 8, rest=1 << 60, left=100)[0] == 1


def planned(name: str, size: int = LARGE, route: Route = Route.RUNTIME) -> PlanEntry:
    return PlanEntry(Container(name, name), Verdict.CARRY, route=route, expected_bytes=size)


class Clock:
    """Stands still until it is told to go on."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def lanes_of(entries: Iterable[PlanEntry], clock: Clock, left: float | None = None) -> Lanes:
    return Lanes(tuple(entries), 4, lambda: left, clock)


def take(lanes: Lanes, clock: Clock, name: str, seconds: float, flushing: float = 0) -> None:
    with lanes.of([name]):
        lanes.begin(name)
        clock.now += seconds
        lanes.end(name, LARGE, flushing)


def test_those_beside_a_dump_are_counted_over_its_time() -> None:
    clock = Clock()
    lanes = lanes_of(map(planned, "abcdefg"), clock)
    assert not lanes.admits(["b"], [["a"]])
    take(lanes, clock, "a", 10)
    assert lanes.admits(["b"], [["a"]])
    assert not lanes.admits(["c"], [["a"], ["b"]])
    # Beside another one each takes 18 s: that brings hardly anything.
    with lanes.of(["b"]):
        for name in "cde":
            assert lanes.admits([name], [["b"]])
            take(lanes, clock, name, 18)
    assert not lanes.admits(["f"], [["g"]])


def test_one_that_waits_for_the_disk_is_not_followed_by_two() -> None:
    clock = Clock()
    lanes = lanes_of(map(planned, "abc"), clock)
    take(lanes, clock, "a", 10, flushing=6)
    assert not lanes.admits(["b"], [["c"]])


def test_what_was_saved_in_vain_before_does_not_count() -> None:
    clock = Clock()
    lanes = lanes_of(map(planned, "abc"), clock)
    with lanes.of(["a"]):
        lanes.begin("a")
        clock.now += 50
        lanes.begin("a")
        clock.now += 10
        lanes.end("a", LARGE, 6)
    assert not lanes.admits(["b"], [["c"]])


def test_what_is_small_or_goes_through_docker_takes_no_lane() -> None:
    entries = [planned("small", LARGE - 1), planned("docker", 10 * LARGE, Route.ENGINE)]
    lanes = lanes_of([*entries, planned("large"), planned("other")], Clock())
    assert lanes.admits(["small"], [["large"]])
    assert lanes.admits(["docker"], [["large"]])
    assert lanes.admits(["large"], [["small"], ["docker"]])
    assert not lanes.admits(["small", "other"], [["large"]])


def test_a_group_takes_as_many_as_it_has_and_tells_nothing() -> None:
    clock = Clock()
    lanes = lanes_of(map(planned, "abcdefg"), clock)
    for group in ("ab", "cd"):
        with lanes.of(group):
            for name in group:
                lanes.begin(name)
            clock.now += 1
            for name in group:
                lanes.end(name, LARGE, 0)
    assert not lanes.admits(["e"], [["f"]])
    assert not lanes.admits(["e"], ["ab"])
    take(lanes, clock, "e", 10)
    assert lanes.admits(["f"], [["g"]])
    assert not lanes.admits(["f"], ["ab"])


def test_nobody_waits_for_long_for_one_that_hangs() -> None:
    clock = Clock()
    lanes = lanes_of(map(planned, "abcd"), clock)
    with lanes.of(["a"]):
        clock.now += PATIENCE
        assert not lanes.admits(["b"], [["a"]])
        clock.now += 1
        assert lanes.admits(["b"], [["a"]])
        with lanes.of(["b"]):
            assert not lanes.admits(["c"], [["a"], ["b"]])
    # Where it is known how long others take, a large one may take longer.
    take(lanes, clock, "c", 100, flushing=60)
    with lanes.of(["d"]):
        clock.now += PATIENCE + SLOW * 100
        assert not lanes.admits(["b"], [["d"]])
        clock.now += 1
        assert lanes.admits(["b"], [["d"]])


def test_of_what_is_over_nothing_is_left_to_do() -> None:
    clock = Clock()
    lanes = lanes_of(map(planned, "abcd"), clock, left=30 + 25)
    take(lanes, clock, "a", 10)
    # Three more take 30 s one after the other; but when one has failed, two take 20 s.
    assert lanes.admits(["b"], [["c"], ["d"]])
    with lanes.of(["b"]):
        clock.now += 1
    assert not lanes.admits(["b"], [["c"], ["d"]])


class SlowDisk:
    """Lets one dump at a time go on, and counts those that are under way."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.under_way = self.most = 0
        self._count, self._disk = threading.Lock(), threading.Lock()
        self._checkpoint = world.runtime.checkpoint
        monkeypatch.setattr(world.runtime, "checkpoint", self)
        monkeypatch.setattr(world.host, "flush", self.flush)

    def __call__(self, *arguments: object, **named: object) -> object:
        with self._count:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        return self._checkpoint(*arguments, **named)  # type: ignore[arg-type]

    def flush(self, _place: str) -> None:
        with self._disk:
            threading.Event().wait(0.2)
        with self._count:
            self.under_way -= 1


@pytest.mark.parametrize("fails", [False, True])
def test_large_ones_are_frozen_one_after_the_other_on_a_disk_that_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    world = World(tmp_path / "state", routes=(Route.RUNTIME,), parallel=4)
    for number in range(8):
        world.add(f"large{number}", "always")
        expect(world, f"large{number}", 100 * MIB)
    disk = SlowDisk(world, monkeypatch)
    monkeypatch.setattr(world.host, "verify_checkpoint", lambda _directory: 100 * MIB)
    if fails:
        world.engine.script("pause", error=RuntimeRefusedError("no"))
    states = [e.state for e in world.drain().entries]
    assert states.count(State.STOPPED) == 8 - fails
    assert disk.most == 1
