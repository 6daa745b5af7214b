"""Containers that are cut off until the rest of their group is back, and who undoes that."""

import time
from pathlib import Path

import pytest

from drainer.runtime import agent, link, quiet


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    directory = tmp_path / "run" / "orders"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Note in a file which interfaces are put up, also by a child."""
    file = tmp_path / "spoken"
    file.touch()

    def speak(names: tuple[str, ...]) -> None:
        with file.open("a") as log:
            log.write(f"{' '.join(names)}\n")

    monkeypatch.setattr(link, "speak", speak)
    monkeypatch.setattr(link, "silence", lambda _pid: ("veth1", "veth2"))
    monkeypatch.setattr(agent, "QUIET_POLL", 0.01)
    return file


def silenced(orders: Path, container: str) -> Path:
    quiet.make(orders)
    order = orders / container
    order.mkdir()
    (order / "pid").write_text("1")
    note = quiet.note(orders, container)
    agent._silence(order, note)
    return note


def test_whoever_asked_for_it_undoes_it(orders: Path, spoken: Path) -> None:
    note = silenced(orders, "a")
    assert note.read_text().split() == ["veth1", "veth2"]
    quiet.speak(note)
    assert spoken.read_text() == "veth1 veth2\n"
    assert not note.exists()
    quiet.speak(note)
    time.sleep(0.1)
    assert spoken.read_text() == "veth1 veth2\n", "the child saw that it was undone"


def test_if_nobody_does_a_child_will(
    orders: Path, spoken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "QUIET_SECONDS", 0.1)
    note = silenced(orders, "a")
    end = time.monotonic() + 10
    while note.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert spoken.read_text() == "veth1 veth2\n"


def test_in_the_end_nothing_is_quiet_and_nothing_is_left(orders: Path, spoken: Path) -> None:
    silenced(orders, "a")
    silenced(orders, "b")
    quiet.end(orders)
    assert spoken.read_text() == "veth1 veth2\n" * 2
    assert [p.name for p in orders.parent.iterdir()] == ["orders"]
    quiet.end(orders)


def test_what_has_no_pair_is_not_noted(
    orders: Path, spoken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "silence", lambda _pid: ())
    assert not silenced(orders, "a").exists()
    assert spoken.read_text() == ""
