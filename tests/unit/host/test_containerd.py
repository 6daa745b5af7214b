import os
from pathlib import Path

import pytest

from drainer.host.containerd import (
    DEFAULT_CONFIGURATION,
    DEFAULT_ROOT,
    DEFAULT_SEARCH_PATH,
    processes,
    remove_copies,
    search_path,
    sight,
    temporary_directory,
)
from drainer.host.procfs import Proc


def add(root: Path, pid: int, name: str, namespace: int, group: str, environment: str) -> None:
    directory = root / str(pid)
    (directory / "ns").mkdir(parents=True)
    (directory / "ns" / "pid").symlink_to(f"pid:[{namespace}]")
    (directory / "stat").write_text(f"{pid} ({name}) S 1 1 1 0")
    (directory / "cgroup").write_text(f"0::{group}\n")
    (directory / "environ").write_text(environment)


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    root = tmp_path / "proc"
    docker = f"/system.slice/docker-{'ab' * 32}.scope"
    add(root, 1, "systemd", 1, "/init.scope", "")
    add(root, 40, "containerd", 2, docker, "PATH=/evil/1\0")
    add(root, 41, "containerd", 1, docker, "PATH=/evil/2\0TMPDIR=/evil\0")
    add(root, 42, "containerd-shim", 1, "/system.slice/containerd.service", "PATH=/shim\0")
    add(
        root,
        300,
        "containerd",
        1,
        "/system.slice/containerd.service",
        "PATH=/opt/criu/bin:/usr/bin\0TMPDIR=/var/t\0",
    )
    return Proc(root)


def test_only_the_hosts_containerd_counts(proc: Proc) -> None:
    assert processes(proc) == (300,)
    assert search_path(proc) == "/opt/criu/bin:/usr/bin"


def test_without_containerd_the_path_is_what_systemd_gives(tmp_path: Path) -> None:
    assert search_path(Proc(tmp_path)) == DEFAULT_SEARCH_PATH


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "/tmp"),
        ({"TMPDIR": "/t"}, "/t"),
        ({"TMPDIR": "/t", "XDG_RUNTIME_DIR": "/x"}, "/x"),
        ({"TMPDIR": "/t", "XDG_RUNTIME_DIR": ""}, "/t"),
    ],
)
def test_temporary_directory(variables: dict[str, str], expected: str) -> None:
    assert temporary_directory(variables) == expected


def test_only_roots_own_copies_are_deleted(proc: Proc, tmp_path: Path) -> None:
    root = tmp_path / "root"
    temporary = root / "var" / "t"
    temporary.mkdir(parents=True)
    (proc.root / "300" / "root").symlink_to(root)
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "f").touch()
    for name in ("ctrd-checkpoint1", "ctrd-checkpoint2", "ctrd-checkpoint3", "other"):
        (temporary / name).mkdir()
        (temporary / name / "inventory.img").touch()
    (temporary / "ctrd-checkpoint1" / "link").symlink_to(kept)
    os.chown(temporary / "ctrd-checkpoint3", 1000, 1000)
    (temporary / "ctrd-checkpoint4").symlink_to(kept)
    (temporary / "ctrd-checkpoint5").touch()
    seen = []

    def is_copy(path: Path) -> bool:
        assert (path / "inventory.img").exists()
        seen.append(path.name)
        return path.name == "ctrd-checkpoint1"

    assert remove_copies(proc, is_copy) == 1
    assert sorted(seen) == ["ctrd-checkpoint1", "ctrd-checkpoint2"]
    assert not (temporary / "ctrd-checkpoint1").exists()
    assert len(list(temporary.iterdir())) == 5
    assert (kept / "f").exists()
    assert remove_copies(proc, is_copy) == 0


def test_a_temporary_directory_that_is_not_there_holds_no_copies(proc: Proc) -> None:
    assert remove_copies(proc, lambda _: True) == 0


@pytest.mark.parametrize(
    ("command", "configuration", "expected"),
    [
        ("containerd", None, DEFAULT_ROOT),
        ("containerd", 'root = "/srv/c"\n[plugins]\nroot = "/x"\n', "/srv/c"),
        ("containerd", "root = 5\n", DEFAULT_ROOT),
        ("containerd", "root =\n", DEFAULT_ROOT),
        ("containerd", b"\xff", DEFAULT_ROOT),
        ("containerd --root /own", 'root = "/srv/c"\n', "/own"),
        ("containerd --root=/own", None, "/own"),
        ("containerd --config /other.toml", 'root = "/srv/c"\n', DEFAULT_ROOT),
        ("containerd --config", 'root = "/srv/c"\n', "/srv/c"),
        ("containerd -c /etc/containerd/config.toml", 'root = "/srv/c"\n', "/srv/c"),
    ],
)
def test_the_content_store_is_below_containerds_root(
    proc: Proc, command: str, configuration: str | bytes | None, expected: str
) -> None:
    (proc.root / "300" / "cmdline").write_text(command.replace(" ", "\0") + "\0")
    if configuration is not None:
        file = proc.root / "300" / "root" / DEFAULT_CONFIGURATION[1:]
        file.parent.mkdir(parents=True)
        content = configuration if isinstance(configuration, bytes) else configuration.encode()
        file.write_bytes(content)
    found = sight(proc)
    assert (found.pid, found.root) == (300, expected)


def test_without_containerd_its_root_is_the_default(tmp_path: Path) -> None:
    found = sight(Proc(tmp_path))
    assert (found.pid, found.root) == (os.getpid(), DEFAULT_ROOT)
