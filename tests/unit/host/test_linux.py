import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from drainer.errors import DrainerError
from drainer.host import containerd
from drainer.host.base import Host
from drainer.host.checksum import checksum
from drainer.host.containerd import Sight
from drainer.host.linux import LinuxHost
from drainer.host.procfs import Proc
from drainer.host.run import MISSING, Result
from drainer.model import Container, EngineFacts


def nothing_runs(arguments: Sequence[str], timeout: float) -> Result:  # noqa: ARG001 - a runner
    return Result(MISSING)


@pytest.fixture
def host(tmp_path: Path) -> LinuxHost:
    return LinuxHost(runner=nothing_runs, criu_configuration=tmp_path / "runc.conf")


def test_facts_of_this_machine(host: LinuxHost, tmp_path: Path) -> None:
    (tmp_path / "runc.conf").write_text("tcp-close\n")
    protocol: Host = host
    facts = protocol.facts()
    assert len(facts.boot_id) == 36
    assert facts.kernel == os.uname().release
    assert facts.architecture == os.uname().machine
    assert facts.cgroup_version in {1, 2}
    assert facts.criu_options == ("tcp-close",)


def test_facts_are_empty_where_nothing_can_be_found_out(tmp_path: Path) -> None:
    facts = LinuxHost(tmp_path, nothing_runs, tmp_path / "none").facts()
    assert (facts.boot_id, facts.kernel, facts.criu_options) == ("", "", ())


@pytest.mark.parametrize(
    ("own", "hosts", "expected"),
    [("time:[2]", "time:[1]", True), ("time:[1]", "time:[1]", False), ("", "time:[1]", False)],
)
def test_a_restored_process_has_a_time_namespace_of_its_own(
    tmp_path: Path, own: str, hosts: str, expected: bool
) -> None:
    for pid, link in ((1, hosts), (77, own)):
        (tmp_path / str(pid) / "ns").mkdir(parents=True)
        if link:
            (tmp_path / str(pid) / "ns" / "time").symlink_to(link)
    host = LinuxHost(tmp_path, nothing_runs)
    assert host.is_restored(Container(id="a", name="a", pid=77)) is expected
    assert not host.is_restored(Container(id="a", name="a", pid=0))


OWN = "a" * 64


@pytest.mark.parametrize(
    ("groups", "parent", "expected"),
    [
        (f"0::/system.slice/docker-{OWN}.scope\n", "", True),
        (f"4:memory:/docker/{OWN}\n", "", True),
        ("0::/system.slice/ssh.service\n", "/lib/systemd/systemd", False),  # another's pid by now
        ("0::/elsewhere\n", f"containerd-shim-runc-v2\0-id\0{OWN}", True),  # it has moved itself
        ("", "", True),  # not to be told
        (None, "", False),
    ],
)
def test_a_process_lives_as_long_as_its_pid_is_its_own(
    tmp_path: Path, groups: str | None, parent: str, *, expected: bool
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "cmdline").write_text(parent)
    if groups is not None:
        (tmp_path / "77").mkdir()
        (tmp_path / "77" / "cgroup").write_text(groups)
        (tmp_path / "77" / "stat").write_text("77 (sh) S 1")
    host = LinuxHost(tmp_path, nothing_runs)
    assert host.lives(Container(id=OWN, name="a", pid=77)) is expected
    assert host.lives(Container(id=OWN, name="a", pid=0))


def test_a_real_process_in_a_time_namespace(host: LinuxHost, tmp_path: Path) -> None:
    (tmp_path / "1" / "ns").mkdir(parents=True)
    (tmp_path / "1" / "ns" / "time").symlink_to(Path("/proc/self/ns/time").readlink())
    with subprocess.Popen(
        ["unshare", "--time", "sh", "-c", "echo ready; exec sleep 60"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (tmp_path / str(process.pid)).symlink_to(f"/proc/{process.pid}")
        try:
            found = LinuxHost(tmp_path).is_restored(Container("a", "a", pid=process.pid))
        finally:
            process.kill()
    assert found
    assert host.shutting_down() == ""


def test_flush_bears_a_directory_that_is_not_there(
    host: LinuxHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.flush(str(tmp_path))
    (tmp_path / "file").write_text("content\n")
    with monkeypatch.context() as patched:
        patched.delattr("os.sync")
        for path in ("file", "missing", "missing/too", "file/below"):
            host.flush(str(tmp_path / path))


def test_images_and_files_are_looked_at(host: LinuxHost, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.img").write_bytes(b"")
    protocol: Host = host
    assert protocol.checksums(str(tmp_path / "images"), lambda: False) == {"a.img": checksum(b"")}
    found = protocol.look(str(tmp_path / "images/a.img"))
    assert found.inode == (tmp_path / "images/a.img").stat().st_ino
    nobody = Container("c" * 64, "c")
    assert protocol.files_in_use(nobody, 1) == ()
    assert protocol.written_places(nobody) == ()


def test_what_is_read_ahead_is_known(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.img").write_bytes(b"")
    host = LinuxHost(runner=nothing_runs, ahead_place=tmp_path / "ahead")
    place = str(tmp_path / "images")
    host.read_ahead(place, lambda: False)
    assert host.known_checksums(place) == host.checksums(place, lambda: False) != {}
    assert not host.ahead_has_ended()
    host.end_reading_ahead()
    assert host.ahead_has_ended()
    host.read_ahead(place, lambda: True)
    assert host.known_checksums(place) == {}
    for missing in (tmp_path / "none", tmp_path / "images/a.img"):
        with pytest.raises(DrainerError):
            host.read_ahead(str(missing), lambda: False)


def test_containerd_is_looked_for_again_only_when_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "300").mkdir()
    command = tmp_path / "300/cmdline"
    looks: list[str] = []

    def look(_proc: Proc) -> Sight:
        looks.append(command.read_text())
        return Sight(300, command.read_text(), "/tmp", "/root")

    monkeypatch.setattr(containerd, "sight", look)
    host = LinuxHost(tmp_path, nothing_runs)
    for text in ("containerd", "containerd", "other", "other"):
        command.write_text(text)
        host.places(EngineFacts("1", "1"), str(tmp_path))
    assert looks == ["containerd", "other"]


@pytest.mark.parametrize(("tracer", "frozen"), [("0", True), ("99", False)])
def test_what_criu_holds_is_not_frozen(tmp_path: Path, tracer: str, *, frozen: bool) -> None:
    path = f"system.slice/docker-{OWN}.scope"
    group, process = tmp_path / "groups" / path, tmp_path / "proc" / "77"
    group.mkdir(parents=True)
    process.mkdir(parents=True)
    for file, text in (
        ("cgroup.procs", "77\n"),
        ("cgroup.events", "populated 1\nfrozen 1\n"),
        ("cgroup.freeze", "0\n"),
    ):
        (group / file).write_text(text)
    (process / "cgroup").write_text(f"0::/{path}\n")
    (process / "status").write_text(f"Name:\tweb\nTracerPid:\t{tracer}\n")
    host = LinuxHost(tmp_path / "proc", nothing_runs, groups=tmp_path / "groups")
    assert host.freeze(Container(id=OWN, name="web", pid=77)) is frozen
    assert (group / "cgroup.freeze").read_text().startswith("1" if frozen else "0")
