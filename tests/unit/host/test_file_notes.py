"""Real processes on real mounts of this machine, as a container has them."""

import contextlib
import io
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drainer.doctor.rootfs import archive
from drainer.evidence import FileNote, changed
from drainer.host.file_notes import LASTING, files_in_use, look, written_places
from drainer.host.procfs import Proc
from drainer.model import Container, Mount

PROC = Proc()

SCRIPT = """
set -e
cd {root}
mount -t overlay overlay -o lowerdir={root}/low,upperdir={root}/up,workdir={root}/work merged
mkdir -p merged/data merged/tmp merged/one
mount --bind vol merged/data
mount -t tmpfs none merged/tmp
touch merged/one/conf
mount --bind conf merged/one/conf
cd merged
mkdir -p old
pivot_root . old
exec {program}
"""

PROGRAM = """/bin/sh -c '
umask 0
echo x >/data/gone; echo x >/tmp/memory; echo x >/one/own; echo x >/image-too
exec 3<>/data/log 4</image 5</one/conf 6</one/own 7</data/gone 8</tmp/memory 9</image-too
echo ready
while :; do /bin/sleep 60; done'
"""


@contextlib.contextmanager
def container(root: Path, more: tuple[Mount, ...] = ()) -> Iterator[Container]:
    """Run a shell in a mount namespace such as Docker makes, with files open."""
    for name in ("low", "up", "work", "merged", "vol"):
        (root / name).mkdir()
    with tarfile.open(fileobj=io.BytesIO(archive())) as tar:
        tar.extractall(root / "low", filter="fully_trusted")  # noqa: S202 - made just now
    for name in ("low/image", "low/image-too", "vol/log", "conf"):
        (root / name).write_text("content\n")
    script = SCRIPT.format(root=root, program=PROGRAM.strip())
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            (root / "vol/gone").unlink()
            mounts = (
                Mount("volume", str(root / "vol"), "/data"),
                Mount("bind", str(root / "conf"), "/one/conf"),
                *more,
            )
            yield Container("c" * 64, "c", pid=process.pid, mounts=mounts)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_files_are_found_where_they_are_on_the_host(tmp_path: Path) -> None:
    with container(tmp_path) as running:
        notes = {n.path: n for n in files_in_use(running, 100, PROC)}
        assert written_places(running, PROC)[0] == str(tmp_path / "up")
    for name in ("vol/log", "conf", "up/one/own", "up/image-too"):
        status = (tmp_path / name).stat()
        found = notes[str(tmp_path / name)]
        assert (found.inode, found.size, found.mtime) == (
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
        )
    # Of the image: where another one would be put. The shell is there only as a mapping.
    for name in ("up/image", "up/bin/sh"):
        assert notes[str(tmp_path / name)] == FileNote(str(tmp_path / name))
    assert not [path for path in notes if "memory" in path or "gone" in path]
    assert all(path.startswith(str(tmp_path)) for path in notes)
    assert changed(notes.values(), look) == {}


def test_every_kind_of_change_is_seen(tmp_path: Path) -> None:
    with container(tmp_path) as running:
        notes = files_in_use(running, 100, PROC)
    (tmp_path / "up/image").write_text("put there\n")
    os.utime(tmp_path / "vol/log", ns=(1, 2))
    (tmp_path / "conf").write_text("longer content\n")
    (tmp_path / "up/one/own").unlink()
    (tmp_path / "up/image-too").rename(tmp_path / "up/away")
    (tmp_path / "up/image-too").symlink_to("/dev/null")
    assert changed(notes, look) == {
        str(tmp_path / "up/image"): "it was put in place of the image's own",
        str(tmp_path / "vol/log"): "it was written to",
        str(tmp_path / "conf"): "it had 8 bytes and has 15",
        str(tmp_path / "up/one/own"): "it is no longer there",
        str(tmp_path / "up/image-too"): "it was replaced",
    }


def test_what_is_open_comes_first_and_no_more_than_allowed(tmp_path: Path) -> None:
    with container(tmp_path) as running:
        notes = files_in_use(running, 3, PROC)
    assert len(notes) == 3
    assert str(tmp_path / "vol/log") in {n.path for n in notes}


def test_a_place_that_leads_to_another_file_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else/log").write_text("content\n")
    wrong = (Mount("bind", str(tmp_path / "else"), "/data/"),)
    with container(tmp_path, wrong) as running:
        notes = {n.path for n in files_in_use(running, 100, PROC)}
    assert str(tmp_path / "else/log") not in notes


def test_what_is_written_through_a_mapping_is_not_a_change_after_a_flush(tmp_path: Path) -> None:
    path = tmp_path / "mapped"
    path.write_bytes(b"x" * 8192)
    code = (
        f"import mmap, time; f = open({str(path)!r}, 'r+b'); m = mmap.mmap(f.fileno(), 0)\n"
        "time.sleep(0.05); m[0] = 65; m[5000] = 66; print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(["python3", "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.sync()
        noted = look(str(path))
        process.kill()
    os.sync()
    assert changed([noted], look) == {}


def test_nobody_is_no_container() -> None:
    nobody = Container("c" * 64, "c", pid=0)
    assert files_in_use(nobody, 10, PROC) == ()
    assert written_places(nobody, PROC) == ()


@pytest.mark.parametrize("path", ["/no/such", "/dev/null/below", "", "/a\0b", "x" * 5000])
def test_what_cannot_be_reached_is_missing(path: str) -> None:
    assert look(path).missing


def test_memory_and_networks_are_no_lasting_file_systems() -> None:
    assert not LASTING & {"tmpfs", "ramfs", "nfs", "nfs4", "cifs", "overlay", "proc", "vfat"}


PID = 7


def noted(
    root: Path,
    used: Path,
    kinds: dict[str, str],
    mounts: tuple[Mount, ...] = (),
    hosts: str = "",
    *,
    options: str = "rw",
    flags: int = os.O_RDWR,
    mapped: bool = False,
) -> list[str]:
    """Note what a process in a made-up /proc has open: `used`, on mounts of these kinds.

    `hosts` is the mountinfo of the host, `flags` are those it was opened with.
    """
    process = root / f"proc/{PID}"
    (process / "fd").mkdir(parents=True)
    (process / "ns").mkdir()
    (process / "stat").write_text(f"{PID} (x) S 1 1 1 0")
    (process / "fd/3").symlink_to(used)
    (process / "fdinfo").mkdir()
    (process / "fdinfo/3").write_text(f"pos:\t0\nflags:\t0{flags | os.O_CLOEXEC:o}\nmnt_id:\t1\n")
    if mapped:
        (process / "maps").write_text(f"1000-2000 r--s 00000000 08:01 7 {used}\n")
        (process / "map_files").mkdir()
        (process / "map_files/1000-2000").symlink_to(used)
    (process / "ns/mnt").symlink_to("mnt:[1]")
    (root / "proc/self").mkdir()
    (root / "proc/self/mountinfo").write_text(hosts)
    lines = (f"1 0 8:1 / {place} {options} - {kind}\n" for place, kind in kinds.items())
    (process / "mountinfo").write_text("".join(lines))
    found = files_in_use(Container("c" * 64, "c", pid=PID, mounts=mounts), 10, Proc(root / "proc"))
    return [n.path for n in found]


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """Return a file in use, at a place that a volume is mounted at."""
    (tmp_path / "data/sub").mkdir(parents=True)
    path = tmp_path / "data/sub/f"
    path.write_text("content\n")
    return path


def same_place(path: Path) -> Mount:
    return Mount("volume", str(path), str(path))


def test_a_volume_on_a_disk_is_looked_at_and_one_over_a_network_is_not(
    tmp_path: Path, used: Path
) -> None:
    data = tmp_path / "data"
    for kind, expected in (("ext4 /dev/sda1 rw", [str(used)]), ("nfs4 host:/x rw", [])):
        root = tmp_path / kind[:4]
        kinds = {"/": "overlay overlay rw", str(data): kind}
        assert noted(root, used, kinds, (same_place(data),)) == expected


def test_a_volume_that_is_mounted_only_while_it_is_used_is_left_out(
    tmp_path: Path, used: Path
) -> None:
    data = tmp_path / "data"
    kinds = {"/": "overlay overlay rw", str(data): "ext4 /dev/sda1 rw"}
    hosts = f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:1 /x {data} rw - ext4 /dev/sda1 rw\n"
    volume, bind = same_place(data), Mount("bind", str(data), str(data))
    assert noted(tmp_path / "1", used, kinds, (volume,), hosts) == []
    assert noted(tmp_path / "2", used, kinds, (bind,), hosts) == [str(used)]
    assert noted(tmp_path / "3", used, kinds, (replace(volume, driver="plugin"),)) == []
    assert noted(tmp_path / "4", used, kinds, (replace(volume, driver="local"),)) == [str(used)]


def test_what_is_only_appended_to_is_left_out(tmp_path: Path, used: Path) -> None:
    mounts = (same_place(tmp_path / "data"),)
    kinds = {"/": "ext4 /dev/sda1 rw"}
    for flags, expected in (
        (os.O_WRONLY | os.O_APPEND, []),
        (os.O_RDWR | os.O_APPEND, [str(used)]),
        (os.O_RDONLY | os.O_APPEND, [str(used)]),
        (os.O_WRONLY, [str(used)]),
        (os.O_RDONLY, [str(used)]),
    ):
        assert noted(tmp_path / f"{flags}", used, kinds, mounts, flags=flags) == expected
    root, flags = tmp_path / "both", os.O_WRONLY | os.O_APPEND
    assert noted(root, used, kinds, mounts, flags=flags, mapped=True) == [str(used)]


@pytest.mark.parametrize("kind", ["ext4 /dev/sda1 rw", "overlay overlay rw,upperdir=/up"])
def test_what_the_container_cannot_write_to_is_left_out(
    tmp_path: Path, used: Path, kind: str
) -> None:
    mounts = (same_place(tmp_path / "data"),)
    kinds = {"/": kind}
    options = "ro,nosuid,relatime"
    assert noted(tmp_path / "1", used, kinds, mounts, options=options, mapped=True) == []
    assert len(noted(tmp_path / "2", used, kinds, mounts, options="rw,noro")) == 1


def test_only_places_on_disks_are_written_places(tmp_path: Path) -> None:
    kinds = {
        "/": "overlay overlay rw,upperdir=/up",
        "/disk": "ext4 /dev/sda1 rw",
        "/net": "nfs4 host:/x rw",
        "/fuse": "fuse.sshfs host:/x rw",
        "/memory": "tmpfs none rw",
    }
    for pid, lines in ((PID, kinds), ("self", {"/": "xfs /dev/sda1 rw", "/mnt": "cifs //x rw"})):
        (tmp_path / f"{pid}").mkdir()
        text = "".join(f"1 0 8:1 / {path} rw - {kind}\n" for path, kind in lines.items())
        (tmp_path / f"{pid}/mountinfo").write_text(text)
    mounts = (
        *(Mount("bind", f"/srv{path}", path) for path in kinds if path != "/"),
        Mount("volume", "/srv/disk", "/disk/"),
        # Destinations that are links, such as /var/run, are no mount points.
        Mount("bind", "/srv/more", "/link/more"),
        Mount("bind", "/mnt/x", "/link/x"),
        Mount("bind", "/srv/read", "/link/read", writable=False),
        Mount("tmpfs", "", "/t"),
    )
    found = written_places(Container("c" * 64, "c", pid=PID, mounts=mounts), Proc(tmp_path))
    assert found == ("/up", "/srv/disk", "/srv/more")


def test_the_innermost_volume_is_the_one(tmp_path: Path, used: Path) -> None:
    for name in ("outer/sub", "inner"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "inner/f").hardlink_to(used)
    (tmp_path / "outer/sub/f").write_text("content\n")
    mounts = (
        Mount("bind", str(tmp_path / "outer"), str(tmp_path / "data")),
        Mount("bind", str(tmp_path / "inner"), str(tmp_path / "data/sub")),
        Mount("tmpfs", str(tmp_path / "outer/sub"), str(used)),
    )
    assert noted(tmp_path, used, {"/": "ext4 /dev/sda1 rw"}, mounts) == [str(tmp_path / "inner/f")]


def test_what_is_in_no_volume_of_docker_s_is_left_out(tmp_path: Path, used: Path) -> None:
    assert noted(tmp_path, used, {"/": "ext4 /dev/sda1 rw"}) == []


def test_directories_and_deleted_files_are_left_out(tmp_path: Path, used: Path) -> None:
    mounts = (same_place(tmp_path / "data"),)
    kinds = {"/": "ext4 /dev/sda1 rw"}
    assert noted(tmp_path / "1", used.parent, kinds, mounts) == []
    deleted = used.rename(used.with_name("f (deleted)"))
    assert noted(tmp_path / "2", deleted, kinds, mounts) == []


def test_another_file_in_the_layer_is_left_out(tmp_path: Path, used: Path) -> None:
    kinds = {"/": f"overlay overlay rw,upperdir={tmp_path}/up"}
    own = Path(f"{tmp_path}/up{used}")
    assert noted(tmp_path / "1", used, kinds) == [str(own)]
    own.parent.mkdir(parents=True)
    own.write_text("something else\n")
    assert noted(tmp_path / "2", used, kinds) == []


def test_an_overlay_of_the_container_s_own_making_is_left_out(tmp_path: Path, used: Path) -> None:
    inner = f"overlay overlay rw,upperdir={tmp_path}/up"
    kinds = {"/": "overlay overlay rw", str(tmp_path / "data"): inner}
    assert noted(tmp_path, used, kinds, (same_place(tmp_path / "data"),)) == []
