"""What CRIU writes is read as it comes."""

import os
import threading
import time
from pathlib import Path

import pytest

from drainer.host import following as module
from drainer.host.checksum import checksum
from drainer.host.following import following

MIB = 1 << 20
BYTES = os.urandom(5 * MIB + 17)
CHECKSUM = checksum(BYTES)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST", 0.05)
    monkeypatch.setattr(module, "POLL", 0.05)


def on() -> bool:
    return False


def ended() -> bool:
    """Tell whether nothing is read any more, now or soon."""
    end = time.monotonic() + 5
    while any(t.name == "follower" for t in threading.enumerate()):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def until_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait until something has read a file to its end."""
    begin = time.monotonic()
    size = file.stat().st_size
    pread = os.pread
    reached = threading.Event()

    def watched(descriptor: int, count: int, offset: int) -> bytes:
        if offset >= size:
            reached.set()
        return pread(descriptor, count, offset)

    monkeypatch.setattr(os, "pread", watched)
    assert reached.wait(10), time.monotonic() - begin
    monkeypatch.undo()


def test_files_of_pages_are_read_as_they_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "core-1.img").write_bytes(b"core")
    with following(tmp_path) as read:
        with (tmp_path / "pages-1.img").open("wb") as file:
            for begin in range(0, len(BYTES), MIB):
                file.write(BYTES[begin : begin + MIB])
                file.flush()
                if begin == 2 * MIB:
                    until_read(tmp_path / "pages-1.img", monkeypatch)
        (tmp_path / "pages-2.img").write_bytes(b"two")
    assert read(on) == {"pages-1.img": CHECKSUM, "pages-2.img": checksum(b"two")}
    assert ended()


def test_it_goes_on_without_being_waited_for(tmp_path: Path) -> None:
    with following(tmp_path) as read:
        (tmp_path / "pages-1.img").write_bytes(BYTES)
    assert ended()
    assert read(on) == {"pages-1.img": CHECKSUM}


def test_it_ends_when_there_is_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pread = os.pread

    def slow(descriptor: int, _: int, offset: int) -> bytes:
        time.sleep(0.05)
        return pread(descriptor, 1000, offset)

    monkeypatch.setattr(os, "pread", slow)
    with following(tmp_path) as read:
        (tmp_path / "pages-1.img").write_bytes(BYTES)
    begin = time.monotonic()
    assert read(lambda: time.monotonic() > begin + 0.5) == {"pages-1.img": ""}
    assert time.monotonic() < begin + 5
    assert ended()


def test_a_dump_that_failed_is_read_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []

    def slow(_: int, __: int, offset: int) -> bytes:
        reads.append(offset)
        time.sleep(0.05)
        return b"x"

    monkeypatch.setattr(os, "pread", slow)
    (tmp_path / "pages-1.img").write_bytes(BYTES)

    def fail() -> None:
        with following(tmp_path):
            while not reads:
                time.sleep(0.01)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert ended()


@pytest.mark.parametrize("change", ["replaced", "cut", "removed", "link"])
def test_what_is_not_as_it_was_read_has_no_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    file = tmp_path / "pages-1.img"
    with following(tmp_path) as read:
        file.write_bytes(BYTES)
        until_read(file, monkeypatch)
        if change == "replaced":
            (tmp_path / "new").write_bytes(BYTES)
            (tmp_path / "new").replace(file)
        elif change == "cut":
            os.truncate(file, 5)
        else:
            file.unlink()
            if change == "link":
                (tmp_path / "new").write_bytes(BYTES)
                file.symlink_to(tmp_path / "new")
    assert read(on) == {}


def test_what_is_deleted_is_read_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pages-1.img"
    file.write_bytes(BYTES)
    begun = threading.Event()
    pread = os.pread

    def slow(descriptor: int, _: int, offset: int) -> bytes:
        begun.set()
        time.sleep(0.05)
        return pread(descriptor, 1000, offset)

    monkeypatch.setattr(os, "pread", slow)
    with following(tmp_path) as read:
        assert begun.wait(10)
        file.unlink()
    begin = time.monotonic()
    assert read(on) == {}
    assert time.monotonic() < begin + 5
    assert ended()


def failing(monkeypatch: pytest.MonkeyPatch, target: object, name: str, error: Exception) -> None:
    """Let every second call fail."""
    real = getattr(target, name)
    calls = iter(range(1000))

    def call(*given: object) -> object:
        if next(calls) % 2:
            raise error
        return real(*given)

    monkeypatch.setattr(target, name, call)


@pytest.mark.parametrize("error", [OSError(24, "too many open files"), MemoryError()])
@pytest.mark.parametrize(("target", "name"), [(os, "pread"), (os, "open"), (Path, "glob")])
def test_what_could_not_be_read_has_no_wrong_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: object, name: str, error: Exception
) -> None:
    failing(monkeypatch, target, name, error)
    with following(tmp_path) as read:
        for half in (BYTES[: 3 * MIB], BYTES[3 * MIB :]):
            with (tmp_path / "pages-1.img").open("ab") as file:
                file.write(half)
            time.sleep(4 * module.POLL)
    assert set(read(on).items()) <= {("pages-1.img", CHECKSUM)}
    assert ended()


def test_without_another_thread_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with following(tmp_path) as read:
        (tmp_path / "pages-1.img").write_bytes(BYTES)
    assert read(on) == {}


ZEROS = b"".join((bytes(3 * MIB), b"x" * 5000, bytes(4 * MIB), b"y" * 5000, bytes(MIB)))


def room(file: Path) -> int:
    """Return what a file takes on disk, in bytes."""
    return file.stat().st_blocks * 512


@pytest.mark.parametrize("holes", [True, False])
def test_zeros_take_no_room_where_holes_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holes: bool
) -> None:
    file = tmp_path / "pages-1.img"
    with following(tmp_path, holes=holes) as read, file.open("wb") as pages:
        pages.write(ZEROS[: 5 * MIB])
        pages.flush()
        until_read(file, monkeypatch)
        pages.write(ZEROS[5 * MIB :])
    assert read(on) == {"pages-1.img": checksum(ZEROS)}
    assert file.read_bytes() == ZEROS
    assert room(file) < 4 * MIB if holes else room(file) >= len(ZEROS)


def test_nothing_gives_its_room_back_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pages-1.img"
    with following(tmp_path, holes=True) as read:
        file.write_bytes(ZEROS)
        for _ in ("the first time", "once more, so that the first time is over"):
            until_read(file, monkeypatch)
        assert room(file) >= len(ZEROS)
    read(on)
    assert room(file) < 4 * MIB


def test_what_was_taken_for_zeros_is_not_destroyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pages-1.img"
    pread = os.pread
    first: set[int] = set()

    def early(descriptor: int, count: int, offset: int) -> bytes:
        found = pread(descriptor, count, offset)
        if offset in first:
            return found
        first.add(offset)
        return bytes(len(found))

    monkeypatch.setattr(os, "pread", early)
    with following(tmp_path, holes=True) as read:
        file.write_bytes(BYTES)
    assert read(on) == {"pages-1.img": checksum(bytes(len(BYTES)))}
    assert file.read_bytes() == BYTES


def test_a_file_system_without_holes_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HOLE", 1 << 30)
    with following(tmp_path, holes=True) as read:
        (tmp_path / "pages-1.img").write_bytes(bytes(MIB))
    assert read(on) == {"pages-1.img": checksum(bytes(MIB))}
    assert room(tmp_path / "pages-1.img") >= MIB


def test_what_comes_last_is_not_asked_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is about to be flushed: to ask for it would only wait for the disk."""
    asked: list[int] = []
    start = threading.Thread.start

    def started(follower: threading.Thread) -> None:
        follower._write_out = lambda _file, place, *_: asked.append(place)  # type: ignore[attr-defined]
        start(follower)

    monkeypatch.setattr(threading.Thread, "start", started)
    monkeypatch.setattr(module, "POLL", 60.0)
    with following(tmp_path) as read:
        (tmp_path / "pages-1.img").write_bytes(BYTES)
        until_read(tmp_path / "pages-1.img", monkeypatch)
        early = len(asked)
        (tmp_path / "pages-2.img").write_bytes(BYTES)
    assert len(read(on)) == len(["pages-1.img", "pages-2.img"])
    assert len(asked) == early > 0


def test_a_kernel_that_cannot_write_out_early_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WRITE_OUT", 1 << 30)
    with following(tmp_path) as read:
        (tmp_path / "pages-1.img").write_bytes(BYTES)
    assert read(on) == {"pages-1.img": CHECKSUM}
