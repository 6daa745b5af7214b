import os
from pathlib import Path

import pytest

from drainer.host.disks import file_system, free_memory, places
from drainer.host.procfs import Proc
from drainer.model import EngineFacts
from drainer.storage import FileSystem


def test_places_on_one_file_system_are_known_to_be(tmp_path: Path) -> None:
    proc = Proc()
    here = file_system(proc, os.getpid(), tmp_path, "/shown")
    below = file_system(proc, os.getpid(), tmp_path / "not" / "there", "below")
    assert here.id == below.id != ""
    system = os.statvfs(tmp_path)
    assert here.path == "/shown"
    assert here.free is not None
    assert abs(here.free - system.f_bavail * system.f_frsize) < 1 << 30
    assert here.size == system.f_blocks * system.f_frsize
    assert not here.in_memory


def test_a_file_system_in_memory_is_known_by_its_mount() -> None:
    assert file_system(Proc(), os.getpid(), Path("/dev/shm"), "shm").in_memory


def test_without_a_number_of_files_there_is_no_end_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list(os.statvfs(tmp_path))
    for total, expected in ((0, None), (10, 3)):
        found[5:8] = [total, 4, 3]
        monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(found))
        assert file_system(Proc(), os.getpid(), tmp_path, "x").inodes == expected


def test_what_cannot_be_asked_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "statvfs", fail)
    assert file_system(Proc(), os.getpid(), Path("/"), "/") == FileSystem(path="/")
    assert file_system(Proc(), os.getpid(), Path("/a\0b"), "odd").free is None


def test_all_places_of_this_machine(tmp_path: Path) -> None:
    found = places(Proc(), EngineFacts("1", root_dir=str(tmp_path)), tmp_path / "state")
    assert found.state.id == found.docker.id
    assert found.docker.path == str(tmp_path)
    assert found.temporary.path
    assert found.content.path
    assert found.memory


def test_nothing_at_all_is_known_without_proc(tmp_path: Path) -> None:
    found = places(Proc(tmp_path), EngineFacts("1"), tmp_path)
    assert found.memory is None
    assert found.temporary.free is None or found.temporary.path


@pytest.mark.parametrize(
    ("text", "value"),
    [("MemTotal: 9 kB\nMemAvailable:   123 kB\n", 123 * 1024), ("", None), ("MemAvailable:", None),
     ("MemAvailable: x kB", None)],
)  # fmt: skip
def test_free_memory(text: str, value: int | None) -> None:
    assert free_memory(text) == value
