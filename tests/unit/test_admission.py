import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from drainer import admission as module
from drainer.admission import Admission, Wanted
from drainer.deadline import Deadline
from drainer.model import Route
from drainer.room import BYTES_KEPT, Amounts, checkpoint_bytes, demand, together
from drainer.storage import FileSystem, Places

ONE = checkpoint_bytes(0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)


def planned(name: str, route: Route = Route.RUNTIME) -> tuple[str, Wanted]:
    return name, partial(whole, route)


def whole(route: Route, places: Places) -> Amounts:
    wanted = demand(route, 0, 1, places)
    return together(wanted.lasting, wanted.passing)


class Disk:
    def __init__(self, checkpoints: int) -> None:
        self.free = checkpoints * ONE

    def __call__(self) -> Places:
        system = FileSystem("8:1", "/", self.free + BYTES_KEPT)
        return Places(system, system, system, system)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_what_fits_side_by_side_goes_side_by_side() -> None:
    door = Admission(Disk(2), Deadline(None))
    with door.of(*planned("a")) as first, door.of(*planned("b")) as second:
        assert (first, second) == ("", "")


def test_what_fits_only_alone_waits_for_the_others() -> None:
    disk = Disk(3)
    door = Admission(disk, Deadline(None))
    order: list[str] = []
    begun = threading.Event()

    def second() -> None:
        begun.set()
        with door.of(*planned("b", Route.ENGINE)) as why:
            order.append(f"b{why}")

    with ThreadPoolExecutor() as pool:
        with door.of(*planned("a", Route.ENGINE)) as why:
            assert why == ""
            waiting = pool.submit(second)
            assert begun.wait(10)
            time.sleep(0.05)
            order.append("a")
        waiting.result(10)
    assert order == ["a", "b"]


def test_what_does_not_even_fit_alone_is_told_why_at_once() -> None:
    door = Admission(Disk(2), Deadline(None))
    with door.of(*planned("a", Route.ENGINE)) as why:
        assert why == "no room for its checkpoint: /: 12.0 MiB needed, 8.0 MiB available"
    with door.of(*planned("b")) as why:
        assert why == ""


def test_what_was_passing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 10.0)
    disk = Disk(1)
    door = Admission(disk, Deadline(None))
    with door.of(*planned("a")) as why:
        assert why == ""
        disk.free = 0
    threading.Timer(0.05, lambda: setattr(disk, "free", ONE)).start()
    with door.of(*planned("b")) as why:
        assert why == ""


def test_what_was_passing_is_waited_for_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of many without room would else take its own patience, and the others' time."""
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    disk = Disk(1)
    door = Admission(disk, Deadline(None))
    with door.of(*planned("a")) as why:
        assert why == ""
        disk.free = 0
    begin = time.monotonic()
    for number in range(10):
        with door.of(*planned(str(number))) as why:
            assert why.startswith("no room")
    assert 0.1 < time.monotonic() - begin < 1


def test_nobody_waits_beyond_the_deadline() -> None:
    door = Admission(Disk(1), Deadline(0.1))
    with door.of(*planned("a")), door.of(*planned("b")) as why:
        assert why.startswith("no room")


def test_an_interruption_ends_the_wait() -> None:
    deadline = Deadline(None)
    door = Admission(Disk(1), deadline)
    threading.Timer(0.05, deadline.interrupt).start()
    with door.of(*planned("a")), door.of(*planned("b")) as why:
        assert why.startswith("no room")


def test_a_large_one_is_not_passed_over_for_small_ones() -> None:
    door = Admission(Disk(3), Deadline(None))
    order: list[str] = []

    def go(name: str, route: Route) -> None:
        with door.of(*planned(name, route)) as why:
            assert why == ""
            order.append(name)

    with ThreadPoolExecutor() as pool:
        with door.of(*planned("first")):
            large = pool.submit(go, "large", Route.ENGINE)
            until(door._door.locked)
            small = pool.submit(go, "small", Route.RUNTIME)
            time.sleep(0.05)
            assert order == []
        large.result(10)
        small.result(10)
    assert order == ["large", "small"]
