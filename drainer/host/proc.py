"""What /proc tells of one container's processes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from drainer.host import cgroups, proc_files, proc_sockets
from drainer.host.proc_files import UsedFile
from drainer.host.procfs import (
    MountPoint,
    Proc,
    Stat,
    parse_cgroup,
    parse_mountinfo,
    parse_status,
)
from drainer.model import Container, ProcessFacts
from drainer.runtime import bundle

_NAMESPACES = ("cgroup", "ipc", "net", "pid", "time", "user", "uts")
"""Not `mnt`: CRIU dumps a mount namespace made inside of the container."""

_SIZES = ("Anonymous", "Swap", "Pss_Shmem", "Private_Hugetlb", "Shared_Hugetlb")
"""CRIU dumps pages that are shared until one of several processes writes to them for each of these
(criu mem.c), but shared memory only once (criu shmem.c)."""
_RESIDENT = ("RssAnon", "RssShmem", "VmSwap", "HugetlbPages")
"""The same in /proc/PID/status, where shared memory counts for each process that has it."""
_REMOTE_KINDS = ("9p", "afs", "ceph", "cifs", "fuse", "glusterfs", "nfs", "smb3")
_ODD_KINDS = ("autofs", "bpf", "configfs", "debugfs", "overlay", "securityfs", "tracefs")
_DOCKERS_OWN = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/sbin/docker-init")
"""Bind mounts that docker inspect does not list (moby container/container_unix.go)."""


MOST_THREADS = 1000
"""Of a container, that are asked for their children."""


def process_facts(
    container: Container, proc: Proc | None = None, groups: Path = cgroups.CGROUPS
) -> ProcessFacts:
    """Look at the processes of a running container. All facts are empty when it is not there."""
    proc = proc or Proc()
    pids = members(proc, container, groups)
    if not pids:
        return ProcessFacts()
    statuses = [parse_status(proc.text(pid, "status")) for pid in pids]
    files = [file for pid in pids for file in proc_files.used_files(proc, pid)]
    mounts = [
        mount
        for pid in distinct(proc, pids, "mnt")
        for mount in parse_mountinfo(proc.text(pid, "mountinfo"))
    ]
    remote = {m.path for m in mounts if m.path != "/" and _is_kind(m.kind, _REMOTE_KINDS)}
    sockets = proc_files.socket_inodes(files)
    networks = distinct(proc, pids, "net")
    deleted = proc_files.deleted_sizes(files, remote)
    tcp = [
        peer
        for pid in networks
        for table in ("tcp", "tcp6")
        for peer in proc_sockets.tcp_peers(proc.text(pid, "net", table), sockets)
    ]
    own_shm = container.ipc_mode in {"private", "none"}
    runtime = bundle.options(container.id)
    return ProcessFacts(
        count=len(pids),
        seccomp_mode=max(int(s.get("Seccomp", "0")) for s in statuses),
        expected_bytes=_expected_bytes(container, proc, pids, groups) + sum(deleted),
        tcp_established=len(tcp),
        tcp_peers=tuple(sorted(set(tcp))),
        unix_outside=_unix_outside(proc, networks, files),
        file_locks=proc_files.locks(files),
        traced=any(s.get("TracerPid", "0") != "0" for s in statuses),
        unsupported_files=proc_files.unsupported(files),
        devices=proc_files.devices(files, remote),
        nested_namespaces=nested(proc, pids),
        inner_mounts=inner_mounts(mounts, {m.destination for m in container.mounts}),
        deleted_files=proc_files.large_deleted(files, remote),
        largest_deleted=max(deleted, default=0),
        shm_outside=() if own_shm else proc_files.shared_memory(files),
        no_new_privileges=any(s.get("NoNewPrivs", "0") != "0" for s in statuses),
        linked_sources=tuple(
            m.source for m in container.mounts if m.kind == "bind" and Path(m.source).is_symlink()
        ),
        runtime=runtime.binary,
        runtime_root=runtime.root,
    )


def _expected_bytes(container: Container, proc: Proc, pids: Iterable[int], groups: Path) -> int:
    mapped = sum(
        memory(proc.text(pid, "smaps_rollup")) or memory(proc.text(pid, "status"), _RESIDENT)
        for pid in pids
    )
    own = control_group(proc.text(container.pid, "cgroup"), container.id)
    return max(mapped, cgroups.memory(own, groups))


def members(proc: Proc, container: Container, groups: Path = cgroups.CGROUPS) -> tuple[int, ...]:
    """Return the host pids of a container's processes, the first process first.

    That is the tree below the first process, which is what CRIU dumps; it holds processes in
    nested pid namespaces and lacks those of `docker exec`, among them health checks, which would
    only make the facts flicker. In a pid namespace that is not the container's own, orphans
    leave the tree, so there its control group counts too.
    """
    group = control_group(proc.text(container.pid, "cgroup"), container.id)
    processes = _near(proc, cgroups.processes(group, groups), container.pid)
    if container.pid not in processes:
        return ()
    found = descendants(processes, container.pid)
    if container.pid_mode and group:
        found |= {
            pid
            for pid in processes
            if control_group(proc.text(pid, "cgroup"), container.id) == group
        }
    return (container.pid, *sorted(found - {container.pid}))


def _near(proc: Proc, group: set[int], first: int) -> Mapping[int, Stat]:
    """Return the processes of a control group and their children, wherever those are.

    All processes of the host, which take long to read, if the group does not hold the `first`, or
    so many threads that to ask each for its children takes longer.
    """
    if first not in group:
        return proc.processes()
    found: dict[int, Stat] = {}
    waiting = [*group]
    asked = 0
    while waiting:
        pid = waiting.pop()
        if pid not in found and (stat := proc.stat(pid)):
            found[pid] = stat
            threads = proc.names(pid, "task")
            asked += len(threads)
            if asked > MOST_THREADS:
                return proc.processes()
            waiting += proc.children(pid, threads)
    return found


def descendants(processes: Mapping[int, Stat], first: int) -> set[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for pid, process in processes.items():
        children.setdefault(process.parent, []).append(pid)
    found: set[int] = set()
    waiting = [first]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def control_group(text: str, container: str) -> str:
    """Return the container's own path in /proc/PID/cgroup, without groups made inside of it.

    Docker puts the id into the last part: `docker-<id>.scope` or `docker/<id>`. Empty when the
    process is in no such group.
    """
    for path in parse_cgroup(text):
        before, found, after = path.partition(container) if container else ("", "", "")
        if found:
            return before + found + after.partition("/")[0]
    return ""


def distinct(proc: Proc, pids: Iterable[int], kind: str) -> tuple[int, ...]:
    """Return one process for each namespace of a kind that the processes are in."""
    found: dict[str, int] = {}
    for pid in pids:
        if link := proc.link(pid, "ns", kind):
            found.setdefault(link, pid)
    return tuple(found.values())


def nested(proc: Proc, pids: Iterable[int]) -> tuple[str, ...]:
    """Name the kinds of namespace that the processes do not all share."""
    pids = tuple(pids)
    return tuple(kind for kind in _NAMESPACES if len(distinct(proc, pids, kind)) > 1)


def memory(text: str, keys: Iterable[str] = _SIZES) -> int:
    """Return the bytes that CRIU would dump, from /proc/PID/smaps_rollup or other `keys`."""
    values = parse_status(text)
    return sum(int(values.get(key, "0 kB").split()[0]) for key in keys) * 1024


def inner_mounts(mounts: Iterable[MountPoint], given: Iterable[str]) -> tuple[str, ...]:
    """Name the mount points that CRIU cannot restore.

    What is mounted at one of the destinations `given` is Docker's to mount again.
    """
    expected = {"/", *_DOCKERS_OWN, *given}
    odd = _REMOTE_KINDS + _ODD_KINDS
    return tuple(sorted({m.path for m in mounts if _is_kind(m.kind, odd)} - expected))


def _is_kind(kind: str, kinds: Iterable[str]) -> bool:
    """Compare, with `fuse` for `fuse.sshfs` and `nfs` for `nfs4`, but not for `fusectl`."""
    base = kind.partition(".")[0]
    return base in kinds or base.rstrip("0123456789") in kinds or base == "fuseblk"


def _unix_outside(
    proc: Proc, networks: Iterable[int], files: Sequence[UsedFile]
) -> tuple[str, ...]:
    tables = [proc_sockets.unix_sockets(proc.root / f"{pid}/ns/net") for pid in networks]
    known = [s for table in tables if table is not None for s in table]
    if None in tables:
        return ()
    sockets = proc_files.socket_inodes(files)
    found = proc_sockets.outside(known, sockets)
    # The accepted end of a connection is in the network namespace of the connecting end
    # (net/unix/af_unix.c unix_stream_connect): what is open here and in no table of ours was
    # connected from elsewhere.
    foreign = proc_files.unix_inodes(files) - {s.inode for s in known}
    if foreign:
        hosts = proc_sockets.unix_names(proc.text(1, "net", "unix"))
        found |= {inode: hosts.get(inode, "") for inode in foreign}
    return tuple(sorted({name or "(unnamed)" for name in found.values()}))
