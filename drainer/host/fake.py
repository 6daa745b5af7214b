"""A host in memory, to go with `FakeEngine`, for tests and rehearsals."""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import PurePath
from types import MappingProxyType

from drainer.engine.fake import FakeEngine
from drainer.errors import CheckpointInvalidError, ContainerGoneError
from drainer.evidence import FileNote, places
from drainer.host.checksum import checksum
from drainer.model import Container, EngineFacts, HostFacts, ProcessFacts
from drainer.networks import Port
from drainer.storage import FileSystem, Places

FACTS = HostFacts(
    boot_id="00000000-0000-4000-8000-000000000001",
    kernel="6.12.48+deb13-amd64",
    architecture="x86_64",
    cpu_features=("avx2", "pni", "rtm"),
    criu="4.1.1",
    criu_features=("seccomp_filters", "seccomp_suspend"),
    runc="/usr/sbin/runc",
    stand_in="/usr/local/sbin/runc",
)


class FakeHost:
    """Implements `drainer.host.base.Host` over a `FakeEngine`. Set its attributes at will.

    `process_facts` is by container id; a container without an entry has one process and nothing
    remarkable. What drainer did is in `flushed`, `removed` (directories), `statuses` and
    `extensions` (of the unit's time limit). There is one disk, the engine's, unless `other_places`
    says otherwise; without `FakeEngine.disk` nothing is known of it.
    """

    def __init__(self, engine: FakeEngine, facts: HostFacts = FACTS) -> None:
        self.engine = engine
        self.host_facts = facts
        self.addresses = frozenset({"10.0.0.1"})
        self.connections: frozenset[tuple[str, str]] = frozenset()
        """What `tracked` returns."""
        self.process_facts: dict[str, ProcessFacts] = {}
        self.dump_errors: dict[str, str] = {}
        """What CRIU's log tells of a failed checkpoint, by container id."""
        self.layers: dict[str, str] = {}
        """The writable layers that are known, by container id."""
        self.networked: frozenset[str] = frozenset()
        """The sources of mounts that come over a network."""
        self.sees_groups = True
        """Whether control groups can be seen."""
        self.shutdown = ""
        """What `shutting_down` answers."""
        self.flushed: list[str] = []
        self.removed: list[str] = []
        self.statuses: list[str] = []
        self.extensions: list[float] = []
        self.other_places: dict[str, FileSystem] = {}
        """Places that are not on that disk, by the names of the fields of `Places`."""
        self.memory: int | None = None
        """Free bytes of memory."""
        self.ahead: dict[str, dict[str, str]] = {}
        """The checksums that were found in this boot before a resume, by directory."""
        self.ahead_ended = False
        self._lock = threading.Lock()
        self._boots = 1

    def reboot(self) -> None:
        """Boot the host anew: another boot id, and no shutdown in progress."""
        with self._lock:
            self._boots += 1
            self.shutdown = ""
            self.ahead = {}
            self.ahead_ended = False
            boot_id = f"00000000-0000-4000-8000-{self._boots:012d}"
            self.host_facts = replace(self.host_facts, boot_id=boot_id)

    def facts(self) -> HostFacts:
        """Return `host_facts`."""
        return self.host_facts

    def own_addresses(self) -> frozenset[str]:
        """Return `addresses`."""
        return self.addresses

    def tracked(self) -> frozenset[tuple[str, str]]:
        """Return `connections`."""
        return self.connections

    def boot_id(self) -> str:
        """Return that of `host_facts`."""
        return self.host_facts.boot_id

    def processes(self, container: Container) -> ProcessFacts:
        """Return the container's entry in `process_facts`."""
        ordinary = ProcessFacts(
            count=1,
            seccomp_mode=2,
            expected_bytes=1 << 20,
            runtime="runc",
            runtime_root="/run/docker/runtime-runc/moby",
        )
        return self.process_facts.get(container.id, ordinary)

    def kill_frozen(self, container: Container) -> bool:
        """Kill it, where `sees_groups`."""
        return self.sees_groups and self.engine.kill_frozen(container.id)

    def freeze(self, container: Container) -> bool:
        """Freeze it, where `sees_groups`."""
        return self.sees_groups and self.engine.freeze(container.id)

    def lives(self, container: Container) -> bool:
        """Ask the engine."""
        return self.engine.lives(container.id)

    def is_restored(self, container: Container) -> bool:
        """Ask the engine."""
        return self.engine.is_restored(container.id)

    def verify_checkpoint(self, directory: str) -> int:
        """Ask the engine for the checkpoint that Docker keeps in `directory`."""
        container, name = _checkpoint(directory)
        try:
            damaged = self.engine.is_damaged(container, name)
        except (KeyError, ContainerGoneError) as error:
            missing = f"{directory}/inventory.img: there is no such file"
            raise CheckpointInvalidError(missing) from error
        if damaged:
            raise CheckpointInvalidError(f"{directory}/pages-1.img: shorter than its pagemap")
        return self.engine.checkpoint_size(container, name)

    def checksums(
        self,
        directory: str,
        stop: Callable[[], bool],
        known: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, str]:
        """Take the checkpoint for two images."""
        try:
            content = self.engine.checkpoint_content(*_checkpoint(directory))
        except (KeyError, ContainerGoneError) as error:
            raise CheckpointInvalidError(f"{directory}: no directory") from error
        images = {"inventory.img": directory.encode(), "pages-1.img": content}
        return {
            n: known[n] if n in known else "" if stop() else checksum(c) for n, c in images.items()
        }

    def read_ahead(self, directory: str, stop: Callable[[], bool]) -> None:
        """Keep them until the next boot in `ahead`."""
        with self._lock:
            found = self.checksums(directory, stop)
            self.ahead[directory] = {name: checksum for name, checksum in found.items() if checksum}

    def known_checksums(self, directory: str) -> dict[str, str]:
        """Return what is in `ahead`."""
        with self._lock:
            return self.ahead.get(directory, {})

    def end_reading_ahead(self) -> None:
        """Note it."""
        self.ahead_ended = True

    def forget_reading_ahead(self) -> str:
        """Empty `ahead`."""
        there = bool(self.ahead) or self.ahead_ended
        self.ahead.clear()
        self.ahead_ended = False
        return "/run/drainer-ahead" if there else ""

    def ahead_has_ended(self) -> bool:
        """Tell whether it was noted."""
        return self.ahead_ended

    def files_in_use(self, container: Container, limit: int) -> tuple[FileNote, ...]:
        """Ask the engine for the files."""
        return tuple(map(self.look, self.engine.open_files(container.id)))[:limit]

    def look(self, path: str) -> FileNote:
        """Ask the engine."""
        return self.engine.files.look(path)

    def written_places(self, container: Container) -> tuple[str, ...]:
        """Return the container's entry in `layers` and its mounts, but those in `networked`."""
        found = (self.layers.get(container.id, ""), *places(container))
        return tuple(place for place in found if place and place not in self.networked)

    def dump_error(self, container: str, since: float) -> str:  # noqa: ARG002 - never too old
        """Return the container's entry in `dump_errors`."""
        return self.dump_errors.get(container, "")

    def flush(self, directory: str) -> None:
        """Note it in `flushed`."""
        with self._lock:
            self.flushed.append(directory)

    def remove_restore_copy(self, directory: str) -> int:
        """Note it in `removed`, as one copy."""
        with self._lock:
            self.removed.append(directory)
        return 1

    def shutting_down(self) -> str:
        """Return `shutdown`."""
        return self.shutdown

    def port_obstacles(self, ports: Collection[Port]) -> dict[Port, str]:
        """Ask the engine, which cannot have them."""
        taken = self.engine.gone.ports
        return {p: f"{p} of this host is taken by {taken[p]}: free it" for p in ports if p in taken}

    def places(self, engine: EngineFacts, state: str) -> Places:  # noqa: ARG002 - paths say nothing
        """Describe the one disk as it is now, and what is elsewhere."""
        disk = FileSystem("disk", "/", self.engine.free())
        names = ("state", "docker", "temporary", "content")
        found = {name: self.other_places.get(name, disk) for name in names}
        return Places(**found, memory=self.memory)

    def notify(self, status: str, extend: float | None = None) -> None:
        """Note it in `statuses` and `extensions`."""
        with self._lock:
            self.statuses.append(status)
            if extend is not None:
                self.extensions.append(extend)


def _checkpoint(directory: str) -> tuple[str, str]:
    """Take `containers/ID/checkpoints/NAME` (Docker's) or `NAME/ID/images` (runc's) apart."""
    path = PurePath(directory)
    if path.name == "images":
        return path.parent.name, path.parent.parent.name
    return path.parent.parent.name, path.name
