"""What the contract asks of a Docker beside the engine: containers to act on, and their progress.

Every container counts, and prints each number. The count is what a restore must carry on.
"""

import itertools
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Protocol

from drainer.engine.base import Engine
from drainer.engine.docker import DockerEngine
from drainer.engine.fake import FakeEngine
from drainer.errors import EngineTimeoutError
from drainer.host import containerd
from drainer.host.procfs import Proc
from drainer.model import Address, Container, RestartPolicy
from drainer.runtime import bundle, stand_in
from drainer.runtime.base import Runtime
from drainer.runtime.fake import FakeRuntime
from drainer.runtime.runc import Runc

IMAGE = "lab/busybox"
COUNT = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done"
PATIENCE = 240.0
"""Seconds: an emulated host takes that long at worst."""


class Harness(Protocol):
    engine: Engine
    runtime: Runtime
    state: Path
    """Where checkpoints of runc's may be kept."""
    patience: float
    """Limit in seconds for checkpoints and starts that should succeed."""

    def create(self, policy: str = "no", join: str = "") -> str:
        """Run a counting container and return its id. `join` names whose network it uses."""

    def progress(self, container: str) -> int:
        """Return the last number that the container reached, up or down."""

    def advance(self, container: str) -> None:
        """Return once a running container has counted on."""

    def stop(self, container: str) -> None:
        """Do what its owner's `docker stop` does."""

    def remove(self, container: str) -> None:
        """Do what its owner's `docker rm --force` does."""

    def hurry(self, method: str, container: str) -> float:
        """Return a limit in seconds that the next such call cannot meet."""

    def root(self, container: str) -> str:
        """Return runc's `--root` for a running container."""

    def lose_stand_in(self) -> None:
        """Remove the stand-in from the runtime's open window."""

    def close(self) -> None:
        """Remove every container."""


class FakeHarness:
    patience = 1.0

    def __init__(self) -> None:
        self.docker = FakeEngine()
        self.engine: Engine = self.docker
        self.runtime: Runtime = FakeRuntime(self.docker)
        self.state = Path("/nowhere")
        self._numbers = itertools.count(1)
        self._last: dict[str, int] = {}

    def create(self, policy: str = "no", join: str = "") -> str:
        number = next(self._numbers)
        container = Container(
            f"{number:064x}",
            f"contract-{number}",
            IMAGE,
            restart_policy=RestartPolicy(policy),
            network_mode=f"container:{join}" if join else "bridge",
            addresses=() if join else (Address("bridge", f"172.17.0.{number + 1}"),),
        )
        self.docker.add(container)
        self.advance(container.id)
        return container.id

    def progress(self, container: str) -> int:
        if self.docker.inspect(container).running:
            self._last[container] = self.docker.memory(container)
        return self._last[container]

    def advance(self, container: str) -> None:
        self.docker.tick()
        self.progress(container)

    def stop(self, container: str) -> None:
        self.docker.stop(container, 137)

    def remove(self, container: str) -> None:
        self.docker.remove(container)

    def hurry(self, method: str, container: str) -> float:
        self.docker.script(method, container, error=EngineTimeoutError("late"), takes_effect=True)
        return 0.01

    def root(self, container: str) -> str:
        return f"/nowhere/{container}"

    def lose_stand_in(self) -> None:
        with self.docker.runtime_call("lose_stand_in") as daemon:
            daemon.stand_in = False

    def close(self) -> None:
        pass


class DockerHarness:
    """The Docker of this host: root, Docker's command and the image `lab/busybox` are needed."""

    patience = PATIENCE

    def __init__(self) -> None:
        self._docker = DockerEngine()
        self.engine: Engine = self._docker
        search_path = containerd.search_path(Proc())
        runc, self._stand_in = stand_in.find(search_path)
        self.runtime: Runtime = Runc(runc, self._stand_in, search_path)
        self._state = tempfile.TemporaryDirectory()
        self.state = Path(self._state.name)
        # Later Dockers restore no container with a network of its own.
        restores_all = int(self.engine.facts().version.partition(".")[0]) < 28
        self._network = [] if restores_all else ["--network=host"]
        self._made: list[str] = []

    def create(self, policy: str = "no", join: str = "") -> str:
        arguments = ["run", "--detach", f"--restart={policy}"]
        arguments += [f"--network=container:{join}"] if join else self._network
        identity = _docker(*arguments, IMAGE, "sh", "-c", COUNT)
        self._made.append(identity)
        self.advance(identity)
        return identity

    def progress(self, container: str) -> int:
        # Docker's command takes long to start, and this is asked all the time.
        numbers = self._docker.logs(container).split()
        return int(numbers[-1]) if numbers else 0

    def advance(self, container: str) -> None:
        before = self.progress(container)
        deadline = time.monotonic() + PATIENCE
        while self.progress(container) == before:
            assert time.monotonic() < deadline, "the container does not count"
            time.sleep(0.2)

    def stop(self, container: str) -> None:
        _docker("stop", "-t", "1", container)

    def remove(self, container: str) -> None:
        _docker("rm", "--force", container)
        self._made.remove(container)

    def hurry(self, method: str, container: str) -> float:
        del method, container
        return 0.01

    def root(self, container: str) -> str:
        return bundle.options(container).root

    def lose_stand_in(self) -> None:
        Path(self._stand_in).unlink()

    def close(self) -> None:
        self._state.cleanup()
        # While a checkpoint is under way Docker cannot remove its container.
        deadline = time.monotonic() + PATIENCE
        left = self._made[::-1]
        while left and time.monotonic() < deadline:
            if _run("rm", "--force", *left).returncode == 0:
                return
            time.sleep(1)
            left = [container for container in left if not _run("inspect", container).returncode]
        assert not left, f"containers could not be removed: {left}"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def _docker(*arguments: str) -> str:
    done = _run(*arguments)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()
