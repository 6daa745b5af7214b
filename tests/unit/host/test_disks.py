import os
from pathlib import Path

import pytest

from drainer.host.disks import file_system, free_memory, kind_of, places
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
    assert here.free >= system.f_bavail * system.f_frsize - (1 << 30)
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


@pytest.mark.parametrize(
    ("kind", "blocks", "free"),
    [("ext4", 1000, 500), ("btrfs", 1000, 400), ("xfs", 1000, 400), ("tmpfs", 0, None)],
)
def test_what_root_may_write_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, blocks: int, free: int | None
) -> None:
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    (tmp_path / "1").mkdir()
    (tmp_path / "1/mountinfo").write_text(f"36 35 {number} / / rw - {kind} /dev/x rw\n")
    found = list(os.statvfs(tmp_path))
    found[1:5] = [1, blocks, 500 if blocks else 0, 400 if blocks else 0]
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(found))
    system = file_system(Proc(tmp_path), 1, tmp_path, "x")
    assert (system.free, system.in_memory) == (free, kind == "tmpfs")


def test_the_type_is_that_of_the_mount_with_the_number() -> None:
    lines = "1 0 8:1 / / rw - ext4 8:2 rw\n2 0 8:2 / /x rw - xfs /dev/y rw,z= 8:3 \n"
    assert [kind_of(lines, n) for n in ("8:1", "8:2", "8:3", "")] == ["ext4", "xfs", "", ""]


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
