import errno
import os
from pathlib import Path

import pytest

from drainer.errors import DrainerError, ManifestInvalidError, NoPermissionError
from drainer.store.files import Os, StateDirectory

UID = os.geteuid()


class FailingOs(Os):
    """Fails at one call, counted over all calls of a write."""

    def __init__(self, at: int, code: int) -> None:
        self.left = at
        self.code = code
        self.calls: list[str] = []

    def _count(self, call: str) -> None:
        self.calls.append(call)
        self.left -= 1
        if self.left == 0:
            raise OSError(self.code, os.strerror(self.code))

    def open(self, name: str, flags: int, dir_fd: int) -> int:
        self._count("open")
        return super().open(name, flags, dir_fd)

    def write(self, fd: int, data: memoryview) -> int:
        self._count("write")
        return super().write(fd, data[:3])

    def fsync(self, fd: int) -> None:
        self._count("fsync")
        super().fsync(fd)

    def rename(self, old: str, new: str, dir_fd: int) -> None:
        self._count("rename")
        super().rename(old, new, dir_fd)

    def unlink(self, name: str, dir_fd: int) -> None:
        self._count("unlink")
        super().unlink(name, dir_fd)

    def fsync_dir(self, dir_fd: int) -> None:
        self._count("fsync_dir")
        super().fsync_dir(dir_fd)


def test_a_missing_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    StateDirectory(tmp_path / "state", uid=UID).close()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_another_user_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    with pytest.raises(NoPermissionError) as caught:
        StateDirectory(tmp_path / "state", uid=UID + 1)
    assert caught.value.hint
    assert not (tmp_path / "state").exists()


def test_readable_by_others_is_tightened(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.mkdir()
    path.chmod(0o755)
    StateDirectory(path, uid=UID).close()
    assert path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_writable_by_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "state"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(NoPermissionError, match="others may write it"):
        StateDirectory(path, uid=UID)


@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
def test_a_symbolic_link_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "state").symlink_to(tmp_path / target)
    with pytest.raises(NoPermissionError, match="symbolic link"):
        StateDirectory(tmp_path / "state", uid=UID)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(DrainerError, match="ENOTDIR"):
        StateDirectory(tmp_path / "state", uid=UID)


def test_a_missing_parent_is_said(tmp_path: Path) -> None:
    with pytest.raises(DrainerError, match="ENOENT"):
        StateDirectory(tmp_path / "none" / "state", uid=UID)


def test_a_parent_that_others_write_is_refused_unless_sticky(tmp_path: Path) -> None:
    parent = tmp_path / "shared"
    parent.mkdir()
    parent.chmod(0o777)
    with pytest.raises(NoPermissionError, match="exchange"):
        StateDirectory(parent / "state", uid=UID)
    parent.chmod(0o1777)
    StateDirectory(parent / "state", uid=UID).close()


def test_a_shared_parent_behind_a_link_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "inner").mkdir(parents=True)
    shared.chmod(0o777)
    (tmp_path / "link").symlink_to(shared / "inner")
    with pytest.raises(NoPermissionError, match="exchange"):
        StateDirectory(tmp_path / "link" / "state", uid=UID)


@pytest.mark.skipif(UID != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir(mode=0o700)
    os.chown(foreign, 12345, 12345)
    with pytest.raises(NoPermissionError, match="belongs to user 12345"):
        StateDirectory(foreign)
    with pytest.raises(NoPermissionError, match="exchange"):
        StateDirectory(foreign / "state")
    directory = StateDirectory(tmp_path / "state")
    directory.write("m", b"x")
    os.chown(directory.path / "m", 12345, 12345)
    with pytest.raises(NoPermissionError, match="belongs to user 12345"):
        directory.read("m", 10)
    directory.close()


def test_what_was_written_is_read(directory: StateDirectory) -> None:
    assert not directory.exists("m")
    directory.write("m", b"one")
    directory.write("m", b"two")
    assert directory.exists("m")
    assert directory.read("m", 3) == b"two"
    assert (directory.path / "m").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in directory.path.iterdir()] == ["m"]


def test_names_are_listed_and_removed(directory: StateDirectory) -> None:
    for name in ("b", "a"):
        directory.write(name, b"")
    assert directory.names() == ("a", "b")
    directory.remove("a")
    directory.remove("a")
    assert directory.names() == ("b",)
    (directory.path / "d").mkdir()
    with pytest.raises(DrainerError, match=f"{directory.path}/d: cannot be removed"):
        directory.remove("d")


def test_nothing_to_read(directory: StateDirectory) -> None:
    with pytest.raises(FileNotFoundError):
        directory.read("m", 10)


def test_too_large_a_file_is_refused(directory: StateDirectory) -> None:
    directory.write("m", b"12345")
    with pytest.raises(ManifestInvalidError, match="larger than 4 bytes"):
        directory.read("m", 4)


def test_a_link_a_fifo_and_a_shared_file_are_refused(directory: StateDirectory) -> None:
    directory.write("real", b"x")
    (directory.path / "link").symlink_to("real")
    with pytest.raises(NoPermissionError, match="symbolic link"):
        directory.read("link", 10)
    os.mkfifo(directory.path / "fifo")
    with pytest.raises(NoPermissionError, match="not a plain file"):
        directory.read("fifo", 10)
    (directory.path / "real").chmod(0o620)
    with pytest.raises(NoPermissionError, match="others may write it"):
        directory.read("real", 10)


def test_writing_replaces_a_link_and_does_not_follow_it(
    directory: StateDirectory, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (directory.path / "m").symlink_to(victim)
    (directory.path / ".m.new").symlink_to(victim)
    directory.write("m", b"new")
    assert victim.read_text() == "untouched"
    assert directory.read("m", 10) == b"new"


def test_a_left_over_temporary_file_is_no_obstacle(directory: StateDirectory) -> None:
    (directory.path / ".m.new").write_bytes(b"half")
    directory.write("m", b"whole")
    assert [p.name for p in directory.path.iterdir()] == ["m"]


def test_the_order_of_a_durable_write(tmp_path: Path) -> None:
    calls = FailingOs(at=-1, code=0)
    directory = StateDirectory(tmp_path / "state", uid=UID, calls=calls)
    calls.calls.clear()
    directory.write("m", b"12345")
    directory.close()
    assert calls.calls == ["unlink", "open", "write", "write", "fsync", "rename", "fsync_dir"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("at", range(1, 8))
def test_a_failure_at_any_call_leaves_old_or_new_whole(tmp_path: Path, at: int, code: int) -> None:
    path = tmp_path / "state"
    before = StateDirectory(path, uid=UID)
    before.write("m", b"old")
    directory = StateDirectory(path, uid=UID, calls=FailingOs(at, code))
    with pytest.raises(DrainerError) as caught:
        directory.write("m", b"12345")
    directory.close()
    assert str(path / "m") in caught.value.message
    assert errno.errorcode[code] in caught.value.message
    # Only the flush of the directory comes after the rename.
    assert before.read("m", 10) == (b"12345" if at == 7 else b"old")
    assert [p.name for p in path.iterdir()] == ["m"]
    before.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("at", range(1, 8))
def test_on_a_full_disk_the_reserve_makes_room_once(tmp_path: Path, at: int, code: int) -> None:
    path = tmp_path / "state"
    before = StateDirectory(path, uid=UID)
    before.write("m", b"old")
    before.keep_reserve(5000)
    assert (path / ".reserve").stat().st_blocks * 512 >= 5000
    directory = StateDirectory(path, uid=UID, calls=FailingOs(at, code))
    directory.write("m", b"12345", reserve=True)
    directory.close()
    assert before.read("m", 10) == b"12345"
    assert [p.name for p in path.iterdir()] == ["m"]
    before.close()


def test_the_reserve_is_for_a_full_disk_alone(tmp_path: Path) -> None:
    path = tmp_path / "state"
    directory = StateDirectory(path, uid=UID, calls=FailingOs(3, errno.EIO))
    (path / ".reserve").touch()
    with pytest.raises(DrainerError, match="EIO"):
        directory.write("m", b"12345", reserve=True)
    assert (path / ".reserve").exists()
    directory.close()


def test_the_reserve_is_for_those_that_ask_for_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "state"
    directory = StateDirectory(path, uid=UID, calls=FailingOs(3, errno.ENOSPC))
    (path / ".reserve").touch()
    with pytest.raises(DrainerError, match="ENOSPC"):
        directory.write("m", b"12345")
    assert (path / ".reserve").exists()
    directory.close()


def test_a_reserve_is_made_anew_only_in_another_size(directory: StateDirectory) -> None:
    directory.keep_reserve(5000)
    reserve = directory.path / ".reserve"
    first = reserve.stat()
    assert (first.st_size, first.st_mode & 0o777) == (5000, 0o600)
    directory.keep_reserve(5000)
    assert reserve.stat().st_ino == first.st_ino
    directory.keep_reserve(9000)
    assert reserve.stat().st_size == 9000


def test_a_reserve_that_does_not_fit_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Os, _fd: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Os, "allocate", full)
    directory = StateDirectory(tmp_path / "state", uid=UID)
    directory.keep_reserve(5000)
    assert list(directory.path.iterdir()) == []
    directory.close()


def test_a_reserve_never_goes_through_a_link(directory: StateDirectory, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    (directory.path / ".reserve").symlink_to(victim)
    directory.keep_reserve(5000)
    assert victim.read_bytes() == b"untouched"
    assert (directory.path / ".reserve").lstat().st_size == 5000
