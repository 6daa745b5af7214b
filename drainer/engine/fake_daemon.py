"""The daemon behind the fake engine: how containers start, die and come back at boot.

Not safe for threads; `drainer.engine.fake` guards it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from drainer.engine.fake_files import FakeFiles
from drainer.engine.fake_gone import Gone
from drainer.engine.fake_network import FakeNetworks, given_back
from drainer.errors import ContainerGoneError, EngineError
from drainer.labels import LABEL_PLACEHOLDER
from drainer.model import Container, EngineFacts
from drainer.networks import Address

_CHECKPOINT_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_POWER_LOST = 255
_START_FAILED = 128


@dataclass(slots=True)
class FakeCheckpoint:
    """What a checkpoint holds of a container."""

    memory: int
    layer: int
    size: int
    damaged: bool = False
    used: bool = False
    """Whether a restore was let go, however it ended."""
    rotten: bool = False
    """Whether its content has changed, and its structure and size have not."""
    files: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """The files that it has to find as they were."""


@dataclass(slots=True)
class Box:
    """A container, and what docker inspect does not tell of it."""

    container: Container
    checkpoint_size: int
    memory: int = 0
    layer: int = 0
    """Generation of the file system: another one whenever the container has run."""
    restored: bool = False
    token: str = ""
    """What the container has chosen at its last cold start."""
    printed: str = ""
    """The last line of its log."""
    files: tuple[str, ...] = ()
    """Paths on the host of the files that it has open, and writes to whenever it runs."""
    stopped_by_hand: bool = False
    """Docker's HasBeenManuallyStopped."""
    checkpoints: dict[str, FakeCheckpoint] = field(default_factory=dict)
    """Docker's."""
    dumps: dict[str, FakeCheckpoint] = field(default_factory=dict)
    """Those that runc made."""
    order: str = ""
    """The dump that the next start restores, if the stand-in is in place."""
    reached: bool = False
    """Whether the stand-in was reached for the last order."""
    ghost: bool = False
    """Whether its processes are gone without Docker's knowledge."""

    thawed: bool = False
    """Whether it runs, while Docker takes it for paused."""

    def set(self, **fields: Any) -> None:  # noqa: ANN401 - any field of Container
        """Replace fields of the container."""
        self.container = replace(self.container, **fields)

    def require_running(self) -> None:
        """Raise Docker's refusal when the container is down."""
        if not self.container.running:
            raise EngineError(f"container {self.container.id} is not running")

    def require_task(self) -> None:
        """Raise what containerd tells Docker of a container that only Docker takes for running."""
        if self.ghost:
            raise EngineError(f"NotFound: task {self.container.id} not found")


class FakeDaemon:
    """Containers in memory, with the behaviour of dockerd."""

    def __init__(self, facts: EngineFacts) -> None:
        """Start without containers."""
        self.facts = facts
        self.boxes: dict[str, Box] = {}
        self.violations: list[str] = []
        self.files = FakeFiles()
        self.disk: int | None = None
        """Bytes that checkpoints may take; None when there is no end to them."""
        self.stand_in = False
        """Whether drainer's stand-in takes the calls that are meant for runc."""
        self.gone = Gone()
        self.networks = FakeNetworks()
        self._moments = 0
        self._pids = 1000

    def add(self, container: Container, *, memory: int, checkpoint_size: int) -> Box:
        """Put a container there; one that runs is given a pid and a start time if it has none."""
        box = Box(container, checkpoint_size, memory=memory)
        self.boxes[container.id] = box
        self.networks.learn(container.addresses)
        box.set(networks=self.networks.members(container.addresses))
        if container.running:
            box.set(
                pid=container.pid or self._next_pid(),
                started_at=container.started_at or self._now(),
            )
        return box

    def find(self, reference: str) -> Box:
        """Return a container by id or name."""
        wanted = reference.removeprefix("/")
        for box in self.boxes.values():
            if wanted in {box.container.id, box.container.name}:
                return box
        raise ContainerGoneError(f"No such container: {reference}")

    def free(self) -> int | None:
        """Return how many bytes checkpoints may still take, if there is an end to them."""
        if self.disk is None:
            return None
        kinds = (kind for box in self.boxes.values() for kind in (box.dumps, box.checkpoints))
        return max(0, self.disk - sum(c.size for kind in kinds for c in kind.values()))

    def dump(self, reference: str, name: str) -> None:
        """Checkpoint a container by runc and leave it as it is."""
        box = self.find(reference)
        box.require_running()
        free = self.free()
        if free is not None and free < box.checkpoint_size:
            # As CRIU leaves it: what it could still write stays there.
            box.dumps[name] = FakeCheckpoint(box.memory, box.layer, free, damaged=True)
            raise EngineError("No space left on device")
        box.dumps[name] = self._checkpoint(box)

    def checkpoint(self, reference: str, name: str) -> None:
        """Checkpoint a container and leave it as it is (moby daemon/checkpoint.go)."""
        box = self.find(reference)
        box.require_running()
        if box.container.restarting:
            raise EngineError(
                f"container {box.container.id} is in Running state but has no containerd Task set"
            )
        if not _CHECKPOINT_NAME.fullmatch(name):
            raise EngineError(
                f"Invalid checkpoint ID ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )
        if name in box.checkpoints:
            raise EngineError(
                f"cannot checkpoint container {reference}: checkpoint with name {name}"
                f" already exists for container {reference}"
            )
        free = self.free()
        if free is not None and free < box.checkpoint_size:
            raise EngineError("write checkpoint: no space left on device")
        box.checkpoints[name] = self._checkpoint(box)

    def _checkpoint(self, box: Box) -> FakeCheckpoint:
        files = self.files.state(box.files)
        made = FakeCheckpoint(box.memory, box.layer, box.checkpoint_size, files=files)
        if not box.container.paused:
            self.run(box)
        return made

    def run(self, box: Box, times: int = 1) -> None:
        """Let a container's program run: whatever it has on disk is another one from then on."""
        box.layer += times
        for path in box.files:
            self.files.write(path, restored=box.restored)

    def start(self, box: Box, checkpoint: str = "") -> None:
        """Start a container as moby daemon/start.go does; running already is no error."""
        container = box.container
        if container.paused:
            raise EngineError("cannot start a paused container, try unpause instead")
        if container.running:
            return
        if container.dead:
            raise EngineError("container is marked for removal and cannot be started")
        try:
            self._join(container)
            self.gone.require(container)
            self.networks.require(container.networks)
            addresses = self.networks.allot(container.addresses, self._taken())
            box.stopped_by_hand = False
            known = box.checkpoints if checkpoint else box.dumps
            checkpoint = checkpoint or self._ordered(box)
            memory = self._restore(box, known, checkpoint) if checkpoint else 0
        except EngineError as error:
            box.set(error=error.message, exit_code=container.exit_code or _START_FAILED)
            if container.auto_remove:
                del self.boxes[container.id]
            raise
        box.memory = memory
        box.restored = bool(checkpoint)
        self.run(box)
        if not checkpoint:
            box.token = f"token-{self._moments}"
        box.set(
            running=True,
            restarting=False,
            pid=self._next_pid(),
            started_at=self._now(),
            exit_code=0,
            restart_count=0,
            error="",
            addresses=addresses,
            networks=self.networks.members(addresses),
        )

    def die(self, box: Box, exit_code: int) -> None:
        """Let a container's processes end. One with `--rm` goes, and its checkpoints with it."""
        box.memory = 0
        box.restored = False
        box.ghost = False
        box.thawed = False
        box.set(
            running=False,
            paused=False,
            restarting=False,
            pid=0,
            exec_sessions=0,
            exit_code=exit_code,
            finished_at=self._now(),
            addresses=given_back(box.container.addresses),
        )
        if box.container.auto_remove:
            del self.boxes[box.container.id]

    def stop_all(self, exit_code: int, exit_codes: Mapping[str, int]) -> None:
        """Shut dockerd down: nothing counts as stopped by hand (moby daemon/kill.go)."""
        for box in self._running():
            self._stop(box, exit_codes.get(box.container.name, exit_code))

    def stop_by_hand(self, box: Box, exit_code: int) -> None:
        """Do what `docker stop` does to a container; down already is no error."""
        if box.container.running:
            box.stopped_by_hand = True
            self._stop(box, exit_code)

    def _stop(self, box: Box, exit_code: int) -> None:
        # Told to stop, and thawed to do so: its program has run on (moby daemon/kill.go).
        if not box.ghost:
            self.run(box)
        self.die(box, exit_code)

    def lose_all(self) -> None:
        """Cut the power. At boot dockerd finds no task, and calls that an exit with 255."""
        for box in self._running():
            self.die(box, _POWER_LOST)

    def forget_orders(self) -> None:
        """Forget what /run held; a stand-in that is left finds nothing there and goes away."""
        self.stand_in = False
        for box in self.boxes.values():
            box.order = ""
            box.reached = False

    def debris(self) -> frozenset[tuple[str, str]]:
        """Return what drainer has left: each container with a checkpoint's name, or with none."""
        found = {("", "")} if self.stand_in else set()
        for box in self.boxes.values():
            found |= {(box.container.id, name) for name in (*box.checkpoints, *box.dumps)}
            if box.order or LABEL_PLACEHOLDER in box.container.labels:
                found.add((box.container.id, ""))
        return frozenset(found)

    def boot(self) -> None:
        """Start what the restart policies want, cold (moby daemon/daemon.go restore).

        A container waits for one that it joins or links to only if that one is to start too.
        """
        candidates = [box for box in self.boxes.values() if _starts_at_boot(box)]
        for box in candidates:
            self._start_after(box, candidates, ())

    def _start_after(self, box: Box, candidates: Iterable[Box], waiting: tuple[str, ...]) -> None:
        if box.container.id in waiting or box.container.running:
            return
        for other in candidates:
            if {other.container.id, other.container.name} & _needs(box.container):
                self._start_after(other, candidates, (*waiting, box.container.id))
        try:
            self.start(box)
        except EngineError:
            return

    def _taken(self) -> tuple[Address, ...]:
        return tuple(address for box in self._running() for address in box.container.addresses)

    def _running(self) -> tuple[Box, ...]:
        return tuple(box for box in self.boxes.values() if box.container.running)

    def _join(self, container: Container) -> None:
        """Raise what Docker says when a container joins one that does not run."""
        modes = (
            ("network", container.network_mode),
            ("IPC", container.ipc_mode),
            ("PID", container.pid_mode),
        )
        for kind, mode in modes:
            scheme, _, reference = mode.partition(":")
            if scheme == "container":
                provider = self._other(reference)
                if not provider.running:
                    raise EngineError(f"cannot join {kind} of a non running container: {reference}")
                if provider.restarting:
                    raise EngineError(
                        f"Container {reference} is restarting, wait until the container is running"
                    )
        for name in container.links:
            if not self._other(name).running:
                raise EngineError(
                    f"Cannot link to a non running container: /{name} AS /{container.name}/{name}"
                )

    def _other(self, reference: str) -> Container:
        try:
            return self.find(reference).container
        except ContainerGoneError as error:
            raise EngineError(error.message) from error

    def _ordered(self, box: Box) -> str:
        """Return the dump that is to be restored, if any; it is asked for no second time."""
        if box.order and not self.stand_in:
            raise EngineError("runc create failed: container with given ID already exists")
        name, box.order = box.order, ""
        box.reached = bool(name)
        return name

    def _restore(self, box: Box, known: Mapping[str, FakeCheckpoint], name: str) -> int:
        """Return the memory of a checkpoint, and note what a restore from it would break."""
        owner = box.container.name
        checkpoint = known.get(name)
        if checkpoint is None:
            raise EngineError(f"checkpoint {name} does not exist for container /{owner}")
        if checkpoint.used:
            self.violations.append(f"{owner} was restored from checkpoint {name} a second time")
        checkpoint.used = True
        if checkpoint.damaged:
            raise EngineError("OCI runtime restore failed: criu failed: type NOTIFY errno 0")
        if checkpoint.layer != box.layer:
            self.violations.append(
                f"{owner} was restored from checkpoint {name}, but has run since it was made"
            )
        if checkpoint.rotten:
            self.violations.append(f"{owner} was restored from checkpoint {name}, which has rotted")
        self.violations += [
            f"{owner} was restored from checkpoint {name} over {path}, which has changed since"
            for path in self.files.changed(checkpoint.files)
        ]
        return checkpoint.memory

    def _now(self) -> str:
        self._moments += 1
        return (_EPOCH + timedelta(seconds=self._moments)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _next_pid(self) -> int:
        self._pids += 1
        return self._pids


def _needs(container: Container) -> set[str]:
    """Return the names and ids for which dockerd makes a container wait at boot."""
    scheme, _, provider = container.network_mode.partition(":")
    return {*container.links, *([provider] if scheme == "container" else [])}


def _starts_at_boot(box: Box) -> bool:
    """Tell whether the restart policy starts a container at boot (moby restartmanager)."""
    container = box.container
    if container.running or not container.started_at:
        return False
    if container.restart_policy.name == "unless-stopped" and box.stopped_by_hand:
        return False
    return container.restart_policy.starts_at_boot(container.exit_code, container.restart_count)
