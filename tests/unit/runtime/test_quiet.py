"""Containers that are cut off until the rest of their group is ready, and who undoes that."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drainer.runtime import agent, link, quiet

NAMES = ("veth1", "veth2")
NOBODY = "999999999 1"


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    directory = tmp_path / "run" / "orders"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Note in a file which interfaces are taken down and put up, also by a child."""
    file = tmp_path / "said"
    file.touch()

    def write(word: str, names: tuple[str, ...]) -> None:
        with file.open("a") as log:
            log.write(f"{word} {' '.join(names)}\n")

    monkeypatch.setattr(link, "silence", lambda names: write("down", names))
    monkeypatch.setattr(link, "speak", lambda names: write("up", names))
    monkeypatch.setattr(link, "near_ends", lambda _pid: NAMES)
    monkeypatch.setattr(quiet, "POLL", 0.01)
    return file


def silenced(orders: Path, container: str, drainer: str = "") -> Path:
    order = orders / container
    order.mkdir()
    (order / "pid").write_text("1")
    note = quiet.note(orders, container)
    agent._silence(order, note, drainer or quiet.owner())
    return note


def until_gone(note: Path) -> None:
    end = time.monotonic() + 10
    while note.exists() and time.monotonic() < end:
        time.sleep(0.01)


DOWN, UP = "down veth1 veth2\n", "up veth1 veth2\n"


def test_whoever_asked_for_it_undoes_it(orders: Path, said: Path) -> None:
    note = silenced(orders, "a")
    assert note.read_text().split() == list(NAMES)
    quiet.speak(note)
    assert said.read_text() == DOWN + UP
    assert not note.exists()
    quiet.speak(note)
    time.sleep(0.1)
    assert said.read_text() == DOWN + UP, "the child saw that it was undone"


def test_while_drainer_lives_it_stays_and_then_a_child_undoes_it(
    orders: Path, said: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "SECONDS", 0.1)
    living = silenced(orders, "a")
    time.sleep(0.5)
    assert living.exists()
    until_gone(silenced(orders, "b", NOBODY))
    assert said.read_text() == DOWN + DOWN + UP
    assert living.exists()


def test_a_later_silence_is_not_the_child_s(
    orders: Path, said: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "SECONDS", 0.1)
    note = silenced(orders, "a", NOBODY)
    note.write_text("veth9")
    time.sleep(0.5)
    assert note.read_text() == "veth9"
    assert UP not in said.read_text()


def test_what_cannot_be_noted_is_not_cut_off(orders: Path, said: Path) -> None:
    orders.parent.joinpath("quiet").write_text("")
    silenced(orders, "a")
    assert said.read_text() == ""


def test_what_was_swept_meanwhile_is_not_left_cut_off(
    orders: Path, said: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_down = link.silence

    def sweep(names: tuple[str, ...]) -> None:
        quiet.end(orders)
        take_down(names)

    monkeypatch.setattr(link, "silence", sweep)
    silenced(orders, "a")
    assert said.read_text() == UP + DOWN + UP


def test_in_the_end_nothing_is_quiet_and_nothing_is_left(orders: Path, said: Path) -> None:
    silenced(orders, "a")
    silenced(orders, "b")
    quiet.end(orders)
    assert said.read_text() == (DOWN + DOWN) + (UP + UP)
    assert [p.name for p in orders.parent.iterdir()] == ["orders"]
    quiet.end(orders)


def test_the_stand_in_has_it_from_the_standard_library_alone() -> None:
    code = (
        "import sys; sys.path.append(sys.argv[1]); from drainer.runtime import quiet;"
        "print({n.partition('.')[0] for n in sys.modules} - {'__main__', *sys.stdlib_module_names})"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(Path(quiet.__file__).parents[2])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "{'drainer'}\n"


def test_an_owner_is_known_from_a_later_one() -> None:
    assert quiet.owner() == quiet.owner(os.getpid())
    assert quiet.owner(999999999) == ""
