"""Put the real parts together for a command."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

from drainer.carriers.base import Carriers
from drainer.carriers.engine import EngineCarrier
from drainer.carriers.runtime import RuntimeCarrier
from drainer.cli import output
from drainer.cli.options import Common
from drainer.config.choices import RouteChoice
from drainer.config.load import Loaded, load
from drainer.deadline import Deadline
from drainer.engine.base import Engine
from drainer.engine.docker import DockerEngine
from drainer.errors import (
    ConfigInvalidError,
    DrainerError,
    ExitCode,
    NoPermissionError,
)
from drainer.hooks import Hooks
from drainer.host import containerd
from drainer.host.base import Host
from drainer.host.linux import LinuxHost
from drainer.host.procfs import Proc
from drainer.journal import Event
from drainer.model import ROUTES, EngineFacts, HostFacts, Route
from drainer.placeholders import AddressKeeper
from drainer.runtime.base import Runtime
from drainer.runtime.guard import Guard
from drainer.runtime.runc import Runc
from drainer.store.files import StateDirectory
from drainer.store.manifest_file import ManifestFile

if TYPE_CHECKING:
    from drainer.doctor.facts import Surroundings

LOCK_WAIT = 300.0
"""Seconds that a unit waits for another drainer; a person is told at once."""
LAST_WORDS = 1.0
"""Seconds from the last line to the end of a process that ends as if killed."""
GRACE = 45.0
"""Seconds from a signal to the end; less than the 90 s after which systemd kills by default."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """Options that every command shares."""

    state_dir: Path
    docker_host: str
    routes: tuple[Route, ...] = ROUTES
    """Which routes a drain may take, the preferred one first."""
    loaded: Loaded = field(default_factory=Loaded)
    """What is configured."""

    def engine(self) -> Engine:
        """Reach for the Docker daemon of this host."""
        return DockerEngine(self.docker_host)

    def host(self) -> Host:
        """Reach for this host."""
        return LinuxHost()

    def surroundings(self) -> "Surroundings":
        """Look at what is around drainer on this host."""
        # Neither a drain nor a resume asks, and both would wait for it to be loaded.
        from drainer.doctor.examine import look_around  # noqa: PLC0415

        return look_around(self.state_dir.absolute())

    def runtime(self, facts: HostFacts | None = None) -> Runtime:
        """Reach for runc of this host; without its facts only to sweep."""
        runc, place = (facts.runc, facts.stand_in) if facts else ("", "")
        return Runc(runc, place, containerd.search_path(Proc()), Guard(self.state_dir))

    def carriers(
        self, engine: Engine, host: Host, runtime: Runtime, facts: EngineFacts, deadline: Deadline
    ) -> Carriers:
        """Make the carriers of both routes; `facts` tell of Docker at the drain."""
        return {
            Route.ENGINE: EngineCarrier(engine, host, facts, deadline.sleep),
            Route.RUNTIME: RuntimeCarrier(engine, runtime, self.state_dir),
        }

    def hooks(self, deadline: Deadline) -> Hooks:
        """Find the operator's own programs."""
        return Hooks(
            partial(output.say, event=Event.HOOK_FAILED), deadline, self.loaded.config.hooks.timeout
        )

    def state(self) -> StateDirectory:
        """Open the state directory, making it if need be."""
        return StateDirectory(self.state_dir)

    def manifest_file(self) -> ManifestFile:
        """Open the manifest's place."""
        return ManifestFile(self.state())


def make_settings(
    verb: str, common: Common, route: RouteChoice | None, *, lenient: bool
) -> Settings:
    """Put the options that every command shares together with what is configured.

    Refuses whoever is not root before anything else.

    A `lenient` command does its work by the defaults rather than not at all if the configuration
    has mistakes: what was taken down must come back. Raises `ConfigInvalidError` in others.
    """
    require_root(verb)
    try:
        loaded = load()
    except ConfigInvalidError as error:
        if not lenient:
            raise
        output.say(f"{error.message}: the defaults are used")
        loaded = Loaded(usable=False)
    choice = route or common.route or loaded.config.route
    routes = ROUTES if choice is RouteChoice.AUTO else (Route(choice.value),)
    return Settings(common.state_dir, common.docker_host, routes, loaded)


def given(value: T | None, configured: T) -> T:
    """Return what was given on the command line, else what is configured."""
    return configured if value is None else value


def cpus() -> int:
    """Return how many containers are worked on at once if nobody says."""
    return max(2, len(os.sched_getaffinity(0)))


def require_root(verb: str) -> None:
    """Refuse early and clearly: /proc, CRIU's images and Docker's directory are root's."""
    if os.geteuid() != 0:
        raise NoPermissionError(f"`drainer {verb}` must be run by root", f"sudo drainer {verb}")


def interrupted_code(deadline: Deadline) -> ExitCode:
    """Return the exit code of a run that a signal ended."""
    by_hand = deadline.signal == signal.SIGINT
    return ExitCode.INTERRUPTED if by_hand else ExitCode.TERMINATED


def extension(deadline: Deadline) -> float | None:
    """Return for how many seconds a unit's time limit may be put off: to the deadline and `GRACE`.

    None without a deadline, and once somebody, such as systemd at that limit, wants an end.
    """
    left = deadline.left
    return None if left is None or deadline.interrupted else left + GRACE


@contextmanager
def interruptible(deadline: Deadline, then: str = "resume") -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP end the run in a safe state instead of at once.

    If that takes longer than `GRACE`, because Docker hangs, the process ends as if killed: the
    manifest is ahead of every act, so the next resume puts things right. `then` is the command
    that does.
    """
    timers: list[threading.Timer] = []

    def end(number: int, _frame: FrameType | None) -> None:
        deadline.interrupt(number)
        output.say(f"interrupted: ending what is under way, within {GRACE:g} s")
        timer = threading.Timer(GRACE, _abandon, [interrupted_code(deadline), then])
        timer.daemon = True
        timer.start()
        timers.append(timer)

    handlers = {
        number: signal.signal(number, end)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _abandon(code: ExitCode, then: str) -> None:
    # Whoever is to hear it may not listen any more, as a terminal that was stopped.
    words = f"Docker takes too long: `drainer {then}` will put right what is left half done"
    threading.Thread(target=output.say, args=(words,), daemon=True).start()
    threading.Timer(LAST_WORDS, os._exit, [code]).start()


def remove_placeholders(engine: Engine, reach: Callable[[], Runtime]) -> None:
    """Remove what a killed resume has left to hold addresses. Only the stand-in can end them."""
    with suppress(DrainerError):
        if engine.placeholders():
            runtime = reach()
            keeper = AddressKeeper(
                engine, runtime.lay_out_placeholder, runtime.forget_placeholder, ()
            )
            with runtime.window():
                keeper.finish()
