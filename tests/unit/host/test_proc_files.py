import os
import stat
from pathlib import Path

import pytest

from drainer.host.proc_files import UsedFile, devices, locks, shared_memory, unsupported

GONE = Path("/nonexistent")


@pytest.mark.parametrize(
    "name",
    [
        "anon_inode:[eventfd]",
        "anon_inode:inotify",
        "anon_inode:[pidfd]",
        "/memfd:x (deleted)",
        "pipe:[1]",
        "socket:[1]",
        "/usr/lib/libc.so",
    ],
)
def test_supported(name: str) -> None:
    assert unsupported([UsedFile(name, GONE)]) == ()


@pytest.mark.parametrize(
    "name",
    [
        "anon_inode:[io_uring]",
        "anon_inode:[perf_event]",
        "anon_inode:kvm-vm",
        "anon_inode:bpf-prog",
        "/secretmem (deleted)",
    ],
)
def test_unsupported(name: str) -> None:
    assert unsupported([UsedFile(name, GONE)]) == (name,)


@pytest.mark.parametrize(("handle", "found"), [("f8", ("inotify on overlayfs",)), ("1", ())])
def test_a_watch_on_overlayfs_is_told_by_its_handle(handle: str, found: tuple[str, ...]) -> None:
    details = (
        "pos:\t0\nflags:\t00\n"
        "inotify wd:1 ino:9e7e sdev:800013 mask:800afce ignored_mask:0 fhandle-bytes:8"
        f" fhandle-type:{handle} f_handle:7e9e0000640d1b6d\n"
    )
    assert unsupported([UsedFile("anon_inode:inotify", GONE, details)]) == found


def test_a_lock_seen_through_two_descriptors_counts_once() -> None:
    first = "lock:\t1: FLOCK  ADVISORY  WRITE 7 fe:00:21 0 EOF\n"
    second = (
        "lock:\t1: OFDLCK ADVISORY  WRITE -1 fe:00:21 0 EOF\n"
        "lock:\t2: FLOCK  ADVISORY  WRITE 7 fe:00:21 0 EOF\n"
    )
    assert locks([UsedFile("/f", GONE, first), UsedFile("/f", GONE, second)]) == 2


def test_what_lies_on_a_remote_file_system_is_not_touched(tmp_path: Path) -> None:
    node = tmp_path / "kmsg"
    os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(1, 11))
    files = [UsedFile("/far/f", node), UsedFile("/far", node), UsedFile("/farther", node)]
    assert devices(files, {"/far"}) == ("/farther",)
    assert devices(files, ()) == ("/far", "/far/f", "/farther")


def test_a_list_for_people_is_short() -> None:
    files = [UsedFile(f"/dev/shm/{number}", GONE) for number in range(1000)]
    assert len(shared_memory(files)) == 20
