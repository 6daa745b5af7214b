"""Random histories of a host: owners, drains, failures, deaths and boots, in any order.

`DRAINER_HISTORIES` in the environment is how many are tried, each another time; without it the same
few hundred are, so that a failure is one of the code's and not of luck.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from drainer.engine.fake import FakeEngine
from drainer.errors import (
    DrainerError,
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
    StorageError,
)
from drainer.manifest import Manifest, State
from drainer.model import ROUTES, Container, RestartPolicy, Route
from drainer.networks import Address
from tests.unit.world import Clock, Killed, World

HISTORIES = int(os.environ.get("DRAINER_HISTORIES", "0"))

POLICIES = (
    RestartPolicy("no"),
    RestartPolicy("always"),
    RestartPolicy("unless-stopped"),
    RestartPolicy("on-failure"),
    RestartPolicy("on-failure", 2),
)
CALLS = (
    *("facts", "running", "inspect", "set_restart_policy", "pause", "unpause", "kill", "start"),
    *("create_checkpoint", "delete_checkpoint", "network", "pools", "create_placeholder"),
    *("remove", "placeholders", "dump", "lay_out", "take_back", "delete_dump", "open_window"),
)
ACTS = ("stop", "start", "try out", "remove", "pause", "unpause", "policy", "exit")
NEVER_RAISE = frozenset({"take_back"})
STORAGE_ONLY = frozenset({"lay_out", "delete_dump", "open_window"})
ERRORS = (EngineError, EngineTimeoutError, EngineUnavailableError)


@dataclass
class Owned:
    """A container as its owner wants it."""

    id: str
    policies: set[RestartPolicy]
    """Those that it may have in the end; one, unless the owner chose `no` while it was held."""
    wanted: bool = True
    """Whether its owner, and Docker by its policy, would have it run."""
    paused: bool = False
    providers: tuple[str, ...] = ()
    boots_in_order: bool = True
    """Whether Docker waits at boot for what it uses."""

    @property
    def policy(self) -> RestartPolicy:
        return next(iter(self.policies))


@dataclass(frozen=True)
class Trouble:
    """What goes wrong in one run of drainer."""

    kind: str = "none"
    """`none`, `kill`, `call`, `disk` or `owner`."""
    at: int = 0
    method: str = ""
    error: int = 0
    late: bool = False
    act: str = ""
    which: int = 0


NO_TROUBLE = Trouble()


@dataclass(frozen=True)
class Wish:
    """What container an owner wants."""

    policy: RestartPolicy
    kind: str
    use: str
    """How it uses another one, if it does."""
    which: int
    paused: bool
    network: str
    group: str


def wishes() -> st.SearchStrategy[Wish]:
    return st.builds(
        Wish,
        policy=st.sampled_from(POLICIES),
        kind=st.sampled_from(("plain", "plain", "plain", "tty", "init", "rm", "opted out")),
        use=st.sampled_from(("", "", "network", "ipc", "link")),
        which=st.integers(0, 5),
        paused=st.booleans(),
        network=st.sampled_from(("", "front", "front", "fixed")),
        group=st.sampled_from(("", "", "one", "one", "two")),
    )


def troubles() -> st.SearchStrategy[Trouble]:
    instants = st.one_of(st.integers(1, 25), st.integers(1, 90))
    return st.one_of(
        st.just(NO_TROUBLE),
        st.builds(Trouble, st.just("kill"), instants),
        st.builds(
            Trouble,
            st.just("call"),
            st.integers(1, 8),
            st.sampled_from(CALLS),
            st.integers(0, 2),
            st.booleans(),
        ),
        st.builds(Trouble, st.just("disk"), st.integers(1, 25), late=st.booleans()),
        st.builds(
            Trouble,
            st.just("owner"),
            instants,
            act=st.sampled_from(ACTS),
            which=st.integers(0, 5),
        ),
    )


class History(RuleBasedStateMachine):
    """Whatever happened: one more resume, and everything is as promised."""

    def __init__(self) -> None:
        super().__init__()
        Clock.ticks = 0
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr("drainer.drain.datetime", Clock)
        self._directory = Path(tempfile.mkdtemp(prefix="drainer-history-"))
        self.world = World(self._directory / "state")
        self.owned: dict[str, Owned] = {}
        self.kept: set[tuple[str, str]] = set()
        """Checkpoints that are documented to be kept: by container and name."""
        self._count = 0
        self._at_work = False
        """Whether drainer runs while an owner acts."""

    def teardown(self) -> None:
        try:
            self.recover()
        finally:
            self._patch.undo()
            self.world.file.directory.close()
            shutil.rmtree(self._directory)

    # What owners do

    @property
    def engine(self) -> FakeEngine:
        return self.world.engine

    @contextmanager
    def by_owner(self) -> Iterator[None]:
        """Let calls be the owner's: no instant of drainer's, and Docker's refusals are his."""
        before, self.world.at_instant = self.world.at_instant, lambda _what: None
        try:
            with suppress(EngineError):
                yield
        finally:
            if not self.world.dead:
                self.world.at_instant = before

    def now(self, name: str) -> Container:
        return self.engine.change(self.owned[name].id)

    def pick(self, which: int) -> str:
        return sorted(self.owned)[which % len(self.owned)]

    @initialize(
        routes=st.sampled_from(((Route.ENGINE,), (Route.RUNTIME,), ROUTES)),
        wishes=st.lists(wishes(), min_size=1, max_size=4),
    )
    def begin(self, routes: tuple[Route, ...], wishes: list[Wish]) -> None:
        self.world.routes = routes
        for wish in wishes:
            self._run(wish)

    @precondition(lambda self: len(self.owned) < 6)
    @rule(wish=wishes())
    def run(self, wish: Wish) -> None:
        self._run(wish)

    def _run(self, wish: Wish) -> None:
        self._count += 1
        name = f"c{self._count}"
        container = Container(
            f"{self._count:064x}",
            name,
            image="image",
            restart_policy=RestartPolicy() if wish.kind == "rm" else wish.policy,
            tty=wish.kind == "tty",
            init=wish.kind == "init",
            auto_remove=wish.kind == "rm",
            labels={
                **({"drainer.enable": "false"} if wish.kind == "opted out" else {}),
                **({"drainer.group": wish.group} if wish.group else {}),
            },
        )
        providers: tuple[str, ...] = ()
        running = [n for n in sorted(self.owned) if self.now(n).running]
        if wish.use and running:
            provider = self.now(running[wish.which % len(running)])
            providers = (provider.id,)
            joined = f"container:{provider.id}"
            if wish.use == "network":
                container = replace(container, network_mode=joined)
            elif wish.use == "ipc":
                container = replace(container, ipc_mode=joined)
            else:
                container = replace(container, links=(provider.name,))
        if wish.network and wish.use != "network":
            # One that was asked for stays its own, also while it is down.
            taken = {a.ipv4 for n in running for a in self.now(n).addresses}
            free = (f"10.0.0.{n}" for n in range(2, 100))
            ipv4 = next(a for a in free if a not in taken)
            ipv4 = f"10.0.0.{100 + self._count}" if wish.network == "fixed" else ipv4
            address = Address("front", ipv4, fixed=wish.network == "fixed")
            container = replace(container, addresses=(address,))
        self.engine.add(container, memory=self._count * 1000)
        self.owned[name] = Owned(
            container.id,
            {container.restart_policy},
            paused=wish.paused,
            providers=providers,
            boots_in_order=wish.use != "ipc",
        )
        if wish.paused:
            self.engine.change(container.id, paused=True)

    @precondition(lambda self: self.owned)
    @rule(
        act=st.sampled_from(ACTS),
        which=st.integers(0, 5),
        number=st.integers(0, 4),
    )
    def owner(self, act: str, which: int, number: int) -> None:
        self._owner(act, which, number)

    def _owner(self, act: str, which: int, number: int = 0) -> None:
        if not self.owned:
            return
        name = self.pick(which)
        owned = self.owned[name]
        acts: dict[str, Callable[[Owned, Container, int], None]] = {
            "stop": self._stop,
            "start": self._start,
            "try out": self._try_out,
            "remove": self._remove,
            "pause": self._pause,
            "unpause": self._unpause,
            "policy": self._policy,
            "exit": self._exit,
        }
        with self.by_owner():
            acts[act](owned, self.now(name), number)
        self._forget_missing()

    def _stop(self, owned: Owned, now: Container, _number: int) -> None:
        self.engine.stop(owned.id)
        # To what waits for a resume it means nothing.
        if now.running:
            owned.wanted = owned.paused = False

    def _start(self, owned: Owned, _now: Container, _number: int) -> None:
        self.engine.start(owned.id, 1)
        owned.wanted = True

    def _try_out(self, owned: Owned, now: Container, number: int) -> None:
        self._start(owned, now, number)
        self._stop(owned, self.engine.change(owned.id), number)

    def _remove(self, owned: Owned, _now: Container, _number: int) -> None:
        self.engine.remove(owned.id)

    def _pause(self, owned: Owned, _now: Container, _number: int) -> None:
        self.engine.pause(owned.id)
        owned.paused = True

    def _unpause(self, owned: Owned, _now: Container, _number: int) -> None:
        self.engine.unpause(owned.id)
        owned.paused = False

    def _policy(self, owned: Owned, now: Container, number: int) -> None:
        policy = POLICIES[number]
        if now.auto_remove:
            return
        waiting = self._recorded_policies(owned.id)
        self.engine.set_restart_policy(owned.id, policy)
        if (waiting and policy.held) or self._at_work:
            # Nobody can tell this from drainer's own `no`, or see it between a look and an act.
            owned.policies |= {policy, *waiting}
            owned.wanted = owned.wanted and not policy.held
        else:
            owned.policies = {policy}

    def _exit(self, owned: Owned, now: Container, number: int) -> None:
        if now.running and not now.paused:
            again = owned.policy.starts_at_boot(number % 2, now.restart_count)
            self.engine.exit(owned.id, number % 2)
            owned.wanted = owned.wanted and again

    @precondition(lambda self: self.owned)
    @rule(which=st.integers(0, 5))
    def make_anew(self, which: int) -> None:
        """Remove a container and make another one of its name."""
        name = self.pick(which)
        before = self.now(name)
        self._count += 1
        with self.by_owner():
            self.engine.remove(before.id)
            made = replace(
                before,
                id=f"{self._count:064x}",
                running=True,
                paused=False,
                started_at="",
                pid=0,
                addresses=(),
                restart_policy=self.owned[name].policy,
                network_mode="bridge",
                ipc_mode="private",
                links=(),
            )
            self.engine.add(made, memory=self._count * 1000)
            self.owned[name] = Owned(made.id, {made.restart_policy})

    @precondition(lambda self: self.owned)
    @rule(which=st.integers(0, 5))
    def rename(self, which: int) -> None:
        name = self.pick(which)
        self._count += 1
        new = f"c{self._count}"
        for other in self.owned:
            links = tuple(new if link == name else link for link in self.now(other).links)
            self.engine.change(self.owned[other].id, links=links)
        self.engine.change(self.owned[name].id, name=new)
        self.owned[new] = self.owned.pop(name)

    @rule()
    def work(self) -> None:
        self.engine.tick()

    # What happens to the host

    @rule(how=st.sampled_from(("reboot", "power cut", "dockerd")))
    def go_down(self, how: str) -> None:
        self._go_down(how)

    def _go_down(self, how: str) -> None:
        before = {n: self.now(n) for n in self.owned}
        pending = {n for n in self.owned if self._is_pending(self.owned[n].id)}
        self.world.live_again()
        if how == "reboot":
            self.world.reboot()
        elif how == "power cut":
            self.world.power_cut()
        else:
            self.engine.restart_daemon()
        self._forget_missing()
        # Who is used was made first.
        for name, owned in sorted(self.owned.items(), key=lambda item: item[1].id):
            if not before[name].running:
                continue
            owned.paused = False
            if self.now(name).running:
                owned.wanted = True
            elif name not in pending or not owned.boots_in_order:
                owned.wanted = False
            else:
                code = 255 if how == "power cut" else 143
                count = before[name].restart_count
                again = owned.policy.starts_at_boot(code, count)
                owned.wanted = owned.wanted and again and self._provided(owned)

    def _provided(self, owned: Owned) -> bool:
        wanted = {other.id for other in self.owned.values() if other.wanted}
        return set(owned.providers) <= wanted

    # What drainer does

    @rule(trouble=troubles())
    def drain(self, trouble: Trouble) -> None:
        with self.amid(trouble):
            self.world.drain()

    @precondition(lambda self: self.world.file.exists)
    @rule(trouble=troubles())
    def resume(self, trouble: Trouble) -> None:
        with self.amid(trouble):
            self.world.resume()

    @rule(first=troubles(), how=st.sampled_from(("reboot", "power cut")), second=troubles())
    def carry(self, first: Trouble, how: str, second: Trouble) -> None:
        """Do what a reboot is meant to be, with some trouble on both sides."""
        with self.amid(first):
            self.world.drain()
        self._go_down(how)
        if self.world.file.exists:
            with self.amid(second):
                self.world.resume()

    @contextmanager
    def amid(self, trouble: Trouble) -> Iterator[None]:
        """Run drainer, and let something go wrong; no error of it is more than an exit code."""
        self.world.live_again()
        if trouble.kind == "kill":
            self.world.kill_at(trouble.at)
        elif trouble.kind == "call":
            self.script(trouble)
        elif trouble.kind in {"disk", "owner"}:
            self.world.at_instant = self.happening(trouble)
        try:
            with suppress(Killed, DrainerError):
                yield
        finally:
            self.engine.forget_scripts()
            self.world.live_again()
            self.learn(trouble)

    def script(self, trouble: Trouble) -> None:
        if trouble.method in NEVER_RAISE:
            return
        error: DrainerError = ERRORS[trouble.error]("it broke")
        if trouble.method in STORAGE_ONLY:
            error = StorageError("it broke")
        self.engine.script(trouble.method, nth=trouble.at, error=error, takes_effect=trouble.late)

    def happening(self, trouble: Trouble) -> Callable[[str], None]:
        """Let the disk fail from some write on, or the owner act at some instant."""
        left = trouble.at
        full_at = "after a write" if trouble.late else "before a write"

        def happen(what: str) -> None:
            nonlocal left
            if trouble.kind == "disk":
                left -= what == full_at
                if left <= 0 and what == full_at:
                    raise StorageError("the disk is full")
                return
            left -= 1
            # Between its last look and the act itself drainer cannot notice anything.
            unseen = what == "kill" or (what == "start" and trouble.act == "try out")
            if left == 0 and not unseen:
                self._at_work = True
                self._owner(trouble.act, trouble.which, trouble.which % len(POLICIES))
                self._at_work = False

        return happen

    def learn(self, trouble: Trouble = NO_TROUBLE) -> None:
        """Look at what the manifest tells of checkpoints that are kept, and of failed starts."""
        self._forget_missing()
        self.kept |= self.world.kept_checkpoints()
        manifest = self.manifest()
        for entry in manifest.entries if manifest else ():
            if entry.state is State.LEFT and "could not start it" in entry.detail:
                self.refused(entry.id, for_good=trouble.kind == "call")

    def refused(self, identity: str, *, for_good: bool) -> None:
        """Docker did not start it: because a call failed, or because what it uses is down."""
        for owned in self.owned.values():
            if owned.id == identity and (for_good or not all(map(self.runs, owned.providers))):
                owned.wanted = False

    def manifest(self) -> Manifest | None:
        return self.world.file.read() if self.world.file.exists else None

    def _recorded_policies(self, identity: str) -> set[RestartPolicy]:
        """Return the policy that drainer is to put back, if it is."""
        manifest = self.manifest()
        entries = manifest.entries if manifest and manifest.pending else ()
        return {e.restart_policy for e in entries if e.id == identity and not e.state.ended}

    def _is_pending(self, identity: str) -> bool:
        manifest = self.manifest()
        return bool(manifest and manifest.pending) and any(
            e.id == identity for e in (manifest.entries if manifest else ())
        )

    def _forget_missing(self) -> None:
        there = {box.id for box in self.engine.everything()}
        self.owned = {name: owned for name, owned in self.owned.items() if owned.id in there}

    # What is promised

    @invariant()
    def nothing_was_restored_wrongly(self) -> None:
        assert self.engine.violations == ()

    @rule()
    def recover(self) -> None:
        self.world.live_again()
        if not self.world.file.exists:
            return
        resumed = self.world.resume()
        waiting = {e.id: e for e in resumed.entries if not e.state.ended}
        assert waiting or resumed.finished
        for entry in waiting.values():
            assert entry.state is State.STOPPED
            assert not all(map(self.runs, entry.needs)), f"{entry} waits for nothing"
        self.learn()
        self.world.check_debris(self.kept | {(e.id, e.checkpoint) for e in waiting.values()})
        for name, owned in self.owned.items():
            if owned.id in waiting:
                continue
            now = self.now(name)
            assert now.restart_policy in owned.policies, f"{name} has another policy: {now}"
            owned.policies = {now.restart_policy}
            assert owned.paused or not now.paused, f"{name} is paused: {now}"
            if owned.wanted and all(map(self.runs, owned.providers)):
                assert now.running, f"{name} is lost: {now}"
            owned.wanted = now.running
            owned.paused = now.paused

    def runs(self, identity: str) -> bool:
        return any(c.id == identity and c.running for c in self.engine.everything())


def test_any_history_ends_well() -> None:
    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=HISTORIES or 300,
            stateful_step_count=12,
            deadline=None,
            derandomize=not HISTORIES,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
