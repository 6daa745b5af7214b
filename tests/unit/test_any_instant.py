"""Break every call to Docker, one after the other, and kill drainer at every instant."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import pytest

from drainer.errors import (
    DrainerError,
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
    RuntimeRefusedError,
    StorageError,
)
from drainer.model import ROUTES, Route
from tests.unit.world import Clock, Killed, World

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


@pytest.fixture(autouse=True)
def no_second_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two drains of one host never have the same name."""
    monkeypatch.setattr("drainer.drain.datetime", Clock)


def populate(world: World) -> None:
    net = world.add("net", "always")
    world.add("app", "unless-stopped", network_mode=f"container:{net.id}")
    world.add("plain", "no")
    world.add("shell", "always", tty=True, network_mode=f"container:{net.id}")


def after(world: World, kept: Collection[tuple[str, str]] = ()) -> None:
    """Whatever happened: one more resume, and everything is as promised."""
    assert world.resume().finished
    world.check_promise()
    world.check_debris(kept)
    restored = [c for c in world.engine.calls if c.method == "start" and c.argument]
    assert len(set(restored)) == len(restored)
    ordered = [order.place.path for order in world.runtime.orders]
    assert len(set(ordered)) == len(ordered)


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


@pytest.mark.parametrize("end", ["power cut", "reboot", "same boot", "drained again"])
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
        elif end == "reboot":
            world.reboot()
        kept = world.kept_checkpoints()
        if end == "drained again":
            world.drain()
            world.reboot()
        if not world.file.exists:
            continue
        after(world, kept)
        if completed:
            return
    pytest.fail("there was no end to the instants")
