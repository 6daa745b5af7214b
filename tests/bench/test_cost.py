"""What one more container costs a drain and a resume: calls of Docker and runc, flushes, reads.

Each takes far longer than anything else that drainer does, so to make one of them twice is what
would make a drain slower. Unlike seconds they can be counted.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from drainer.model import Route
from drainer.store.files import StateDirectory
from tests.unit.world import World

COUNTED = ("checksums", "files_in_use", "flush", "places", "processes", "verify_checkpoint")
BOTH_DOWN = {
    "inspect": 3,
    "set_restart_policy": 1,
    "pause": 1,
    "kill": 1,
    "flush": 1,
    "checksums": 1,
}
BOTH_DOWN |= {"processes": 1, "places": 1, "verify_checkpoint": 1, "files_in_use": 1, "write": 5}
BOTH_UP = {
    "inspect": 6,
    "set_restart_policy": 1,
    "start": 1,
    "checksums": 1,
    "verify_checkpoint": 1,
}
BOTH_UP |= {"write": 3}
DOWN = {
    Route.ENGINE: {**BOTH_DOWN, "create_checkpoint": 1},
    Route.RUNTIME: {**BOTH_DOWN, "dump": 1},
}
UP = {
    Route.ENGINE: {**BOTH_UP, "delete_checkpoint": 1, "places": 1},
    Route.RUNTIME: {**BOTH_UP, "lay_out": 1, "take_back": 1, "delete_dump": 1},
}


def count(
    directory: Path, containers: int, route: Route, monkeypatch: pytest.MonkeyPatch
) -> tuple[Counter[str], Counter[str]]:
    """Drain and resume so many; return how often each thing was done, down and up."""
    world = World(directory, routes=(route,))
    for number in range(containers):
        world.add(f"web-{number}", "always")
    found: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            found[name] += 1
            return function(*given, **named)

        return call

    def seen(act: Callable[[], object]) -> Counter[str]:
        before = len(world.engine.calls)
        found.clear()
        act()
        return found + Counter(call.method for call in world.engine.calls[before:])

    with monkeypatch.context() as patch:
        patch.setattr(StateDirectory, "write", counted("write", StateDirectory.write))
        for name in COUNTED:
            patch.setattr(world.host, name, counted(name, getattr(world.host, name)))
        down = seen(world.drain)
        world.reboot()
        return down, seen(world.resume)


@pytest.mark.parametrize("route", list(Route))
def test_one_more_container_asks_for_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: Route
) -> None:
    few = count(tmp_path / "few", 10, route, monkeypatch)
    more = count(tmp_path / "more", 11, route, monkeypatch)
    for half, expected in enumerate((DOWN[route], UP[route])):
        assert more[half] - few[half] == expected
