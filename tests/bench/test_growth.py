"""What one more container costs a drain and a resume of drainer's own time, few or many of them."""

import time
from pathlib import Path

import pytest

from drainer.model import Route
from tests.unit.world import World

FEW, MANY = 30, 150
MOST = 2.5
"""How many times as much one of many may cost as one of few. What was to the square of their number
made it four times."""
TRIES = 3


def cost(directory: Path, count: int, route: Route) -> tuple[float, float]:
    """Return the seconds of CPU that each of so many containers takes, down and up."""
    world = World(directory, routes=(route,))
    for number in range(count):
        world.add(f"web-{number}", "always")
    begin = time.process_time()
    world.drain()
    between = time.process_time()
    world.reboot()
    booted = time.process_time()
    world.resume()
    end = time.process_time()
    return (between - begin) / count, (end - booted) / count


@pytest.mark.parametrize("route", list(Route))
def test_one_of_many_costs_hardly_more_than_one_of_few(tmp_path: Path, route: Route) -> None:
    few = [cost(tmp_path / f"few-{i}", FEW, route) for i in range(TRIES)]
    many = [cost(tmp_path / f"many-{i}", MANY, route) for i in range(TRIES)]
    for half in (0, 1):
        assert min(c[half] for c in many) < MOST * min(c[half] for c in few)
