"""containerd's processes: the PATH in which it finds CRIU, and where it leaves copies."""

import contextlib
import os
import re
import shutil
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drainer.host.procfs import Proc, parse_environment

DEFAULT_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What systemd gives to services (systemd.exec(5))."""

DEFAULT_ROOT = "/var/lib/containerd"
DEFAULT_CONFIGURATION = "/etc/containerd/config.toml"
"""containerd's own defaults (containerd defaults/defaults_unix.go)."""

_CONTAINER_ID = re.compile("[0-9a-f]{64}")
_COPY_PREFIX = "ctrd-checkpoint"
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def processes(proc: Proc) -> tuple[int, ...]:
    """Return the host's containerd processes, the oldest pid first.

    A container may run a containerd too, and so choose its environment: those are left out by
    their pid namespace and their control group.
    """
    host = proc.link(1, "ns", "pid")
    return tuple(
        pid
        for pid, process in sorted(proc.processes().items())
        if process.name == "containerd"
        and proc.link(pid, "ns", "pid") == host
        and not _CONTAINER_ID.search(proc.text(pid, "cgroup"))
    )


def environment(proc: Proc, pid: int) -> dict[str, str]:
    """Return the environment with which a process was started."""
    return parse_environment(proc.text(pid, "environ"))


def search_path(proc: Proc) -> str:
    """Return the PATH in which runc, being containerd's child, looks for CRIU."""
    paths = (environment(proc, pid).get("PATH", "") for pid in processes(proc))
    return next(filter(None, paths), DEFAULT_SEARCH_PATH)


def temporary_directory(variables: Mapping[str, str]) -> str:
    """Return where containerd unpacks checkpoints (services/tasks/local.go, Go's os.TempDir)."""
    return variables.get("XDG_RUNTIME_DIR") or variables.get("TMPDIR") or "/tmp"  # noqa: S108 - containerd's choice


@dataclass(frozen=True, slots=True)
class Sight:
    """Where a containerd has its places, as it sees them itself."""

    pid: int
    """Its own, or that of this process where there is none."""
    command: str
    """Its command line, by which another process of that pid would be told."""
    temporary: str
    """The directory in which it unpacks checkpoints."""
    root: str
    """The directory that the content store is in."""


def inside(proc: Proc, pid: int, path: str) -> Path:
    """Return where a path is that a process has, in its own mount namespace."""
    return Path(proc.root, str(pid), "root", path.lstrip("/"))


def sight(proc: Proc) -> Sight:
    """Find containerd's places.

    A root on its command line goes before one in its configuration (containerd
    cmd/containerd/command/main.go).
    """
    pid = next(iter(processes(proc)), None)
    if pid is None:
        own = os.getpid()
        temporary = temporary_directory(environment(proc, own))
        return Sight(own, proc.text(own, "cmdline"), temporary, DEFAULT_ROOT)
    command = proc.text(pid, "cmdline")
    words = command.split("\0")
    configuration = _option(words, "--config", "-c") or DEFAULT_CONFIGURATION
    root = _option(words, "--root") or _configured_root(proc, pid, configuration)
    temporary = temporary_directory(environment(proc, pid))
    return Sight(pid, command, temporary, root or DEFAULT_ROOT)


def _option(words: Sequence[str], *names: str) -> str:
    """Find an option's value, given as the next word or behind `=`."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else following
    return ""


def _configured_root(proc: Proc, pid: int, configuration: str) -> str:
    try:
        with inside(proc, pid, configuration).open("rb") as file:
            root = tomllib.load(file).get("root", "")
    except (OSError, ValueError):
        return ""
    return root if isinstance(root, str) else ""


def remove_copies(proc: Proc, is_copy: Callable[[Path], bool]) -> int:
    """Delete containerd's temporary checkpoints that `is_copy` recognises; return how many.

    Looks with containerd's eyes, as its unit may have a private /tmp. Others can write to /tmp:
    only root's own directories count, and no link is followed on the way to one.
    """
    count = 0
    for pid in processes(proc):
        where = inside(proc, pid, temporary_directory(environment(proc, pid)))
        with contextlib.suppress(OSError):
            parent = os.open(where, _OPEN_DIRECTORY)
            try:
                count += sum(_remove(parent, name) for name in _copies(parent, is_copy))
            finally:
                os.close(parent)
    return count


def _copies(parent: int, is_copy: Callable[[Path], bool]) -> Iterator[str]:
    # Through the open directory, whatever becomes of its path.
    for path in tuple(Path(f"/proc/self/fd/{parent}").glob(f"{_COPY_PREFIX}*")):
        if _is_roots_directory(parent, path.name) and is_copy(path):
            yield path.name


def _is_roots_directory(parent: int, name: str) -> bool:
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == 0


def _remove(parent: int, name: str) -> bool:
    try:
        shutil.rmtree(name, dir_fd=parent)
    except OSError:
        return False
    return True
