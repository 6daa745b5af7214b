"""Kill drainer at each instant, one after the other, and hold it to its promise each time."""

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import pytest

from drainer.model import Route
from tests.unit.world import Killed, World


def after(world: World, kept: Collection[tuple[str, str]] = ()) -> None:
    """Whatever happened: one more resume, and everything is as promised."""
    assert world.resume().finished
    world.check_promise()
    world.check_debris(kept)
    restored = [c for c in world.engine.calls if c.method == "start" and c.argument]
    assert len(set(restored)) == len(restored)


def die_at_each(
    tmp_path: Path,
    route: Route,
    phase: str,
    end: str,
    populate: Callable[[World], None],
    check: Callable[[World], None] = lambda _world: None,
) -> None:
    """Let drainer die in a drain or a resume (`phase`), and then let `end` happen.

    `check` comes after all else.
    """
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
        kept: Collection[tuple[str, str]] = ()
        if end == "drained again":
            kept = world.kept_checkpoints()
            world.drain()
            world.reboot()
        if not world.file.exists:
            continue
        after(world, kept)
        check(world)
        if completed:
            return
    pytest.fail("there was no end to the instants")
