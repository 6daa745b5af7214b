"""Bring back everything that a drain took down, each container at most once from its checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass

from drainer.deadline import Deadline
from drainer.engine.base import Engine
from drainer.errors import (
    CheckpointInvalidError,
    ContainerGoneError,
    DrainerError,
    EngineTimeoutError,
)
from drainer.host.base import Host, checkpoint_directory
from drainer.manifest import CheckpointState, Entry, Manifest, State
from drainer.model import Address, Container, Finding
from drainer.recover import Step, next_step, waiting_users
from drainer.release import START_TIMEOUT, put_policy_back, release, start_like_docker
from drainer.rules import refusals
from drainer.schedule import run_in_order
from drainer.store.manifest_file import Record

CONTENT_CLASH = "already exists"
"""In Docker's refusal while containerd still holds the same images from the drain (moby#42900)."""
CLASH_RETRIES = 4
CLASH_PAUSE = 2.0
"""Seconds; containerd collects what nothing refers to about a second after the last change."""
POLL = 1.0


@dataclass(frozen=True, slots=True)
class ResumeOptions:
    """How a resume is run."""

    parallel: int = 2
    container_timeout: float = 300.0
    """Seconds that one restore may take."""


def resume(
    record: Record,
    engine: Engine,
    host: Host,
    deadline: Deadline,
    options: ResumeOptions,
    on_change: Callable[[Entry], None] = lambda _entry: None,
) -> Manifest:
    """Restore, else start cold, every container that the manifest waits for; return it.

    Providers go before their users. When the budget is over, the rest is started cold; when
    interrupted, the rest keeps its state for the next resume. Raises `EngineError` when Docker
    does not answer at all; then nothing was changed.
    """
    manifest = record.manifest
    facts = host.facts()
    problems = refusals(facts, engine.facts())
    # On the same boot Docker started nothing, and who is down was stopped by its owner.
    rebooted = facts.boot_id != manifest.host.boot_id
    waiting = waiting_users(manifest.entries) if rebooted else frozenset()
    worker = _Worker(engine, host, record, deadline, options, on_change, problems, waiting)
    known = {e.id: e for e in manifest.entries}
    # Providers first, also where only the number of places decides who waits.
    providers = {
        e.id: [p for p in e.needs if p in known and known[p].wave > e.wave]
        for e in sorted(manifest.entries, key=lambda e: -e.wave)
    }
    run_in_order(providers, worker.bring_back, options.parallel)
    if all(e.state.ended for e in record.manifest.entries):
        record.finish()
    return record.manifest


@dataclass(frozen=True, slots=True)
class _Worker:
    """Brings single containers back, each in a thread of its own."""

    engine: Engine
    host: Host
    record: Record
    deadline: Deadline
    options: ResumeOptions
    on_change: Callable[[Entry], None]
    problems: tuple[Finding, ...]
    waiting: frozenset[str]

    def bring_back(self, container: str) -> None:
        """Do for one container what the manifest and Docker say is left to do."""
        entry = self.record.entry(container)
        if self.deadline.interrupted:
            return
        try:
            self._act(entry)
        except DrainerError as error:
            self.on_change(self.record.update(entry.id, detail=error.message))

    def _act(self, entry: Entry) -> None:
        try:
            container = self.engine.inspect(entry.id)
        except ContainerGoneError:
            container = None
        match next_step(entry, container, waited=entry.id in self.waiting):
            case Step.NOTHING:
                return
            case Step.FORGET:
                self._end(entry, State.GONE, "it was removed since the drain" + self._twin(entry))
            case Step.RELEASE:
                why = "it ran again before the resume" if entry.size else "the drain was cut short"
                self.on_change(release(self.engine, self.record, entry, why))
            case Step.CLEAN:
                self._clean(entry)
            case Step.START_LIKE_DOCKER:
                self._start_like_docker(entry)
            case Step.RESTORE:
                self._restore(entry)
            case Step.CONFIRM:
                self._finish(entry, self.engine.inspect(entry.id))
            case Step.START_COLD:
                self._start_cold(entry, "an earlier restore of it was cut short")

    def _twin(self, entry: Entry) -> str:
        try:
            return f" and made anew as {self.engine.inspect(entry.name).id[:12]}"
        except DrainerError:
            return ""

    def _start_like_docker(self, entry: Entry) -> None:
        if start_like_docker(self.engine, entry):
            detail = f"{entry.detail}; started after what it uses".lstrip("; ")
            self.on_change(self.record.update(entry.id, detail=detail))

    def _restore(self, entry: Entry) -> None:
        """Restore from the checkpoint if it may and can be, else start cold."""
        obstacle = self._obstacle(entry)
        if obstacle:
            self._start_cold(entry, obstacle)
            return
        self.on_change(self.record.update(entry.id, state=State.RESTORING))
        why = "Docker reported a start, but it does not run"
        try:
            self._start_from_checkpoint(entry)
        except DrainerError as error:
            # The second line names a log that is deleted by now.
            first = error.message.partition("\n")[0]
            why = f"Docker could not restore it: {first}"
        container = self.engine.inspect(entry.id)
        if container.running:
            self._finish(entry, container)
        else:
            self._start_cold(entry, why)

    def _obstacle(self, entry: Entry) -> str:
        """Say why a restore should not even be tried; empty if it should."""
        if self.problems:
            return self.problems[0].sentence
        if self.deadline.over:
            return "the budget of the resume ended before it"
        try:
            self.host.verify_checkpoint(self._directory(entry))
        except CheckpointInvalidError as error:
            return f"its checkpoint is damaged: {error.message}"
        return ""

    def _start_from_checkpoint(self, entry: Entry) -> None:
        timeout = self.deadline.limit(self.options.container_timeout)
        attempt = 0
        while True:
            try:
                self.engine.start(entry.id, timeout, checkpoint=entry.checkpoint)
            except DrainerError as error:
                attempt += 1
                if CONTENT_CLASH not in error.message or attempt > CLASH_RETRIES:
                    raise
                self.deadline.sleep(CLASH_PAUSE)
            else:
                return

    def _finish(self, entry: Entry, container: Container) -> None:
        """Prove how a running container came up, and give it its pause and its policy back."""
        restored = self.host.is_restored(container)
        if restored and entry.paused and not container.paused:
            self.engine.pause(entry.id)
        put_policy_back(self.engine, entry)
        if restored:
            self._end(entry, State.RESTORED, "", notes=_changes(entry, container))
            self._clean(entry)
        else:
            why = "Docker started it from the beginning"
            unusable = CheckpointState.UNUSABLE
            self._end(entry, State.STARTED_COLD, why, checkpoint_state=unusable)

    def _clean(self, entry: Entry) -> None:
        """Delete a used checkpoint; a failure costs disk space, not a container."""
        try:
            self.host.remove_restore_copy(self._directory(entry))
            self.engine.delete_checkpoint(entry.id, entry.checkpoint)
        except DrainerError as error:
            note = f"its used checkpoint was not deleted: {error.message}"
            self.record.update(entry.id, notes=(*self.record.entry(entry.id).notes, note))
        self.record.update(entry.id, checkpoint_state=CheckpointState.USED)

    def _start_cold(self, entry: Entry, why: str) -> None:
        """Start from the beginning; the checkpoint is kept for inspection and never used again.

        `restoring` is written first: from here on a second resume must not restore it.
        """
        unusable = CheckpointState.UNUSABLE
        self.record.update(entry.id, state=State.RESTORING, detail=why, checkpoint_state=unusable)
        self.host.remove_restore_copy(self._directory(entry))
        try:
            self.engine.start(entry.id, START_TIMEOUT)
        except EngineTimeoutError:
            raise
        except DrainerError as error:
            put_policy_back(self.engine, entry)
            self._end(entry, State.LEFT, f"{why}; and Docker could not start it: {error.message}")
        else:
            put_policy_back(self.engine, entry)
            self._end(entry, State.STARTED_COLD, why)

    def _end(self, entry: Entry, state: State, detail: str, **changes: object) -> None:
        self.on_change(self.record.update(entry.id, state=state, detail=detail, **changes))

    def _directory(self, entry: Entry) -> str:
        return checkpoint_directory(self.engine.facts(), entry.id, entry.checkpoint)


def _changes(entry: Entry, container: Container) -> tuple[str, ...]:
    """Say in sentences what is not as it was at the drain."""
    now: dict[str, Address] = {a.network: a for a in container.addresses}
    moved = tuple(
        f"its address on {old.network} was {old.ipv4} and is {now[old.network].ipv4}"
        for old in entry.addresses
        if old.network in now and old.ipv4 != now[old.network].ipv4
    )
    renamed = (f"it is called {container.name} now",) if container.name != entry.name else ()
    return renamed + moved
