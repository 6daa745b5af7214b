"""What the contract asks of a Docker beside the engine: containers to act on, and their progress.

Every container counts, and prints each number. The count is what a restore must carry on.
"""

import itertools
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from drainer.engine.base import Engine
from drainer.engine.docker import DockerEngine
from drainer.engine.fake import FakeEngine
from drainer.errors import EngineTimeoutError
from drainer.host import containerd
from drainer.host.base import Host
from drainer.host.fake import FakeHost
from drainer.host.linux import LinuxHost
from drainer.host.procfs import Proc
from drainer.model import Container, RestartPolicy
from drainer.networks import Address, Port
from drainer.runtime import bundle, stand_in
from drainer.runtime.base import Runtime
from drainer.runtime.fake import FakeRuntime
from drainer.runtime.guard import Guard
from drainer.runtime.runc import Runc

IMAGE = "lab/busybox"
COUNT = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done"
PUBLISHED = Port(18099, "tcp", "0.0.0.0")  # noqa: S104 - as Docker shows it
PATIENCE = 240.0
"""Seconds: an emulated host takes that long at worst."""


class Harness(Protocol):
    engine: Engine
    host: Host
    runtime: Runtime
    state: Path
    """Where checkpoints of runc's may be kept."""
    patience: float
    """Limit in seconds for checkpoints and starts that should succeed."""

    def create(self, policy: str = "no", join: str = "") -> str:
        """Run a counting container and return its id. `join` names whose network it uses."""

    def create_alone(self) -> str:
        """Run one in a network that no other container is in, and return its id."""

    def remove_network(self, network: str) -> None:
        """Do what its owner's `docker network rm` does."""

    def create_network(self, network: str) -> None:
        """Do what its owner's `docker network create` does."""

    def connect(self, network: str, container: str) -> None:
        """Do what its owner's `docker network connect` does."""

    def create_published(self) -> str:
        """Run one with a published port and return its id."""

    def taken(self, port: Port) -> AbstractContextManager[object]:
        """Let another program have a port of the host in this block."""

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
        self.host: Host = FakeHost(self.docker)
        self.runtime: Runtime = FakeRuntime(self.docker)
        self.state = Path("/nowhere")
        self._numbers = itertools.count(1)
        self._last: dict[str, int] = {}

    def create(self, policy: str = "no", join: str = "") -> str:
        return self._create(policy, join)

    def _create(
        self, policy: str, join: str, network: str = "bridge", ports: tuple[Port, ...] = ()
    ) -> str:
        number = next(self._numbers)
        container = Container(
            f"{number:064x}",
            f"contract-{number}",
            IMAGE,
            restart_policy=RestartPolicy(policy),
            network_mode=f"container:{join}" if join else network,
            addresses=() if join else (Address(network, f"172.17.0.{number + 1}"),),
            ports=ports,
        )
        self.docker.add(container)
        self.advance(container.id)
        return container.id

    def create_alone(self) -> str:
        return self._create("no", "", network="contract")

    def remove_network(self, network: str) -> None:
        self.docker.remove_network(network)

    def create_network(self, network: str) -> None:
        self.docker.create_network(network)

    def connect(self, network: str, container: str) -> None:
        self.docker.connect(network, container)

    def create_published(self) -> str:
        return self._create("no", "", ports=(PUBLISHED,))

    @contextmanager
    def taken(self, port: Port) -> Iterator[None]:
        self.docker.gone.ports[port] = "another (pid 1)"
        yield
        del self.docker.gone.ports[port]

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
        self.host: Host = LinuxHost()
        search_path = containerd.search_path(Proc())
        runc, self._stand_in = stand_in.find(search_path)
        self._state = tempfile.TemporaryDirectory()
        self.state = Path(self._state.name)
        self.runtime: Runtime = Runc(runc, self._stand_in, search_path, Guard(self.state))
        # Later Dockers restore no container with a network of its own.
        restores_all = int(self.engine.facts().version.partition(".")[0]) < 28
        self._network = [] if restores_all else ["--network=host"]
        self._made: list[str] = []
        self._networks: list[str] = []

    def create(self, policy: str = "no", join: str = "") -> str:
        network = [f"--network=container:{join}"] if join else self._network
        return self._create(f"--restart={policy}", *network)

    def create_alone(self) -> str:
        self.create_network("contract")
        return self._create("--network=contract")

    def remove_network(self, network: str) -> None:
        _docker("network", "rm", network)
        self._networks.remove(network)

    def create_network(self, network: str) -> None:
        _docker("network", "create", network)
        self._networks.append(network)

    def connect(self, network: str, container: str) -> None:
        _docker("network", "connect", network, container)

    def create_published(self) -> str:
        return self._create(f"--publish={PUBLISHED.number}:{PUBLISHED.number}")

    def taken(self, port: Port) -> socket.socket:
        return socket.create_server(("0.0.0.0", port.number))  # noqa: S104 - as the one published

    def _create(self, *options: str) -> str:
        identity = _docker("run", "--detach", *options, IMAGE, "sh", "-c", COUNT)
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
                break
            time.sleep(1)
            left = [container for container in left if not _run("inspect", container).returncode]
        else:
            assert not left, f"containers could not be removed: {left}"
        for network in self._networks:
            _docker("network", "rm", network)


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def _docker(*arguments: str) -> str:
    done = _run(*arguments)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()
