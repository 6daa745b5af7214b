"""Groups: containers that are carried together, or not at all."""

import time
from pathlib import Path

import pytest

from drainer.labels import LABEL_ENABLE, LABEL_GROUP
from drainer.manifest import State
from drainer.model import ROUTES, Route, Verdict
from drainer.order import teams
from drainer.storage import FileSystem
from tests.unit.pair import PAIR, entries, populate
from tests.unit.test_budget_of_a_drain import expect
from tests.unit.world import World, container_id


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
