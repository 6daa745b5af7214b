"""Disks that are full before a drain, become full during it, and in the middle of a dump."""

import errno
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from drainer import room
from drainer.deadline import Deadline
from drainer.engine.fake import FakeEngine
from drainer.errors import DrainerError, EngineError, EngineTimeoutError, StorageError
from drainer.manifest import Entry, Manifest, State
from drainer.model import ROUTES, Container, ProcessFacts, Route
from drainer.storage import FileSystem
from drainer.store.files import RESERVE_NAME, Os, StateDirectory
from drainer.store.manifest_file import ManifestFile
from tests.unit.world import World, container_id

MIB = 1 << 20
COPIES = {Route.ENGINE: 3, Route.RUNTIME: 1}


@pytest.fixture(params=ROUTES)
def full(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path / "state", routes=(request.param,))


def facts(memory: int) -> ProcessFacts:
    return ProcessFacts(
        count=1, seccomp_mode=2, expected_bytes=memory, runtime="runc", runtime_root="/run/r"
    )


def add(world: World, name: str, memory: int = MIB, **fields: Any) -> None:  # noqa: ANN401
    world.add(name, "always", **fields)
    world.host.process_facts[container_id(name)] = facts(memory)


def size_disk(world: World, *memories: int) -> None:
    """Give the disk room for checkpoints of so much memory, worked on one after the other."""
    lasting = sum(map(room.checkpoint_bytes, memories))
    passing = (COPIES[world.routes[0]] - 1) * room.checkpoint_bytes(max(memories))
    world.engine.disk = lasting + passing + room.BYTES_KEPT


def by_name(manifest: Manifest) -> dict[str, Entry]:
    return {e.name: e for e in manifest.entries}


def methods(engine: FakeEngine) -> set[str]:
    return {c.method for c in engine.calls}


def test_what_does_not_fit_is_skipped_before_anything_is_touched(full: World) -> None:
    add(full, "web", 500 * MIB)
    size_disk(full, 100 * MIB)
    (entry,) = full.plan().entries
    (reason,) = entry.reasons
    assert reason.id == f"no_room_{full.routes[0]}"
    assert "needed" in reason.detail
    assert full.drain().entries[0].skip_reason == reason.id
    assert methods(full.engine) <= {"sweep", "running", "facts"}


def test_what_is_worth_most_is_carried_where_not_all_fit(full: World) -> None:
    for name, priority in (("a", "1"), ("b", "30"), ("c", ""), ("d", "2")):
        add(full, name, 50 * MIB, labels={"drainer.priority": priority})
    size_disk(full, 50 * MIB, 50 * MIB)
    done = by_name(full.drain())
    assert {n for n, e in done.items() if e.state is State.STOPPED} == {"b", "d"}
    full.reboot()
    full.resume()
    full.check_promise()


def add_rivals(world: World, **fields: Any) -> None:  # noqa: ANN401
    """Run a provider, a user of it with these fields, and one without either; of the same size."""
    add(world, "net", 50 * MIB)
    net = f"container:{container_id('net')}"
    add(world, "app", 50 * MIB, network_mode=net, labels={"drainer.priority": "5"}, **fields)
    add(world, "other", 50 * MIB, labels={"drainer.priority": "4"})


def carried(world: World) -> dict[str, int]:
    """Plan, and return the priorities of those that are carried."""
    return {e.container.name: e.priority for e in world.plan().carried}


def test_a_provider_has_room_before_its_users(full: World) -> None:
    add_rivals(full)
    size_disk(full, 50 * MIB, 50 * MIB)
    assert carried(full) == {"net": 5, "app": 5}


def test_users_that_are_skipped_take_no_room_from_others(full: World) -> None:
    add_rivals(full, tty=True)
    size_disk(full, 50 * MIB)
    assert carried(full) == {"other": 4}


def test_users_that_have_no_room_with_their_provider_take_none_from_others(full: World) -> None:
    add_rivals(full)
    size_disk(full, 50 * MIB)
    assert carried(full) == {"other": 4}
    size_disk(full, 50 * MIB, 50 * MIB)
    assert carried(full) == {"net": 5, "app": 5}


def test_a_user_that_is_passed_over_leaves_room_to_another_with_its_provider(full: World) -> None:
    add(full, "net", 50 * MIB)
    net = f"container:{container_id('net')}"
    add(full, "huge", 500 * MIB, network_mode=net, labels={"drainer.priority": "9"})
    add(full, "app", 50 * MIB, network_mode=net, labels={"drainer.priority": "5"})
    add(full, "other", 50 * MIB, labels={"drainer.priority": "4"})
    size_disk(full, 50 * MIB, 50 * MIB)
    assert carried(full) == {"net": 5, "app": 5}


def test_users_of_what_has_no_room_are_skipped_too(full: World) -> None:
    add(full, "net", 500 * MIB)
    add(full, "app", MIB, network_mode=f"container:{container_id('net')}")
    size_disk(full, 50 * MIB)
    reasons = {e.container.name: [r.id for r in e.reasons] for e in full.plan().entries}
    assert reasons == {"net": [f"no_room_{full.routes[0]}"], "app": ["provider_skipped"]}


def test_without_room_on_one_route_the_other_is_taken(tmp_path: Path) -> None:
    world = World(tmp_path / "state")
    add(world, "web", 50 * MIB)
    world.host.other_places["temporary"] = FileSystem("0:30", "/tmp", room.BYTES_KEPT + MIB)
    (entry,) = world.plan().entries
    assert entry.route is Route.RUNTIME
    assert [r.id for r in entry.route_reasons] == ["no_room_engine"]
    world.drain()
    world.reboot()
    world.resume()
    world.check_promise()


@pytest.mark.parametrize("parallel", [1, 4])
def test_what_fits_only_in_turns_is_all_carried(full: World, parallel: int) -> None:
    full.parallel = parallel
    for number in range(6):
        add(full, f"c{number}", 50 * MIB)
    size_disk(full, *[50 * MIB] * 6)
    assert {e.state for e in full.drain().entries} == {State.STOPPED}


def test_room_is_looked_at_again_before_each_dump(full: World) -> None:
    for name in ("a", "b"):
        add(full, name)
    size_disk(full, MIB, MIB)

    def fill_up(entry: Entry) -> None:
        if entry.state is State.STOPPED:
            full.engine.disk = 10 * MIB

    done = by_name(full.drain(fill_up))
    assert done["a"].state is State.STOPPED
    assert done["b"].state is State.LEFT
    assert done["b"].detail.startswith("no room for its checkpoint: /: ")
    assert done["b"].skip_reason == ""
    touched = [c.method for c in full.engine.calls if c.container == container_id("b")]
    assert touched == []
    full.reboot()
    full.resume()
    full.check_promise()


def test_a_disk_that_fills_up_in_the_middle_of_a_dump_loses_nothing(full: World) -> None:
    add(full, "a")
    add(full, "b")
    size_disk(full, MIB, MIB)
    call = "create_checkpoint" if full.routes[0] is Route.ENGINE else "dump"
    full.engine.script(call, "a", run=lambda: setattr(full.engine, "disk", MIB - 1))

    def empty(entry: Entry) -> None:
        if entry.state is State.LEFT:
            assert full.engine.free() == MIB - 1, "what was written of it is still there"
            size_disk(full, MIB, MIB)

    done = by_name(full.drain(empty))
    assert done["a"].state is State.LEFT
    assert "o space left on device" in done["a"].detail
    now = full.now("a")
    assert now.running
    assert not now.paused
    assert now.restart_policy.name == "always"
    assert full.engine.memory("a") == 100
    assert done["b"].state is State.STOPPED
    full.reboot()
    full.resume()
    full.check_promise()


@pytest.mark.parametrize("phase", ["drain", "resume"])
def test_a_manifest_that_cannot_be_written_once_loses_nothing(tmp_path: Path, phase: str) -> None:
    """Without a reserve: even the one write for which there is no room at all."""
    for number in range(1, 60):
        world = World(tmp_path / str(number))
        add(world, "web")
        add(world, "app", network_mode=f"container:{container_id('web')}")
        if phase == "resume":
            world.drain()
            world.reboot()
        writes = _fail_at(world, number)
        try:
            world.drain() if phase == "drain" else world.resume()
        except StorageError:
            assert len(writes) >= number
        made = len(writes)
        world.live_again()
        world.reboot()
        if world.file.exists:
            assert world.resume().finished
        world.check_promise()
        if made < number:
            return
    pytest.fail("there was no end to the writes")


def _fail_at(world: World, number: int) -> list[int]:
    """Let the `number`th write of the manifest fail; return a list that grows with each."""
    writes: list[int] = []
    write = world.file.write

    def failing(manifest: Manifest) -> None:
        writes.append(1)
        if len(writes) == number:
            raise StorageError("manifest.yaml: cannot be written: No space left on device")
        write(manifest)

    world.file.write = failing  # type: ignore[method-assign]
    return writes


class Full(Os):
    """A disk with no room but what the reserve gives back."""

    full = False

    def open(self, name: str, flags: int, dir_fd: int) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().open(name, flags, dir_fd)

    def unlink(self, name: str, dir_fd: int) -> None:
        super().unlink(name, dir_fd)
        self.full = self.full and name != RESERVE_NAME


@pytest.mark.parametrize("route", ROUTES)
def test_the_reserve_is_not_spent_before_the_kill_on_what_may_fail_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: Route
) -> None:
    """What is noted of a checkpoint is larger than the manifest, which has yet to be written."""
    state = tmp_path / "state"
    world = World(state, routes=(route,))
    add(world, "web")
    disk = Full()
    world.file = ManifestFile(StateDirectory(state, calls=disk))
    look = world.host.checksums

    def checksums(*arguments: Any) -> Any:  # noqa: ANN401
        disk.full = True
        return look(*arguments)

    monkeypatch.setattr(world.host, "checksums", checksums)
    (entry,) = world.drain().entries
    assert entry.state is State.LEFT
    assert "evidence" in entry.detail
    now = world.now("web")
    assert now.running
    assert not now.paused
    assert now.restart_policy.name == "always"
    assert world.engine.memory("web") == 100


@pytest.mark.parametrize("route", ROUTES)
def test_on_a_disk_that_is_full_from_the_kill_on_the_reserve_saves_the_memory(
    tmp_path: Path, route: Route
) -> None:
    state = tmp_path / "state"
    world = World(state, routes=(route,))
    add(world, "web")
    disk = Full()
    world.file = ManifestFile(StateDirectory(state, calls=disk))
    kill = world.host.kill_frozen

    def fill_and_kill(container: Container) -> bool:
        disk.full = True
        return kill(container)

    world.host.kill_frozen = fill_and_kill  # type: ignore[method-assign]
    (entry,) = world.drain().entries
    assert entry.state is State.STOPPED
    assert not (state / RESERVE_NAME).exists()
    world.reboot()
    (entry,) = world.resume().entries
    assert entry.state is State.RESTORED
    assert world.engine.memory("web") == 100
    world.check_promise()


def test_restores_take_turns_where_their_copies_do_not_fit_side_by_side(tmp_path: Path) -> None:
    world = World(tmp_path / "state", routes=(Route.ENGINE,), parallel=4)
    names = [f"c{number}" for number in range(4)]
    for name in names:
        add(world, name)
    world.drain()
    world.reboot()
    one = room.checkpoint_bytes(MIB)
    world.host.other_places["temporary"] = FileSystem("0:30", "/tmp", room.BYTES_KEPT + one)
    guard = threading.Lock()
    at_once = most = 0

    def restoring(container: str, timeout: float, checkpoint: str = "") -> None:
        nonlocal at_once, most
        with guard:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        start(container, timeout, checkpoint)
        with guard:
            at_once -= 1

    start, world.engine.start = world.engine.start, restoring  # type: ignore[method-assign]
    assert {e.state for e in world.resume().entries} == {State.RESTORED}
    assert most == 1


def test_a_restore_without_room_is_tried_all_the_same(tmp_path: Path) -> None:
    world = World(tmp_path / "state", routes=(Route.ENGINE,))
    add(world, "web")
    world.drain()
    world.reboot()
    world.host.other_places["temporary"] = FileSystem("0:30", "/tmp", 0)
    assert world.resume().entries[0].state is State.RESTORED


def test_what_waits_for_room_when_interrupted_keeps_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Deadline] = []

    class Known(Deadline):
        def __init__(self, budget: float | None) -> None:
            super().__init__(budget)
            made.append(self)

    monkeypatch.setattr("tests.unit.world.Deadline", Known)
    world = World(tmp_path / "state", routes=(Route.ENGINE,), parallel=2)
    for name in ("a", "b"):
        add(world, name)
    world.drain()
    world.reboot()
    one = room.checkpoint_bytes(MIB)
    world.host.other_places["temporary"] = FileSystem("0:30", "/tmp", room.BYTES_KEPT + one)

    def interrupt() -> None:
        time.sleep(0.05)
        made[-1].interrupt()

    world.engine.script("start", run=interrupt)
    assert sorted(e.state for e in world.resume().entries) == [State.RESTORED, State.STOPPED]
    assert all(e.state is State.RESTORED for e in world.resume().entries)
    world.check_promise()


@pytest.mark.parametrize("error", [EngineError, EngineTimeoutError])
@pytest.mark.parametrize(
    "call", ["set_restart_policy", "pause", "create_checkpoint", "dump", "kill", "unpause", "start"]
)
def test_any_one_call_may_fail_where_there_is_room_only_in_turns(
    full: World, call: str, error: type[DrainerError]
) -> None:
    full.parallel = 3
    for number in range(4):
        add(full, f"c{number}", 50 * MIB)
    size_disk(full, *[50 * MIB] * 4)
    full.engine.script(call, nth=2, error=error("it broke"), takes_effect=True)
    full.drain()
    full.reboot()
    assert full.resume().finished
    full.check_promise()
