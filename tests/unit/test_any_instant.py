"""Break every call to Docker, one after the other, and kill drainer at every instant."""

from contextlib import suppress
from pathlib import Path

import pytest

from drainer.errors import (
    CheckpointInvalidError,
    DrainerError,
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
    RuntimeRefusedError,
    StorageError,
)
from drainer.manifest import State
from drainer.model import ROUTES, Mount, Route
from tests.unit.instants import after, die_at_each
from tests.unit.world import Clock, World

CALLS = (
    "inspect",
    "set_restart_policy",
    "pause",
    "unpause",
    "kill",
    "create_checkpoint",
    "delete_checkpoint",
    "start",
)


RUNTIME_CALLS: dict[str, tuple[type[DrainerError], ...]] = {
    "dump": (RuntimeRefusedError, EngineTimeoutError, StorageError),
    "lay_out": (StorageError,),
    "delete_dump": (StorageError,),
}


SHARED = (Mount("volume", "/v/shared", "/data", driver="local", name="shared"),)


@pytest.fixture(autouse=True)
def no_second_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two drains of one host never have the same name."""
    monkeypatch.setattr("drainer.drain.datetime", Clock)


def populate(world: World) -> None:
    net = world.add("net", "always", mounts=SHARED, files=("/v/shared/log", "/layer/net"))
    world.add(
        "app",
        "unless-stopped",
        network_mode=f"container:{net.id}",
        mounts=SHARED,
        files=("/v/shared/log",),
    )
    world.add("plain", "no", files=("/layer/plain",))
    world.add("shell", "always", tty=True, network_mode=f"container:{net.id}")


ENGINE_FAILURES = [
    (route, call, error)
    for route in ROUTES
    for call in CALLS
    for error in (EngineError, EngineTimeoutError, EngineUnavailableError)
]
RUNTIME_FAILURES = [
    (Route.RUNTIME, call, error) for call, errors in RUNTIME_CALLS.items() for error in errors
]


@pytest.mark.parametrize(("route", "call", "error"), [*ENGINE_FAILURES, *RUNTIME_FAILURES])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("phase", ["drain", "resume"])
def test_any_one_call_may_fail(
    tmp_path: Path, route: Route, call: str, phase: str, error: type[DrainerError], *, late: bool
) -> None:
    fail_each(tmp_path, route, call, phase, error, late=late)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("call", ["running", "networks", "volumes"])
@pytest.mark.parametrize("error", [EngineError, EngineTimeoutError, EngineUnavailableError])
def test_what_there_is_may_be_untold_at_the_resume(
    tmp_path: Path, route: Route, call: str, error: type[DrainerError]
) -> None:
    # At a drain it is asked for the plan alone, before anything is done.
    fail_each(tmp_path, route, call, "resume", error, late=False)


def fail_each(
    tmp_path: Path, route: Route, call: str, phase: str, error: type[DrainerError], *, late: bool
) -> None:
    for nth in range(1, 100):
        world = World(tmp_path / str(nth), routes=(route,))
        populate(world)
        if phase == "resume":
            world.drain()
            world.reboot()
        before = len(world.engine.calls)
        world.engine.script(call, nth=nth, error=error("it broke"), takes_effect=late)
        if phase == "drain":
            world.drain()
            world.reboot()
        else:
            # Without another resume: the one that met the failure gets over it.
            assert world.resume().finished
            assert world.now("plain").running
        made = sum(c.method == call for c in world.engine.calls[before:])
        after(world)
        if made < nth:
            return
    pytest.fail("there was no end to the calls")


def populate_and_write(world: World) -> None:
    """Let what runs write to its files during every dump of another one."""
    populate(world)
    for method in ("create_checkpoint", "dump"):
        for nth in range(1, 4):
            world.engine.script(method, nth=nth, run=world.engine.tick)


@pytest.mark.parametrize("end", ["power cut", "reboot", "same boot", "drained again"])
@pytest.mark.parametrize("phase", ["drain", "resume"])
@pytest.mark.parametrize("route", ROUTES)
def test_drainer_may_die_at_any_instant(tmp_path: Path, route: Route, phase: str, end: str) -> None:
    die_at_each(tmp_path, route, phase, end, populate)


@pytest.mark.parametrize("phase", ["drain", "resume"])
@pytest.mark.parametrize("route", ROUTES)
def test_it_may_die_while_others_write_to_shared_files(
    tmp_path: Path, route: Route, phase: str
) -> None:
    die_at_each(tmp_path, route, phase, "reboot", populate_and_write)


@pytest.mark.parametrize("end", ["same boot", "reboot", "drained again"])
@pytest.mark.parametrize("route", ROUTES)
def test_docker_may_miss_the_end_of_what_was_killed(tmp_path: Path, route: Route, end: str) -> None:
    world = World(tmp_path, routes=(route,))
    populate(world)
    world.engine.deaf = True
    for nth in range(1, 4):
        world.engine.script("kill", nth=nth, error=EngineTimeoutError("still runs"))
    drained = world.drain()
    assert {e.state for e in drained.entries if e.checkpoint} == {State.STOPPED}
    assert all(world.now(e.name).running for e in drained.entries)
    world.engine.deaf = False
    world.engine.forget_scripts()
    if end == "drained again":
        world.drain()
    if end != "same boot":
        world.reboot()
    after(world)
    assert {e.state for e in world.file.read().entries if e.checkpoint} == {State.RESTORED}


def break_host(world: World, method: str, number: int, error: DrainerError) -> list[int]:
    """Let the `number`th such call to the host fail; return the list of their numbers."""
    made: list[int] = []
    call = getattr(world.host, method)

    def breaking(*arguments: object) -> object:
        made.append(len(made) + 1)
        if made[-1] == number:
            raise error
        return call(*arguments)

    setattr(world.host, method, breaking)
    return made


@pytest.mark.parametrize("phase", ["drain", "resume"])
@pytest.mark.parametrize("method", ["verify_checkpoint", "checksums", "flush"])
@pytest.mark.parametrize("route", ROUTES)
def test_any_image_may_be_unreadable(tmp_path: Path, route: Route, method: str, phase: str) -> None:
    for number in range(1, 20):
        world = World(tmp_path / str(number), routes=(route,))
        populate(world)
        if phase == "resume":
            world.drain()
            world.reboot()
        made = break_host(world, method, number, CheckpointInvalidError("pages-1.img: unreadable"))
        if phase == "drain":
            world.drain()
            world.reboot()
        after(world)
        if len(made) < number:
            return
    pytest.fail("there was no end to the calls")


@pytest.mark.parametrize("route", ROUTES)
def test_any_one_write_may_fail_at_the_drain(tmp_path: Path, route: Route) -> None:
    for number in range(1, 100):
        world = World(tmp_path / str(number), routes=(route,))
        populate(world)
        writes = 0
        directory = world.file.directory
        write = directory.write

        def failing(name: str, data: bytes, at: int = number, *, reserve: bool = False) -> None:
            nonlocal writes
            writes += 1
            if writes == at:
                raise StorageError("no space")
            write(name, data, reserve=reserve)  # noqa: B023 - called in this turn of the loop only

        directory.write = failing  # type: ignore[method-assign]
        with suppress(StorageError):
            world.drain()
        world.live_again()
        world.reboot()
        if world.file.exists:
            after(world)
        if writes < number:
            return
    pytest.fail("there was no end to the writes")


@pytest.mark.parametrize("route", ROUTES)
def test_what_is_noted_may_get_lost_at_any_container(tmp_path: Path, route: Route) -> None:
    for name in ("net", "app", "plain"):
        world = World(tmp_path / name, routes=(route,))
        populate(world)
        drained = world.drain()
        entry = next(e for e in drained.entries if e.name == name)
        (world.state / f"evidence-{entry.id}.json").unlink()
        world.reboot()
        after(world)
        ended = {e.name: e.state for e in world.file.read().entries}
        assert ended[name] is State.STARTED_COLD
        assert ended["plain" if name != "plain" else "net"] is State.RESTORED
