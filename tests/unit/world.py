"""A whole host in memory: drain it, reboot it, resume it, and hold drainer to its promise."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import ClassVar

from drainer.carriers.base import Carriers
from drainer.carriers.engine import EngineCarrier
from drainer.carriers.runtime import RuntimeCarrier
from drainer.cli.wiring import remove_placeholders
from drainer.compatibility import host_obstacles, require_same_engine
from drainer.deadline import Deadline
from drainer.drain import adds, drain, settle
from drainer.drain_options import DrainOptions
from drainer.engine.fake import Call, FakeEngine
from drainer.host.fake import FakeHost
from drainer.inventory import take_inventory
from drainer.lacking import Lack
from drainer.manifest import CheckpointState, Entry, Manifest
from drainer.model import ROUTES, Container, EngineFacts, Plan, RestartPolicy, Route
from drainer.placeholders import AddressKeeper
from drainer.plan import make_plan
from drainer.resume import resume
from drainer.resume_options import Audience, ResumeOptions
from drainer.runtime.fake import FakeRuntime
from drainer.store.files import Os, StateDirectory
from drainer.store.history_file import HistoryFiles
from drainer.store.manifest_file import ManifestFile, Record


class Killed(BaseException):
    """The drainer process is no more."""


class Clock(datetime):
    """A clock by which no two drains begin in the same second."""

    ticks: ClassVar[int] = 0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Clock":
        Clock.ticks += 1
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=Clock.ticks)
        return cls.fromtimestamp(moment.timestamp(), tz)


class QuickOs(Os):
    """Flushes nothing: here a process dies and a machine does, but never the page cache."""

    def fsync(self, fd: int) -> None:
        pass

    def fsync_dir(self, dir_fd: int) -> None:
        pass


class Writings(StateDirectory):
    """The state directory of a process that may be killed at a write."""

    def __init__(self, world: "World", below: str = "") -> None:
        super().__init__(world.state / below, calls=QuickOs())
        self._world = world

    @contextmanager
    def below(self, name: str) -> Iterator[StateDirectory]:
        inner = Writings(self._world, name)
        try:
            yield inner
        finally:
            inner.close()

    def write(self, name: str, data: bytes, *, reserve: bool = False) -> None:
        self._world.instant("before a write")
        super().write(name, data, reserve=reserve)
        self._world.instant("after a write")


def entry_of(manifest: Manifest, name: str) -> Entry:
    return next(e for e in manifest.entries if e.name == name)


def container_id(name: str) -> str:
    """Make up a container id that shows its name."""
    return name.encode().hex().ljust(64, "0")


@dataclass
class World:
    """One fake host with a state directory on a real disk."""

    state: Path
    parallel: int = 1
    stop_failed: bool = False
    leave_failed: bool = False
    give_up: bool = False
    budget: float | None = None
    routes: tuple[Route, ...] = ROUTES
    seen: list[Entry] = field(default_factory=list)
    heard: list[Mapping[str, Lack]] = field(default_factory=list)
    """What was said to be lacking."""

    dead: bool = False
    """Whether the drainer process was killed: then it calls and writes nothing any more."""
    at_instant: Callable[[str], None] = lambda _what: None
    """Called before each call of drainer's, and before and after each of its writes.

    The instant after the effect of a call is the one before what follows it.
    """

    def __post_init__(self) -> None:
        self.engine = FakeEngine(delay=self._before_call)
        self.host = FakeHost(self.engine)
        self.runtime = FakeRuntime(self.engine)
        self.file = ManifestFile(Writings(self))
        self.originals: dict[str, RestartPolicy] = {}

    def instant(self, what: str) -> None:
        """Let happen what is to happen at this instant; raises `Killed` in a dead process."""
        if not self.dead:
            self.at_instant(what)
        if self.dead:
            raise Killed

    def _before_call(self, call: Call) -> None:
        self.instant(call.method)

    def kill_at(self, number: int) -> None:
        """Let the process die at the `number`th instant from now."""
        left = number

        def count(_what: str) -> None:
            nonlocal left
            left -= 1
            self.dead = self.dead or left == 0

        self.at_instant = count

    def live_again(self) -> None:
        """Let the next drainer process begin, on the same state directory."""
        self.dead = False
        self.at_instant = lambda _what: None
        self.file.directory.close()
        self.file = ManifestFile(Writings(self))

    def add(
        self, name: str, policy: str = "no", *, files: tuple[str, ...] = (), **fields: object
    ) -> Container:
        """Run a container and let it work a while, on the files that it has open."""
        container = Container(
            container_id(name),
            name,
            restart_policy=RestartPolicy(policy),
            **fields,  # type: ignore[arg-type]  # any field of Container
        )
        added = self.engine.add(container, memory=100, files=files)
        self.originals[name] = added.restart_policy
        return added

    def plan(self) -> Plan:
        """Plan a drain, as the command does."""
        found = take_inventory(self.engine, self.host)
        places = self.host.places(found.engine, str(self.state))
        return make_plan(
            found.host,
            found.engine,
            found.containers,
            found.processes,
            self.routes,
            places,
            own_addresses=self.host.own_addresses(),
            tracked=self.host.tracked(),
        )

    def carriers(self, facts: EngineFacts, deadline: Deadline) -> Carriers:
        """Make the carriers of both routes."""
        return {
            Route.ENGINE: EngineCarrier(self.engine, self.host, facts, deadline.sleep),
            Route.RUNTIME: RuntimeCarrier(self.engine, self.runtime, self.state),
        }

    def drain(self, on_change: Callable[[Entry], None] | None = None) -> Manifest:
        """Drain, as the command does, carrying on from an unfinished drain."""
        self.runtime.sweep()
        kept: tuple[Entry, ...] = ()
        if self.file.exists and (old := self.file.read()).pending:
            carriers = self.carriers(old.engine, Deadline(None))
            record = Record(self.file, old)
            kept = settle(self.engine, self.host, record, carriers, looks_at_once=1)
            if kept and not adds(self.plan(), record.manifest):
                return record.manifest
        deadline = Deadline(self.budget)
        plan = self.plan()
        return drain(
            plan,
            self.engine,
            self.host,
            self.carriers(plan.engine, deadline),
            self.file,
            deadline,
            DrainOptions(parallel=self.parallel, stop_failed=self.stop_failed),
            on_change or self.seen.append,
            kept,
        )

    def reboot(self) -> None:
        """Shut down in order and boot."""
        self.engine.reboot()
        self.host.reboot()

    def power_cut(self) -> None:
        """Lose power and boot."""
        self.engine.power_cut()
        self.host.reboot()

    def resume(self) -> Manifest:
        """Resume, as the command does; a manifest that is finished is left as it is."""
        self.runtime.sweep()
        manifest = self.file.read()
        if not manifest.pending:
            remove_placeholders(self.engine, lambda: self.runtime)
            return manifest
        require_same_engine(manifest, self.engine, self.engine.facts())
        deadline = Deadline(self.budget)
        record = Record(self.file, manifest)
        keeper = AddressKeeper(
            self.engine,
            self.runtime.lay_out_placeholder,
            self.runtime.forget_placeholder,
            [e for e in manifest.entries if not e.state.ended],
        )
        with self.runtime.window():
            try:
                keeper.prepare()
                return resume(
                    record,
                    self.engine,
                    self.host,
                    self.carriers(manifest.engine, deadline),
                    deadline,
                    ResumeOptions(
                        parallel=self.parallel,
                        container_timeout=0.0,
                        give_up=self.give_up,
                        leave_failed=self.leave_failed,
                    ),
                    Audience(self.seen.append, self.heard.append),
                    host_obstacles(manifest, self.host.facts(), self.engine.facts()),
                    keeper,
                )
            finally:
                keeper.finish()

    def kept_checkpoints(self) -> set[tuple[str, str]]:
        """Return those that the manifests say are still there: by container and name."""
        last = (self.file.read(),) if self.file.exists else ()
        return {
            (e.id, e.checkpoint)
            for manifest in (*last, *HistoryFiles(self.file.directory).readable())
            for e in manifest.entries
            if e.checkpoint_state is CheckpointState.UNUSABLE
            or any("was not deleted" in note for note in e.notes)
        }

    def check_debris(self, kept: Collection[tuple[str, str]] = ()) -> None:
        """Nothing is left but checkpoints that are kept: by container and name."""
        assert self.engine.debris() - self.kept_checkpoints() - set(kept) == set()

    def now(self, name: str) -> Container:
        """Inspect a container without that counting as a call of drainer's."""
        return self.engine.change(container_id(name))

    def check_promise(self) -> None:
        """Everything runs that should, no policy is changed, nothing was restored wrongly."""
        assert self.engine.violations == ()
        for name, policy in self.originals.items():
            container = self.now(name)
            assert container.restart_policy == policy, f"{name} has policy {container}"
            assert not container.paused, f"{name} is paused"
            if not policy.held:
                assert container.running, f"{name} is lost"
