"""What tests see and do of the fake engine's checkpoints, as nobody can with Docker's."""

import threading
from collections.abc import Collection

from drainer.engine.fake_daemon import FakeCheckpoint
from drainer.engine.fake_requests import FakeRequests
from drainer.errors import DrainerError


class FakeCheckpoints(FakeRequests):
    """A part of `FakeEngine`. A checkpoint is Docker's or, of the same name, one of runc's."""

    _lock: threading.RLock
    deaf: bool = False
    """While true, Docker does not learn that a container was killed past it."""

    def let_run(self, container: str) -> None:
        """Let a paused container run without Docker's knowledge, as a killed CRIU does."""
        with self._lock:
            box = self._daemon.find(container)
            box.thawed = True
            self._daemon.run(box)

    def is_thawed(self, container: str) -> bool:
        """Tell whether a container runs without Docker's knowledge."""
        with self._lock:
            return self._daemon.find(container).thawed

    def freeze(self, container: str) -> bool:
        """Freeze a container again that runs without Docker's knowledge."""
        with self._lock:
            self._daemon.find(container).thawed = False
        return True

    def kill_frozen(self, container: str) -> bool:
        """Kill a paused container with all its processes at once, past Docker."""
        with self._lock:
            box = self._daemon.find(container)
            if not box.container.paused or box.thawed:
                raise DrainerError("it is not frozen, although Docker says that it is paused")
            if self.deaf:
                box.ghost = True
                box.memory = 0
            else:
                self._daemon.die(box, 137)
            return True

    def lives(self, container: str) -> bool:
        """Tell whether a container has processes, whatever Docker takes it for."""
        with self._lock:
            box = self._daemon.find(container)
            return box.container.running and not box.ghost

    def stop_in_order(self, container: str, timeout: float) -> None:  # noqa: ARG002 - takes none
        """Stop a container as its owner would."""
        with self._call("stop_in_order", container):
            box = self._daemon.find(container)
            box.require_task()
            self._daemon.stop_by_hand(box, 143)

    @property
    def disk(self) -> int | None:
        """The size of the disk that takes checkpoints, in bytes; None when it is endless."""
        return self._daemon.disk

    @disk.setter
    def disk(self, size: int | None) -> None:
        with self._lock:
            self._daemon.disk = size

    def free(self) -> int | None:
        """Return how many bytes are free on it."""
        with self._lock:
            return self._daemon.free()

    def checkpoint_size(self, container: str, name: str) -> int:
        """Return a checkpoint's size in bytes. Raises KeyError when there is none."""
        with self._lock:
            return self._checkpoint(container, name).size

    def damage_checkpoint(self, container: str, name: str) -> None:
        """Damage a checkpoint; where there is none, leave an unfinished one."""
        with self._lock:
            box = self._daemon.find(container)
            unfinished = FakeCheckpoint(box.memory, box.layer, 0)
            known = box.dumps if name in box.dumps else box.checkpoints
            known.setdefault(name, unfinished).damaged = True

    def rot_checkpoint(self, container: str, name: str) -> None:
        """Change the content of a checkpoint, and nothing else of it."""
        with self._lock:
            self._checkpoint(container, name).rotten = True

    def checkpoint_content(self, container: str, name: str) -> bytes:
        """Return what stands for a checkpoint's content. Raises KeyError when there is none."""
        with self._lock:
            found = self._checkpoint(container, name)
            return f"{found.memory} {found.layer} {found.rotten}".encode()

    def is_damaged(self, container: str, name: str) -> bool:
        """Tell whether a checkpoint is damaged. Raises KeyError when there is none."""
        with self._lock:
            return self._checkpoint(container, name).damaged

    def _checkpoint(self, container: str, name: str) -> FakeCheckpoint:
        box = self._daemon.find(container)
        return box.dumps[name] if name in box.dumps else box.checkpoints[name]

    def prune_dumps(self, kept: Collection[str]) -> None:
        """Forget every checkpoint of runc's, but for those of these names."""
        with self._lock:
            for box in self._daemon.boxes.values():
                box.dumps = {name: dump for name, dump in box.dumps.items() if name in kept}
