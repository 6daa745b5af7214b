"""A fake /proc for what cannot be made here, then real processes on this machine."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from drainer.host.proc import (
    control_group,
    descendants,
    inner_mounts,
    members,
    memory,
    process_facts,
)
from drainer.host.procfs import MountPoint, Proc, Stat
from drainer.model import Container, Mount, ProcessFacts

ID = "0123456789abcdef" * 4


class Tree:
    """Writes a fake /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def process(
        self,
        pid: int,
        parent: int,
        group: str = f"/system.slice/docker-{ID}.scope",
        namespaces: Sequence[tuple[str, int]] = (),
        **files: str,
    ) -> None:
        directory = self.root / str(pid)
        (directory / "ns").mkdir(parents=True)
        (directory / "fd").mkdir()
        (directory / "stat").write_text(f"{pid} (x) S {parent} 1 1 0")
        (directory / "cgroup").write_text(f"0::{group}\n")
        kinds = dict.fromkeys(("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"), 1)
        for kind, number in (kinds | dict(namespaces)).items():
            (directory / "ns" / kind).symlink_to(f"{kind}:[{number}]")
        for name, text in files.items():
            (directory / name).write_text(text)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def container(pid: int, **fields: Any) -> Container:  # noqa: ANN401 - any field of Container
    return Container(id=ID, name="web", pid=pid, **fields)


def test_the_tree_below_the_first_process_is_the_container(tree: Tree) -> None:
    tree.process(10, 5)
    tree.process(11, 10)
    tree.process(12, 11, group="/elsewhere")
    tree.process(20, 5)
    assert members(Proc(tree.root), container(10)) == (10, 11, 12)


def test_only_what_is_near_is_read_where_the_control_group_is_seen(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group has a process of `docker exec`, and lacks one that has left it."""
    group = f"system.slice/docker-{ID}.scope"
    for pid, parent, children in ((10, 5, "11"), (11, 10, "13 "), (12, 10, ""), (20, 5, "")):
        tree.process(pid, parent)
        (tree.root / f"{pid}/task/{pid}").mkdir(parents=True)
        (tree.root / f"{pid}/task/{pid}/children").write_text(children)
    tree.process(13, 11, group="/elsewhere")
    # It would be found by a look at all processes.
    tree.process(14, 10, group="/elsewhere")
    inner = tree.root / "groups" / group / "init.scope"
    inner.mkdir(parents=True)
    (inner.parent / "cgroup.events").touch()
    (inner.parent / "cgroup.procs").write_text("10\n20\n")
    (inner / "cgroup.procs").write_text("12\n99\n")
    found = members(Proc(tree.root), container(10), tree.root / "groups")
    assert found == (10, 11, 12, 13)
    monkeypatch.setattr("drainer.host.proc.MOST_THREADS", 2)
    found = members(Proc(tree.root), container(10), tree.root / "groups")
    assert found == (10, 11, 12, 13, 14)
    monkeypatch.undo()
    (inner.parent / "cgroup.procs").write_text("20\n")
    found = members(Proc(tree.root), container(10), tree.root / "groups")
    assert found == (10, 11, 12, 13, 14)


def test_in_a_shared_pid_namespace_orphans_are_found_by_their_group(tree: Tree) -> None:
    tree.process(30, 5)
    tree.process(8, 1, group=f"/system.slice/docker-{ID}.scope/inner")
    tree.process(9, 1, group=f"/system.slice/docker-{'f' * 64}.scope")
    assert members(Proc(tree.root), container(30, pid_mode="host")) == (30, 8)
    assert members(Proc(tree.root), container(30)) == (30,)


def test_a_container_that_is_gone_has_no_facts(tree: Tree) -> None:
    assert process_facts(container(10), Proc(tree.root)) == ProcessFacts()


def test_facts_are_summed_over_processes(tree: Tree) -> None:
    rollup = (
        "55c9-7ffe ---p 0 00:00 0 [rollup]\nRss: 99 kB\nPss_Anon: 5 kB\nPss_Shmem: 2 kB\n"
        "Anonymous: 10 kB\nShared_Hugetlb: 2048 kB\nPrivate_Hugetlb: 4096 kB\n"
        "Swap: 1 kB\nSwapPss: 0 kB\n"
    )
    tree.process(10, 5, status="Seccomp:\t0\nTracerPid:\t0\n", smaps_rollup=rollup)
    tree.process(11, 10, status="Seccomp:\t2\nTracerPid:\t7\n", smaps_rollup=rollup)
    facts = process_facts(container(10), Proc(tree.root))
    assert facts.count == 2
    assert facts.seccomp_mode == 2
    assert facts.traced
    assert facts.expected_bytes == 2 * (13 + 2048 + 4096) * 1024


def test_nested_namespaces_are_named_but_mount_namespaces_are_allowed(tree: Tree) -> None:
    tree.process(10, 5)
    tree.process(11, 10, namespaces=[("user", 2), ("pid", 3), ("mnt", 4)])
    assert process_facts(container(10), Proc(tree.root)).nested_namespaces == ("pid", "user")


def test_mounts_of_docker_are_expected_and_others_are_not(tree: Tree) -> None:
    mounts = (
        "1 0 0:1 / / rw - overlay overlay rw\n"
        "2 1 0:2 / /data rw - nfs4 server:/x rw\n"
        "3 1 0:3 / /inner rw - fuse.sshfs x rw\n"
        "4 1 0:1 / /etc/hosts rw - overlay overlay rw\n"
    )
    tree.process(10, 5, mountinfo=mounts)
    tree.process(
        11, 10, namespaces=[("mnt", 2)], mountinfo="1 0 0:9 / /deep rw - overlay overlay rw"
    )
    given = container(10, mounts=(Mount("volume", "/v", "/data"),))
    assert process_facts(given, Proc(tree.root)).inner_mounts == ("/deep", "/inner")


@pytest.mark.parametrize(
    ("kind", "odd"),
    [
        ("fuse", True),
        ("fuse.sshfs", True),
        ("fuseblk", True),
        ("fusectl", False),
        ("nfs", True),
        ("nfs4", True),
        ("9p", True),
        ("tracefs", True),
        ("tmpfs", False),
        ("ext4", False),
        ("cgroup2", False),
    ],
)
def test_kinds_of_mounts(kind: str, odd: bool) -> None:
    assert inner_mounts([MountPoint("0:1", "/x", kind)], ()) == (("/x",) if odd else ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"0::/system.slice/docker-{ID}.scope/init", f"/system.slice/docker-{ID}.scope"),
        (f"4:pids:/docker/{ID}\n0::/", f"/docker/{ID}"),
        ("0::/", ""),
        ("", ""),
    ],
)
def test_control_group(text: str, expected: str) -> None:
    assert control_group(text, ID) == expected


def test_descendants_bear_a_loop() -> None:
    processes = {1: Stat("a", "S", 2), 2: Stat("b", "S", 1)}
    assert descendants(processes, 1) == {1, 2}


def test_memory_of_a_process_that_is_gone_is_nothing() -> None:
    assert memory("") == 0


@contextlib.contextmanager
def running(code: str, *prefix: str) -> Iterator[int]:
    """Run Python code that prints `ready` when it is, and yield the pid of its process."""
    script = f"import os, socket, sys, time\n{code}\nprint('ready', flush=True)\ntime.sleep(60)"
    command = [*prefix, sys.executable, "-c", script]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def facts_of(code: str, *prefix: str, **fields: Any) -> ProcessFacts:  # noqa: ANN401 - any field of Container
    with running(code, *prefix) as pid:
        return process_facts(container(pid, **fields))


def test_an_ordinary_process_is_unremarkable() -> None:
    facts = facts_of(
        "a = socket.socketpair(); b = os.eventfd(0); c = os.pidfd_open(os.getpid())\n"
        "d = socket.create_server(('127.0.0.1', 0)); e = open('/dev/null'); f = os.openpty()\n"
        "g = os.memfd_create('x'); os.truncate(g, 1 << 22); os.pwrite(g, b'x' * (1 << 22), 0)"
    )
    size = facts.expected_bytes
    assert facts == ProcessFacts(count=1, expected_bytes=size)
    assert size > 1 << 20


def test_memory_and_children_are_counted() -> None:
    facts = facts_of("a = bytearray(b'x' * (32 << 20))\nif os.fork() == 0: time.sleep(60)")
    assert facts.count == 2
    # The pages that they share until one of them writes are dumped for each.
    assert 64 << 20 < facts.expected_bytes < 128 << 20


def test_locks_of_all_kinds_count_once() -> None:
    facts = facts_of(
        "import fcntl, tempfile\nf = tempfile.TemporaryFile(); g = os.dup(f.fileno())\n"
        "fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX, 1, 0)\n"
        "if os.fork() == 0: time.sleep(60)"
    )
    assert facts.file_locks == 2


def test_locks_of_others_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch()
    holder = f"import fcntl; f = open({str(path)!r}); fcntl.flock(f, fcntl.LOCK_SH)"
    with running(holder):
        assert facts_of(f"f = open({str(path)!r})").file_locks == 0


def test_tcp_counts_both_ends_but_no_listener() -> None:
    facts = facts_of(
        "s = socket.create_server(('127.0.0.1', 0))\n"
        "c = socket.create_connection(s.getsockname()); a = s.accept()"
    )
    assert facts.tcp_established == 2


def test_tcp_of_others_in_the_same_network_does_not_count() -> None:
    code = (
        "s = socket.create_server(('127.0.0.1', 0))\n"
        "c = socket.create_connection(s.getsockname()); a = s.accept()"
    )
    with running(code):
        assert facts_of("s = socket.socket()").tcp_established == 0


@pytest.mark.parametrize("prefix", [(), ("unshare", "--net")])
def test_a_unix_peer_outside_is_named_at_both_ends(tmp_path: Path, prefix: tuple[str, ...]) -> None:
    path = str(tmp_path / "s")
    server = (
        f"s = socket.socket(socket.AF_UNIX); s.bind({path!r}); s.listen()\n"
        "if os.fork() == 0: c = s.accept()[0]; c.send(b'x'); time.sleep(60)"
    )
    client = f"c = socket.socket(socket.AF_UNIX); c.connect({path!r}); c.recv(1)"
    with running(server) as server_pid, running(client, *prefix) as client_pid:
        assert process_facts(container(client_pid)).unix_outside == (path,)
        (name,) = process_facts(container(server_pid)).unix_outside
        # From the host's network namespace the name is known; from a third one it is not.
        assert name in {path, "(unnamed)"}


def test_a_unix_pair_inside_or_a_connection_not_yet_accepted_is_fine(tmp_path: Path) -> None:
    facts = facts_of(
        f"s = socket.socket(socket.AF_UNIX); s.bind({str(tmp_path / 's')!r}); s.listen()\n"
        f"c = socket.socket(socket.AF_UNIX); c.connect({str(tmp_path / 's')!r})\n"
        "p = socket.socketpair()\nif os.fork() == 0: p[0].close(); time.sleep(60)\np[1].close()"
    )
    assert facts.unix_outside == ()


def test_large_deleted_files_open_or_mapped(tmp_path: Path) -> None:
    facts = facts_of(
        "import mmap\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "def make(name, size):\n"
        "    f = open(name, 'wb+'); f.write(b'x' * size); f.flush(); os.fsync(f.fileno())\n"
        "    return f\n"
        "big, small, kept, twice = (make('big', 2 << 20), make('small', 1 << 19),\n"
        "                           make('kept', 2 << 20), make('twice', 2 << 20))\n"
        "sparse = open('sparse', 'wb+'); sparse.truncate(2 << 20)\n"
        "os.link('twice', 'other')\n"
        "m = make('mapped', 2 << 20); a = mmap.mmap(m.fileno(), 0); m.close()\n"
        "[os.unlink(n) for n in ('big', 'small', 'twice', 'sparse', 'mapped')]"
    )
    assert facts.deleted_files == (str(tmp_path / "big"), str(tmp_path / "mapped"))
    assert 2 << 20 <= facts.largest_deleted < 3 << 20
    assert facts.expected_bytes > 4 << 20


def test_named_shared_memory_matters_only_outside_of_a_private_ipc_namespace() -> None:
    name = f"/dev/shm/drainer-test-{os.getpid()}"
    code = (
        "import mmap\n"
        f"f = open({name!r}, 'wb+'); f.truncate(4096); m = mmap.mmap(f.fileno(), 0); f.close()"
    )
    try:
        assert facts_of(code).shm_outside == ()
        assert facts_of(code, ipc_mode="shareable").shm_outside == (name,)
        assert facts_of(f"{code}\nos.unlink({name!r})", ipc_mode="host").shm_outside == ()
    finally:
        Path(name).unlink(missing_ok=True)


def test_devices_and_unknown_kinds(tmp_path: Path) -> None:
    node = tmp_path / "kmsg"
    os.mknod(node, 0o600 | 0o020000, os.makedev(1, 11))
    facts = facts_of(
        f"f = os.open({str(node)!r}, os.O_RDONLY)\n"
        "import select; e = select.epoll()\n"
        "v = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)"
    )
    assert facts.devices == (str(node),)
    assert facts.unsupported_files == ("socket:[MPTCP]",)


def test_a_nested_namespace_of_a_real_process() -> None:
    facts = facts_of(
        "import ctypes\nr, w = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    assert ctypes.CDLL(None).unshare(0x44000000) == 0\n"
        "    os.write(w, b'x'); time.sleep(60)\n"
        "os.read(r, 1)"
    )
    assert facts.count == 2
    assert facts.nested_namespaces == ("net", "uts")


def test_a_process_under_a_tracer_is_traced() -> None:
    code = "import ctypes; assert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0"
    assert facts_of(code).traced


def test_what_is_kept_in_a_tmpfs_counts_too(tree: Tree, tmp_path: Path) -> None:
    tree.process(50, 1, smaps_rollup="Rss: 9 kB\nAnonymous: 4 kB\n", status="Seccomp: 0\n")
    groups = tmp_path / "groups"
    group = groups / f"system.slice/docker-{ID}.scope"
    group.mkdir(parents=True)
    (group / "memory.stat").write_text("anon 1000\nshmem 0\n")
    assert process_facts(container(50), Proc(tree.root), groups).expected_bytes == 4096
    (group / "memory.stat").write_text("anon 4000\nshmem 1000\n")
    assert process_facts(container(50), Proc(tree.root), groups).expected_bytes == 5000


def test_without_its_rollup_a_process_is_as_large_as_its_status_says(
    tree: Tree, tmp_path: Path
) -> None:
    status = (
        "Seccomp: 0\nRssAnon:\t 4 kB\nRssFile: 90 kB\nRssShmem: 2 kB\nVmSwap: 1 kB\n"
        "HugetlbPages: 8 kB\n"
    )
    tree.process(50, 1, status=status)
    tree.process(51, 50, status=status, smaps_rollup="Anonymous: 3 kB\n")
    facts = process_facts(container(50), Proc(tree.root), tmp_path / "none")
    assert facts.expected_bytes == 18 * 1024
