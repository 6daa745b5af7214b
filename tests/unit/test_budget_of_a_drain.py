"""What a drain begins when its time is short, in which order, and how long it lets it take."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from drainer.budget import UNDO_SECONDS
from drainer.host.following import Reading
from drainer.manifest import Manifest, State
from drainer.model import ROUTES, Route
from drainer.runtime.base import Place
from drainer.storage import FileSystem
from tests.unit.test_full_disk import by_name, facts
from tests.unit.world import World, container_id

GIB = 1 << 30


def killed(world: World) -> list[str]:
    names = {container_id(name): name for name in world.originals}
    return [names[c.container] for c in world.engine.calls if c.method == "kill"]


def expect(world: World, name: str, size: int) -> None:
    world.host.process_facts[container_id(name)] = facts(size)


def let_dumps_take_months(world: World) -> None:
    write = world.file.write

    def slowly(manifest: Manifest) -> None:
        write(manifest)
        for entry in manifest.entries:
            if entry.state is State.DUMPING:
                entry.times[State.DUMPING] = "2026-01-01T00:00:00+00:00"

    world.file.write = slowly  # type: ignore[method-assign]


def test_what_is_worth_most_goes_first_else_as_the_order_was(world: World) -> None:
    for name, label in (("a", "-1"), ("b", "nonsense"), ("c", "7"), ("d", "")):
        world.add(name, labels={"drainer.priority": label} if label else {})
    world.drain()
    assert killed(world) == ["c", "b", "d", "a"]


def test_a_bad_label_is_noted_in_the_plan(world: World) -> None:
    world.add("b", labels={"drainer.priority": "\x1b[31m$(reboot)"})
    (entry,) = world.plan().entries
    (note,) = entry.notes
    assert (note.id, note.detail, entry.priority) == (
        "priority_invalid",
        '"\\x1b[31m$(reboot)"',
        0,
    )
    (done,) = world.drain().entries
    assert done.state is State.STOPPED


def test_users_still_go_before_their_providers(world: World) -> None:
    net = world.add("net", labels={"drainer.priority": "9"})
    world.add("app", network_mode=f"container:{net.id}", labels={"drainer.priority": "-9"})
    world.add("web", labels={"drainer.priority": "1"})
    world.drain()
    assert killed(world) == ["app", "net", "web"]


def test_what_does_not_fit_into_the_budget_is_left_untouched_and_told(tmp_path: Path) -> None:
    world = World(tmp_path / "state", routes=(Route.ENGINE,), budget=120)
    for name in ("large", "small"):
        world.add(name, "always")
    expect(world, "large", 100 * GIB)
    expect(world, "small", 1 << 20)
    done = by_name(world.drain())
    assert done["small"].state is State.STOPPED
    assert done["large"].state is State.LEFT
    assert done["large"].detail.startswith("it does not fit into the budget: about ")
    assert done["large"].skip_reason == ""
    touched = [c.method for c in world.engine.calls if c.container == container_id("large")]
    assert touched == []
    world.reboot()
    world.resume()
    world.check_promise()


@pytest.mark.parametrize("route", ROUTES)
def test_the_speed_of_this_drains_own_dumps_decides(
    world: World, monkeypatch: pytest.MonkeyPatch, route: Route
) -> None:
    """By the cautious default both would fit, but the first one takes months."""
    world.budget = 120
    world.routes = (route,)
    size = 1 << 28
    for name in ("a", "b"):
        world.add(name, "always")
        expect(world, name, size)
    monkeypatch.setattr(world.host, "verify_checkpoint", lambda _directory: size)
    let_dumps_take_months(world)
    done = by_name(world.drain())
    assert done["a"].state is State.STOPPED
    assert done["b"].state is State.LEFT
    assert "does not fit into the budget" in done["b"].detail


def test_where_a_dump_can_be_ended_a_guess_only_puts_it_last(tmp_path: Path) -> None:
    world = World(tmp_path / "state", routes=(Route.RUNTIME,), budget=120)
    for name in ("a", "b", "c"):
        world.add(name, "always")
    expect(world, "a", 100 * GIB)
    world.drain()
    assert killed(world) == ["b", "c", "a"]


def test_dumps_of_one_route_tell_nothing_of_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine writes each checkpoint three times: its pace would refuse what is in time."""
    world.budget = 120
    monkeypatch.setattr(world.host, "verify_checkpoint", lambda _directory: 1 << 28)
    world.add("a", "always")
    world.add("b", "always")
    expect(world, "a", 1 << 28)
    expect(world, "b", 100 * GIB)
    world.engine.disk = 1000 * GIB
    world.host.other_places["temporary"] = FileSystem("0:30", "/tmp", GIB)
    let_dumps_take_months(world)
    done = by_name(world.drain())
    assert (done["a"].route, done["b"].route) == (Route.ENGINE, Route.RUNTIME)
    assert done["b"].state is State.STOPPED


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("budget", "limit"), [(None, 300.0), (100, 100 - UNDO_SECONDS)])
def test_a_dump_leaves_time_to_undo_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    route: Route,
    budget: float | None,
    limit: float,
) -> None:
    limits: list[float] = []
    world = World(tmp_path / "state", routes=(route,), budget=budget)
    world.add("web")
    create, dump = world.engine.create_checkpoint, world.runtime.checkpoint

    def create_checkpoint(container: str, name: str, timeout: float) -> None:
        limits.append(timeout)
        create(container, name, timeout)

    def checkpoint(
        container: str, root: str, place: Place, criu: Sequence[str], timeout: float
    ) -> Reading:
        limits.append(timeout)
        return dump(container, root, place, criu, timeout)

    monkeypatch.setattr(world.engine, "create_checkpoint", create_checkpoint)
    monkeypatch.setattr(world.runtime, "checkpoint", checkpoint)
    world.drain()
    (found,) = limits
    assert limit - 5 < found <= limit
