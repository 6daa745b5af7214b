"""The host as it is: kernel, CRIU, containerd and systemd."""

import ctypes
import os
import platform
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from drainer.errors import CheckpointInvalidError, DrainerError, StorageError
from drainer.evidence import FileNote
from drainer.host import (
    ahead,
    cgroups,
    containerd,
    cpu,
    criu,
    criu_log,
    disks,
    file_notes,
    images,
    kernels,
    systemd,
)
from drainer.host import ports as port_table
from drainer.host.proc import control_group, process_facts
from drainer.host.procfs import Proc, parse_stat, parse_status
from drainer.host.run import Runner, run
from drainer.model import Container, EngineFacts, HostFacts, ProcessFacts
from drainer.networks import Port
from drainer.runtime import conntrack, link, stand_in
from drainer.storage import Places
from drainer.text import printable

_CGROUP2_MARK = Path("/sys/fs/cgroup/cgroup.controllers")


class LinuxHost:
    """Implements `drainer.host.base.Host`. Keeps only what it would find anew."""

    def __init__(
        self,
        proc: Path = Path("/proc"),
        runner: Runner = run,
        criu_configuration: Path = criu.CONFIGURATION,
        groups: Path = cgroups.CGROUPS,
        ahead_place: Path = ahead.DIRECTORY,
    ) -> None:
        self._proc = Proc(proc)
        self._run = runner
        self._criu_configuration = criu_configuration
        self._cgroups = groups
        self._ahead = ahead_place
        self._sight: containerd.Sight | None = None

    def facts(self) -> HostFacts:
        """Describe kernel and CRIU."""
        search_path = containerd.search_path(self._proc)
        found = criu.probe(search_path, self._run)
        runc, place = stand_in.find(search_path)
        return HostFacts(
            boot_id=self.boot_id(),
            kernel=self._proc.text("sys/kernel/osrelease").strip(),
            architecture=platform.machine(),
            cgroup_version=2 if _CGROUP2_MARK.exists() else 1,
            cpu_features=cpu.features(self._proc.text("cpuinfo")),
            criu=found.version,
            criu_package=found.package,
            criu_problem=found.problem,
            criu_features=found.features,
            criu_options=criu.options(self._criu_configuration),
            runc=runc,
            next_kernel=kernels.newest(),
            stand_in=place,
        )

    def own_addresses(self) -> frozenset[str]:
        """Ask the kernel."""
        with suppress(OSError):
            return link.own_addresses()
        return frozenset()

    def tracked(self) -> frozenset[tuple[str, str]]:
        """Ask the kernel's table of connections."""
        with suppress(OSError):
            return conntrack.tracked()
        return frozenset()

    def boot_id(self) -> str:
        """Ask the kernel."""
        return self._proc.text("sys/kernel/random/boot_id").strip()

    def processes(self, container: Container) -> ProcessFacts:
        """Look at a running container's processes."""
        return process_facts(container, self._proc, self._cgroups)

    def kill_frozen(self, container: Container) -> bool:
        """Kill a control group."""
        group = control_group(self._proc.text(container.pid, "cgroup"), container.id)
        killed = cgroups.kill_frozen(group, self._cgroups)
        if killed is False:
            raise DrainerError("it is not frozen, although Docker says that it is paused")
        return bool(killed)

    def freeze(self, container: Container) -> bool:
        """Freeze a control group, unless CRIU holds a process of it."""
        group = control_group(self._proc.text(container.pid, "cgroup"), container.id)
        for pid in cgroups.processes(group, self._cgroups):
            status = parse_status(self._proc.text(pid, "status"))
            if status.get("TracerPid", "0") != "0":
                return False
        return cgroups.freeze(group, self._cgroups)

    def lives(self, container: Container) -> bool:
        """Look for its first process, and whether that pid is another's by now."""
        if not container.pid:
            return True
        try:
            (self._proc.root / str(container.pid)).lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        groups = self._proc.text(container.pid, "cgroup")
        if not groups or control_group(groups, container.id):
            return True
        # It may have moved itself into another group; its shim names the container.
        stat = self._proc.text(container.pid, "stat")
        parent = self._proc.text(parse_stat(stat).parent, "cmdline") if stat else container.id
        return container.id in parent

    def is_restored(self, container: Container) -> bool:
        """Compare time namespaces."""
        own = self._proc.link(container.pid, "ns", "time") if container.pid else ""
        hosts = self._proc.link(1, "ns", "time")
        return bool(own and hosts) and own != hosts

    def verify_checkpoint(self, directory: str) -> int:
        """Check CRIU's images."""
        return images.verify(Path(directory))

    def checksums(
        self,
        directory: str,
        stop: Callable[[], bool],
        known: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, str]:
        """Read CRIU's images."""
        return images.checksums(Path(directory), stop, known)

    def read_ahead(self, directory: str, stop: Callable[[], bool]) -> None:
        """Keep them in /run."""
        images_there = Path(directory)
        try:
            ahead.read(
                images_there,
                images.names(images_there),
                lambda: images.checksums(images_there, stop),
                self._ahead,
            )
        except OSError as error:
            raise StorageError(f"{printable(directory)}: {error.strerror}") from error

    def known_checksums(self, directory: str) -> dict[str, str]:
        """Look there."""
        return ahead.known(Path(directory), self._ahead)

    def end_reading_ahead(self) -> None:
        """Leave a mark there."""
        ahead.end(self._ahead)

    def forget_reading_ahead(self) -> str:
        """Remove the directory."""
        return ahead.forget(self._ahead)

    def ahead_has_ended(self) -> bool:
        """Look for it."""
        return ahead.ended(self._ahead)

    def files_in_use(self, container: Container, limit: int) -> tuple[FileNote, ...]:
        """Look at what a paused container's processes have open and mapped."""
        return file_notes.files_in_use(container, limit, self._proc, self._cgroups)

    def look(self, path: str) -> FileNote:
        """Look at one file."""
        return file_notes.look(path)

    def written_places(self, container: Container) -> tuple[str, ...]:
        """Ask the mounts of its first process."""
        return file_notes.written_places(container, self._proc)

    def dump_error(self, container: str, since: float) -> str:
        """Read CRIU's log."""
        return criu_log.dump_error(container, since)

    def flush(self, directory: str) -> None:
        """Flush a file system by its directory, or by the next one above that can be opened.

        Not all of them in its stead: one over a network could hang. Raises `CheckpointInvalidError`
        when the disk did not take it.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        fd = _open_directory(Path(directory))
        try:
            if libc.syncfs(fd) != 0:
                problem = os.strerror(ctypes.get_errno())
                raise CheckpointInvalidError(
                    f"{printable(directory)}: cannot be flushed: {problem}"
                )
        finally:
            os.close(fd)

    def remove_restore_copy(self, directory: str) -> int:
        """Delete containerd's copies of the images in `directory`."""
        return containerd.remove_copies(
            self._proc, lambda copy: images.same_images(copy, Path(directory))
        )

    def shutting_down(self) -> str:
        """Ask systemd."""
        return systemd.shutting_down(self._run)

    def port_obstacles(self, ports: Collection[Port]) -> dict[Port, str]:
        """Try to bind them."""
        return port_table.obstacles(ports, self._proc)

    def places(self, engine: EngineFacts, state: str) -> Places:
        """Ask the file systems."""
        seen = self._sight
        if seen is None or self._proc.text(seen.pid, "cmdline") != seen.command:
            seen = containerd.sight(self._proc)
            # Where there is none, or none any more, there may be one the next time.
            known = seen.command and seen.pid != os.getpid()
            self._sight = seen if known else None
        return disks.places(self._proc, engine, Path(state), seen)

    def notify(self, status: str, extend: float | None = None) -> None:
        """Tell systemd."""
        systemd.notify(status, extend=extend)


def _open_directory(path: Path) -> int:
    for directory in (path, *path.parents):
        with suppress(OSError):
            return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    raise CheckpointInvalidError(f"{printable(str(path))}: no directory above it can be opened")
