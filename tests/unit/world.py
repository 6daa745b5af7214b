"""A whole host in memory: drain it, reboot it, resume it, and hold drainer to its promise."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from drainer.carriers.base import Carriers
from drainer.carriers.engine import EngineCarrier
from drainer.carriers.runtime import RuntimeCarrier
from drainer.deadline import Deadline
from drainer.drain import DrainOptions, drain, settle
from drainer.engine.fake import FakeEngine
from drainer.host.fake import FakeHost
from drainer.inventory import take_inventory
from drainer.manifest import Entry, Manifest
from drainer.model import ROUTES, Container, EngineFacts, Plan, RestartPolicy, Route
from drainer.placeholders import AddressKeeper
from drainer.plan import make_plan
from drainer.release import take_up
from drainer.resume import ResumeOptions, resume
from drainer.runtime.fake import FakeRuntime
from drainer.store.files import StateDirectory
from drainer.store.manifest_file import ManifestFile, Record


class Killed(BaseException):
    """The drainer process is no more."""


def container_id(name: str) -> str:
    """Make up a container id that shows its name."""
    return name.encode().hex().ljust(64, "0")


@dataclass
class World:
    """One fake host with a state directory on a real disk."""

    state: Path
    parallel: int = 1
    budget: float | None = None
    routes: tuple[Route, ...] = ROUTES
    seen: list[Entry] = field(default_factory=list)

    dead: bool = False
    """Whether the drainer process was killed: then it calls nothing any more."""

    def __post_init__(self) -> None:
        self.engine = FakeEngine(delay=self._live)
        self.host = FakeHost(self.engine)
        self.runtime = FakeRuntime(self.engine)
        self.file = ManifestFile(StateDirectory(self.state))
        self.originals: dict[str, RestartPolicy] = {}

    def _live(self, _call: object) -> None:
        if self.dead:
            raise Killed

    def live_again(self) -> None:
        """Let the next drainer process begin, on the same state directory."""
        self.dead = False
        self.file = ManifestFile(StateDirectory(self.state))

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
            found.host, found.engine, found.containers, found.processes, self.routes, places
        )

    def carriers(self, facts: EngineFacts, deadline: Deadline) -> Carriers:
        """Make the carriers of both routes."""
        return {
            Route.ENGINE: EngineCarrier(self.engine, self.host, facts, deadline.sleep),
            Route.RUNTIME: RuntimeCarrier(self.engine, self.runtime, self.state),
        }

    def drain(self, on_change: Callable[[Entry], None] | None = None) -> Manifest:
        """Drain, as the command does, carrying on from an unfinished drain."""
        kept: tuple[Entry, ...] = ()
        if self.file.exists and (old := self.file.read()).pending:
            carriers = self.carriers(old.engine, Deadline(None))
            record = Record(self.file, old)
            take_up(record, self.runtime.sweep())
            kept = settle(self.engine, record, carriers)
        deadline = Deadline(self.budget)
        plan = self.plan()
        return drain(
            plan,
            self.engine,
            self.host,
            self.carriers(plan.engine, deadline),
            self.file,
            deadline,
            DrainOptions(parallel=self.parallel),
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
        """Resume, as the command does; nothing happens to a manifest that is finished."""
        manifest = self.file.read()
        if not manifest.pending:
            return manifest
        deadline = Deadline(self.budget)
        record = Record(self.file, manifest)
        take_up(record, self.runtime.sweep())
        keeper = AddressKeeper(
            self.engine,
            self.runtime.lay_out_placeholder,
            self.runtime.forget_placeholder,
            manifest.entries,
        )
        with self.runtime.window():
            keeper.prepare()
            result = resume(
                record,
                self.engine,
                self.host,
                self.carriers(manifest.engine, deadline),
                deadline,
                ResumeOptions(parallel=self.parallel, container_timeout=0.0),
                self.seen.append,
                keeper=keeper,
            )
            keeper.finish()
            return result

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
