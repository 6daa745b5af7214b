"""A Docker in memory, deterministic and without waiting, for tests and rehearsals.

It keeps account of what drainer promises: each container's memory is a number that grows while
it runs, and whatever a restore breaks of it is written to `FakeEngine.violations`.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from drainer.engine.fake_checkpoints import FakeCheckpoints
from drainer.engine.fake_daemon import FakeDaemon
from drainer.engine.fake_files import FakeFiles
from drainer.engine.fake_placeholders import FakePlaceholders
from drainer.engine.fake_trials import FakeTrials
from drainer.errors import EngineError, EngineUnavailableError
from drainer.model import (
    Container,
    EngineFacts,
    RestartPolicy,
)

FACTS = EngineFacts(
    version="26.1.5",
    api_version="1.45",
    containerd="1.7.24",
    runc="1.1.15",
    storage="overlay2",
    cgroup_driver="systemd",
    daemon_id="00000000-0000-4000-8000-00000000d0ca",
)

_SIGKILL, _SIGTERM = 137, 143


class Call(NamedTuple):
    """One call that was made, with the container as the caller named it."""

    method: str
    container: str = ""
    argument: str = ""
    """The checkpoint's name, the restart policy's, or the network's."""


@dataclass(slots=True)
class _Script:
    method: str
    container: str
    nth: int
    error: BaseException | None
    takes_effect: bool
    run: Callable[[], None] | None


class FakeEngine(FakeCheckpoints, FakePlaceholders, FakeTrials):
    """`drainer.engine.base.Engine` without Docker, with Docker's words for its refusals.

    Containers are named by id or name throughout. What is not of the protocol is for tests: the
    acts of an owner (`add`, `change`, `stop`, `exit`), of the host (`reboot`,
    `power_cut`, `restart_daemon`), of time (`tick`) and of ill luck (`script`,
    `damage_checkpoint`, `rot_checkpoint`, `files`, `down`).
    """

    def __init__(
        self, facts: EngineFacts = FACTS, *, delay: Callable[[Call], None] | None = None
    ) -> None:
        """Start without containers. `delay` is called before every call, without any lock."""
        self.down = False
        """While true, every call of the protocol raises `EngineUnavailableError`."""
        self.boots = 1
        """How many times the host came up; changes with `reboot` and `power_cut`."""
        self.calls: list[Call] = []
        self._daemon = FakeDaemon(facts)
        self.images: set[str] = set()
        self._delay = delay
        self._lock = threading.RLock()
        self._scripts: list[_Script] = []

    def facts(self) -> EngineFacts:
        """Describe the daemon."""
        with self._call("facts"):
            return self._daemon.facts

    def running(self) -> tuple[Container, ...]:
        """List what runs, oldest start first."""
        with self._call("running"):
            found = (box.container for box in self._daemon.boxes.values())
            return tuple(
                sorted((c for c in found if c.running), key=lambda c: (c.started_at, c.id))
            )

    def inspect(self, container: str) -> Container:
        """Return one container, running or not."""
        with self._call("inspect", container):
            return self._daemon.find(container).container

    def set_restart_policy(self, container: str, policy: RestartPolicy) -> None:
        """Change the restart policy (moby daemon/update.go)."""
        with self._call("set_restart_policy", container, policy.name):
            box = self._daemon.find(container)
            if box.container.auto_remove and not policy.held:
                raise EngineError(
                    "Restart policy cannot be updated because AutoRemove is enabled"
                    " for the container"
                )
            box.require_task()
            retries = policy.max_retries if policy.name == "on-failure" else 0
            box.set(restart_policy=RestartPolicy(policy.name or "no", retries))

    def pause(self, container: str) -> None:
        """Freeze a running container (moby daemon/pause.go)."""
        with self._call("pause", container):
            box = self._daemon.find(container)
            box.require_running()
            if box.container.paused:
                raise EngineError(f"container {box.container.id} is already paused")
            if box.container.restarting:
                raise EngineError(
                    f"Container {box.container.id} is restarting,"
                    " wait until the container is running"
                )
            box.require_task()
            box.set(paused=True)

    def unpause(self, container: str) -> None:
        """Thaw a paused container: from then on it runs (moby daemon/unpause.go)."""
        with self._call("unpause", container):
            box = self._daemon.find(container)
            if not box.container.paused:
                raise EngineError(f"Container {box.container.id} is not paused")
            box.require_task()
            if box.thawed:
                raise EngineError("OCI runtime resume failed: container not paused")
            box.set(paused=False)
            self._daemon.run(box)

    def kill(self, container: str) -> None:
        """Kill a container; its restart policy does not bring it back."""
        with self._call("kill", container):
            box = self._daemon.find(container)
            if box.container.running:
                box.stopped_by_hand = True
                if box.container.paused and not box.ghost:
                    self._daemon.run(box)  # all but its first process, for an instant
                self._daemon.die(box, _SIGKILL)

    def create_checkpoint(
        self,
        container: str,
        name: str,
        timeout: float,  # noqa: ARG002 - it takes no time
    ) -> None:
        """Checkpoint a container and leave it as it is."""
        with self._call("create_checkpoint", container, name):
            self._require_experimental()
            self._daemon.checkpoint(container, name)

    def checkpoints(self, container: str) -> tuple[str, ...]:
        """List the names of a container's checkpoints."""
        with self._call("checkpoints", container):
            self._require_experimental()
            return tuple(sorted(self._daemon.find(container).checkpoints))

    def delete_checkpoint(self, container: str, name: str) -> None:
        """Delete a checkpoint, if there is one of that name."""
        with self._call("delete_checkpoint", container, name):
            self._require_experimental()
            self._daemon.find(container).checkpoints.pop(name, None)

    def start(
        self,
        container: str,
        timeout: float,  # noqa: ARG002 - it takes no time
        checkpoint: str = "",
    ) -> None:
        """Start a container, cold or from a checkpoint."""
        with self._call("start", container, checkpoint):
            if checkpoint and not self._daemon.facts.experimental:
                raise EngineError("checkpoint is only supported in experimental mode")
            self._daemon.start(self._daemon.find(container), checkpoint)

    @property
    def violations(self) -> tuple[str, ...]:
        """Sentences about restores that happened and never should."""
        with self._lock:
            return tuple(self._daemon.violations)

    @property
    def files(self) -> FakeFiles:
        """The files of the host."""
        return self._daemon.files

    def add(
        self,
        container: Container,
        *,
        memory: int = 0,
        checkpoint_size: int = 1 << 20,
        files: tuple[str, ...] = (),
    ) -> Container:
        """Put a container there, and return it as Docker now describes it.

        `checkpoint_size` is what each checkpoint of it will weigh, in bytes, and `files` are those
        on the host that it has open.
        """
        with self._lock:
            box = self._daemon.add(container, memory=memory, checkpoint_size=checkpoint_size)
            box.files = files
            for path in files:
                self.files.write(path)
            return box.container

    def open_files(self, container: str) -> tuple[str, ...]:
        """Return the files that a container has open."""
        with self._lock:
            return self._daemon.find(container).files

    def change(self, container: str, **fields: Any) -> Container:  # noqa: ANN401 - any field of Container
        """Replace fields of a container and return it."""
        with self._lock:
            box = self._daemon.find(container)
            box.set(**fields)
            return box.container

    def change_facts(self, facts: EngineFacts) -> None:
        """Let the daemon be another one."""
        with self._lock:
            self._daemon.facts = facts

    def stop(self, container: str, exit_code: int = _SIGTERM) -> None:
        """Do what an owner's `docker stop` does."""
        with self._lock:
            self._daemon.stop_by_hand(self._daemon.find(container), exit_code)

    def exit(self, container: str, exit_code: int = 1) -> None:
        """End the container's first process; the restart policy may start it cold at once."""
        with self._lock:
            box = self._daemon.find(container)
            count = box.container.restart_count
            again = box.container.restart_policy.starts_at_boot(exit_code, count)
            self._daemon.die(box, exit_code)
            if again and not box.container.auto_remove:
                with suppress(EngineError):
                    self._daemon.start(box)
                box.set(restart_count=count + 1)

    def tick(self, times: int = 1) -> None:
        """Let time pass: what runs and is not paused works on."""
        with self._lock:
            for box in self._daemon.boxes.values():
                if box.container.running and not (box.container.paused or box.ghost):
                    box.memory += times
                    self._daemon.run(box, times)

    def reboot(
        self, exit_code: int = _SIGTERM, exit_codes: Mapping[str, int] | None = None
    ) -> None:
        """Go down in order and come up again.

        Every running container ends with `exit_code`, or with its own in `exit_codes` (by name).
        With live-restore nobody stops them in order, and they end as in a power cut.
        """
        with self._lock:
            if self._daemon.facts.live_restore:
                self._daemon.lose_all()
            else:
                self._daemon.stop_all(exit_code, exit_codes or {})
            self._come_up()

    def power_cut(self) -> None:
        """Go down at once and come up again."""
        with self._lock:
            self._daemon.lose_all()
            self._come_up()

    def restart_daemon(self, exit_code: int = _SIGTERM) -> None:
        """Restart dockerd alone; with live-restore the containers do not notice."""
        with self._lock:
            if not self._daemon.facts.live_restore:
                self._daemon.stop_all(exit_code, {})
            self._daemon.boot()
            self.down = False

    def script(
        self,
        method: str,
        container: str = "",
        *,
        nth: int = 1,
        error: BaseException | None = None,
        takes_effect: bool = False,
        run: Callable[[], None] | None = None,
    ) -> None:
        """Decide what the `nth` such call from now on comes to.

        `run` is called first, without any lock. Then `error` is raised, in place of the act or
        (`takes_effect`) after it. `container` is its id or name; empty means any.
        """
        with self._lock:
            self._scripts.append(_Script(method, container, nth, error, takes_effect, run))

    def forget_scripts(self) -> None:
        """Let nothing go wrong any more that was decided and has not happened."""
        with self._lock:
            self._scripts.clear()

    def everything(self) -> tuple[Container, ...]:
        """Return every container, running or not."""
        with self._lock:
            return tuple(box.container for box in self._daemon.boxes.values())

    def debris(self) -> frozenset[tuple[str, str]]:
        """Return what a resume may leave behind: each container with a checkpoint's name.

        An order that was not taken back and a placeholder have an empty name, and so has a
        stand-in, with no container.
        """
        with self._lock:
            return self._daemon.debris()

    def memory(self, container: str) -> int:
        """Return what the container has in memory; 0 when it is down."""
        with self._lock:
            return self._daemon.find(container).memory

    def is_restored(self, container: str) -> bool:
        """Tell whether the container runs from a checkpoint."""
        with self._lock:
            box = self._daemon.find(container)
            return box.container.running and box.restored

    @contextmanager
    def runtime_call(self, method: str, container: str = "") -> Iterator[FakeDaemon]:
        """Make a call of the fake runtime's: logged and scripted as those of the engine are.

        It does not matter to runc whether Docker answers.
        """
        with self._call(method, container, docker=False):
            yield self._daemon

    def _come_up(self) -> None:
        self._daemon.forget_orders()
        self._daemon.boot()
        self.down = False
        self.boots += 1

    def _require_experimental(self) -> None:
        if not self._daemon.facts.experimental:
            raise EngineError(
                "This experimental feature is disabled by default. Start the Docker daemon in"
                " experimental mode in order to enable it."
            )

    @contextmanager
    def _call(
        self, method: str, container: str = "", argument: str = "", *, docker: bool = True
    ) -> Iterator[None]:
        """Log a call, let its script have its say, and hold the lock while it is carried out."""
        call = Call(method, container, argument)
        with self._lock:
            self.calls.append(call)
            script = self._due(call)
        if self._delay:
            self._delay(call)
        if script and script.run:
            script.run()
        with self._lock:
            if docker and self.down:
                raise EngineUnavailableError("Docker does not answer: it is down")
            if script and script.error and not script.takes_effect:
                raise script.error
            yield
            if script and script.error:
                raise script.error

    def _due(self, call: Call) -> _Script | None:
        names = {call.container.removeprefix("/")}
        for box in self._daemon.boxes.values():
            own = {box.container.id, box.container.name}
            if names & own:
                names = own
        due = None
        for script in tuple(self._scripts):
            if script.method != call.method or (script.container and script.container not in names):
                continue
            script.nth -= 1
            if script.nth == 0:
                self._scripts.remove(script)
                due = due or script
        return due
