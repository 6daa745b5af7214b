from pathlib import Path

import pytest

from drainer.host.procfs import (
    MappedFile,
    MountPoint,
    Proc,
    Stat,
    parse_cgroup,
    parse_environment,
    parse_maps,
    parse_mountinfo,
    parse_stat,
    parse_status,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("17 (sh) S 1 17 17 0 -1", Stat("sh", "S", 1)),
        ("17 (a) R 9 (b)) Z 4 17 17 0", Stat("a) R 9 (b)", "Z", 4)),
    ],
)
def test_a_name_cannot_forge_a_parent(text: str, expected: Stat) -> None:
    assert parse_stat(text) == expected


def test_status_values_are_stripped() -> None:
    assert parse_status("Name:\tsh\nSeccomp:\t2\n")["Seccomp"] == "2"


def test_mountinfo_with_optional_fields_and_escapes() -> None:
    text = (
        "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw\n"
        "40 35 0:44 / /a\\040b\\134c rw - fuse.sshfs host:/x rw\n"
        "broken\n"
    )
    assert parse_mountinfo(text) == (
        MountPoint("98:0", "/mnt2", "ext3"),
        MountPoint("0:44", "/a b\\c", "fuse.sshfs"),
    )


def test_the_writable_directory_of_an_overlay_is_read_where_its_path_is_full() -> None:
    line = "1 0 0:39 / / rw - overlay {source} rw,lowerdir=/a:/b,upperdir={upper},workdir=/w\n"
    (full,) = parse_mountinfo(line.format(source="overlay", upper="/d\\040e/diff"))
    assert full.layer == "/d e/diff"
    (relative,) = parse_mountinfo(line.format(source="overlay", upper="x/diff"))
    assert relative.layer == ""
    (forged,) = parse_mountinfo(line.format(source="x,upperdir=/evil", upper="/d"))
    assert forged.layer == "/d"
    (other,) = parse_mountinfo("1 0 8:1 / / rw - ext4 /dev/sda1 rw,upperdir=/d\n")
    assert other.layer == ""


def test_maps_keep_one_mapping_for_each_name() -> None:
    text = (
        "7f00-7f10 r-xp 00000000 fe:00 12   /usr/lib/a b.so (deleted)\n"
        "7f10-7f20 rw-p 00001000 fe:00 12   /usr/lib/a b.so (deleted)\n"
        "7f20-7f30 rw-p 00000000 00:00 0\n"
        "7f30-7f40 rw-s 00000000 00:0f 77   anon_inode:[io_uring]\n"
    )
    assert parse_maps(text) == (
        MappedFile("7f00-7f10", "/usr/lib/a b.so (deleted)"),
        MappedFile("7f30-7f40", "anon_inode:[io_uring]"),
    )


def test_cgroup_paths_of_both_versions() -> None:
    assert parse_cgroup("9:name=systemd:/a:b\n0::/c\n") == ("/a:b", "/c")


def test_environment() -> None:
    assert parse_environment("A=1=2\0B=\0junk\0") == {"A": "1=2", "B": ""}


def test_what_vanished_reads_as_empty(tmp_path: Path) -> None:
    proc = Proc(tmp_path)
    assert proc.text(1, "status") == ""
    assert proc.link(1, "ns", "net") == ""
    assert proc.names(1, "fd") == ()
    assert proc.processes() == {}


def test_undecodable_bytes_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a\xffb")
    (tmp_path / "l").symlink_to(b"a\xffb".decode("utf-8", "surrogateescape"))
    assert Proc(tmp_path).text("f") == "a\\xffb"
    assert Proc(tmp_path).link("l") == "a\\xffb"
