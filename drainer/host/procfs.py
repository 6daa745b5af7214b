"""Reading /proc: the formats as pure functions, and reading that bears vanishing processes."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Stat:
    """One process in /proc/PID/stat. `name` is chosen by the process itself."""

    name: str
    state: str
    parent: int


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One line of /proc/PID/mountinfo."""

    device: str
    """`major:minor`."""
    path: str
    kind: str
    layer: str = ""
    """The writable directory of an overlay, where it is named by a full path."""
    read_only: bool = False
    """Whether nothing can be written through this mount."""


@dataclass(frozen=True, slots=True)
class MappedFile:
    """One line of /proc/PID/maps that has a name. `range` is the name in /proc/PID/map_files."""

    range: str
    path: str


def parse_stat(text: str) -> Stat:
    """Parse /proc/PID/stat. The name may hold spaces and parentheses: the last `)` ends it."""
    name, _, rest = text.partition("(")[2].rpartition(")")
    state, parent = rest.split()[:2]
    return Stat(name, state, int(parent))


def parse_status(text: str) -> dict[str, str]:
    """Parse `Key: value` lines, as in /proc/PID/status and /proc/PID/smaps_rollup."""
    pairs = (line.partition(":") for line in text.split("\n"))
    return {key: value.strip() for key, colon, value in pairs if colon}


def parse_boot_moment(text: str) -> float | None:
    """Find in /proc/stat when the kernel started, in seconds since the epoch by today's clock."""
    for line in text.split("\n"):
        match line.split():
            case ["btime", moment] if moment.isdecimal():
                return float(moment)
    return None


def parse_mountinfo(text: str) -> tuple[MountPoint, ...]:
    """Parse /proc/PID/mountinfo (proc_pid_mountinfo(5))."""
    found = []
    for line in text.split("\n"):
        left, _, right = line.partition(" - ")
        match left.split(" "), right.split(" "):
            case [_, _, device, _, path, options, *_], [kind, *_]:
                layer = _upper(right) if kind == "overlay" else ""
                read_only = "ro" in options.split(",")
                found.append(MountPoint(device, unescape(path), kind, layer, read_only))
    return tuple(found)


def _upper(text: str) -> str:
    """Read `upperdir` from a file system's options, which are after its kind and source.

    Docker's paths are relative where there are so many layers that the options would be too long
    (moby daemon/graphdriver/overlay2/overlay.go).
    """
    for option in text.rpartition(" ")[2].split(","):
        key, _, value = option.partition("=")
        if key == "upperdir" and value.startswith("/"):
            return unescape(value)
    return ""


def parse_maps(text: str) -> tuple[MappedFile, ...]:
    """Parse /proc/PID/maps; of mappings with the same name the first stands for all."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        match line.split(None, 5):
            case [where, _, _, _, _, name]:
                found.setdefault(unescape(name), where)
    return tuple(MappedFile(where, name) for name, where in found.items())


def parse_cgroup(text: str) -> tuple[str, ...]:
    """Parse /proc/PID/cgroup into the paths, one for each hierarchy."""
    fields = (line.split(":", 2) for line in text.split("\n"))
    return tuple(field[-1] for field in fields if len(field) == len(("id", "controllers", "path")))


def parse_environment(text: str) -> dict[str, str]:
    """Parse /proc/PID/environ."""
    pairs = (entry.partition("=") for entry in text.split("\0"))
    return {key: value for key, equals, value in pairs if equals}


def unescape(name: str) -> str:
    """Undo the octal escapes that the kernel puts into names (fs/seq_file.c mangle_path)."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        name = name.replace(code, character)
    return name


@dataclass(frozen=True, slots=True)
class Proc:
    """A /proc. Whatever vanished reads as empty."""

    root: Path = PROC

    def text(self, *parts: str | int) -> str:
        """Read a file as text; undecodable bytes are escaped."""
        try:
            data = self.root.joinpath(*map(str, parts)).read_bytes()
        except OSError:
            return ""
        return data.decode("utf-8", "backslashreplace")

    def link(self, *parts: str | int) -> str:
        """Read a link's target; undecodable bytes are escaped."""
        try:
            target = self.root.joinpath(*map(str, parts)).readlink()
        except OSError:
            return ""
        return os.fsencode(target).decode("utf-8", "backslashreplace")

    def names(self, *parts: str | int) -> tuple[str, ...]:
        """List a directory."""
        try:
            return tuple(path.name for path in self.root.joinpath(*map(str, parts)).iterdir())
        except OSError:
            return ()

    def children(self, pid: int, threads: Iterable[str]) -> tuple[int, ...]:
        """List the children of a process's threads, zombies too (proc_pid_tid_children(5)).

        While they run, some may be missing.
        """
        texts = (self.text(pid, "task", thread, "children") for thread in threads)
        return tuple(int(child) for text in texts for child in text.split())

    def stat(self, pid: int) -> Stat | None:
        """Read what a process is; None if it is not there."""
        text = self.text(pid, "stat")
        return parse_stat(text) if text else None

    def processes(self) -> Mapping[int, Stat]:
        """List all processes by pid."""
        return dict(self._stats())

    def _stats(self) -> Iterator[tuple[int, Stat]]:
        for name in self.names():
            if name.isdigit() and (found := self.stat(int(name))):
                yield int(name), found
