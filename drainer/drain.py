"""Carry out a plan: checkpoint what is eligible, writing ahead of each act."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from drainer.admission import Admission
from drainer.budget import UNDO_SECONDS, doubtful, measured, too_late
from drainer.carriers.base import Carriers
from drainer.compatibility import require_same_engine
from drainer.deadline import Deadline
from drainer.drain_options import DrainOptions
from drainer.engine.base import Engine
from drainer.errors import ContainerGoneError, DrainerError, EngineError, EngineTimeoutError
from drainer.ghost import look
from drainer.host.base import Host
from drainer.integrity import secure
from drainer.manifest import CheckpointState, Entry, Manifest, State, checkpoint_name
from drainer.model import Bond, Plan, PlanEntry, RestartPolicy, Verdict
from drainer.order import waves
from drainer.priority import urgency
from drainer.recover import Step, next_step, waiting_users
from drainer.release import forget, release, take_up
from drainer.retain import keep_last
from drainer.room import checkpoint_bytes, for_dump
from drainer.schedule import run_in_order
from drainer.store import evidence_file
from drainer.store.manifest_file import ManifestFile, Record

HELD = RestartPolicy("no")

LEAST_SECONDS = 40.0
"""What must be left of the budget to begin with one more container, so that it can be undone."""

LOOKS_AT_ONCE = 16
"""Each may have to wait for seconds, and does nothing meanwhile."""

KILL_POLL = 1.0
KILL_PATIENCE = 30.0
"""Seconds to see a container go down after Docker did not answer the kill."""

LOSSES = frozenset({"exec_sessions", "tcp_connections"})
"""Notes on what a carried container loses; the other notes are advice before a drain."""


def settle(
    engine: Engine,
    host: Host,
    record: Record,
    carriers: Carriers,
    looks_at_once: int = LOOKS_AT_ONCE,
) -> tuple[Entry, ...]:
    """Look after a manifest that still waits for its resume, before a new drain begins.

    What runs again is given back to Docker, with its restart policy; so the new plan sees it as
    its owner set it. What is still down, or could not be given back, is returned, to be kept in
    the new manifest. So is who was left to Docker but uses something that is down.
    """
    require_same_engine(record.manifest, engine, engine.facts())
    take_up(record, carriers)
    kept: list[Entry] = []
    pending = [e for e in record.manifest.entries if not e.state.ended]
    with ThreadPoolExecutor(looks_at_once, thread_name_prefix="look") as pool:
        looks = {e.id: pool.submit(look, engine, host, e) for e in pending}
    for entry in record.manifest.entries:
        if entry.state.ended:
            if entry.state is State.RESTORED and entry.checkpoint_state is CheckpointState.COMPLETE:
                # A resume ended before it came to that, and the next manifest tells nothing of it.
                with suppress(DrainerError):
                    carriers[entry.route].delete(entry)
            continue
        try:
            container = looks[entry.id].result()
        except ContainerGoneError:
            forget(record, carriers, entry, "removed since the drain")
            continue
        except EngineError:
            kept.append(entry)
            continue
        settled = entry
        if container.running or next_step(entry, container) is Step.RELEASE:
            settled = release(engine, record, carriers, entry, "it ran again before a resume")
        if not settled.state.ended:
            kept.append(settled)
    down = {e.id for e in kept}
    waiting = waiting_users(record.manifest.entries)
    users = (e for e in record.manifest.entries if e.id in waiting - down and e.state is State.LEFT)
    return (*kept, *users)


def adds(plan: Plan, manifest: Manifest) -> bool:
    """Tell whether a plan has anything to carry, or to report, that a settled manifest has not."""
    known = {e.id for e in manifest.entries if e.state in {State.LEFT, State.STOPPED}}
    return bool(plan.carried) or any(e.container.id not in known for e in plan.entries)


def new_manifest(
    plan: Plan, kept: tuple[Entry, ...], options: DrainOptions, now: datetime
) -> Manifest:
    """Make the manifest of a plan: one entry for each container, and those still to be resumed."""
    drain_id = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    unfinished = {e.id for e in kept if not e.state.ended}
    planned = [_entry(e, drain_id) for e in plan.entries if e.container.id not in unfinished]
    needs = {e.id: e.needs for e in kept}
    new = {e.id: replace(e, needs=_united(e.needs, needs.get(e.id, ()))) for e in planned}
    entries = (*(e for e in kept if e.id not in new), *new.values())
    if kept:
        # Each drain ordered its own: one that still waits may use one that is drained again.
        wave_of = waves({e.id: [(need, Bond.NETWORK) for need in e.needs] for e in entries})
        entries = tuple(replace(e, wave=wave_of[e.id]) for e in entries)
    return Manifest(
        drain_id=drain_id,
        created=now.astimezone(UTC).isoformat(timespec="seconds"),
        trigger=options.trigger,
        reason=options.reason,
        by=options.by,
        host=plan.host,
        engine=plan.engine,
        entries=entries,
    )


def _united(some: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*some, *more)))


def _entry(planned: PlanEntry, drain_id: str) -> Entry:
    container = planned.container
    skipped = planned.verdict is Verdict.SKIP
    return Entry(
        id=container.id,
        name=container.name,
        image=container.image,
        state=State.LEFT if skipped else State.PLANNED,
        restart_policy=container.restart_policy,
        started_at=container.started_at,
        paused=container.paused,
        addresses=container.addresses,
        ports=container.ports,
        wave=planned.wave,
        needs=planned.needs,
        route=planned.route,
        runtime_root=planned.runtime_root,
        criu_options=planned.criu_options,
        timeout=planned.wish.timeout,
        on_restore_failure=fallback.value if (fallback := planned.wish.on_restore_failure) else "",
        checkpoint="" if skipped else checkpoint_name(drain_id),
        skip_reason=planned.reasons[0].id if skipped else "",
        detail=planned.reasons[0].sentence if skipped else "",
        notes=tuple(note.sentence for note in planned.notes if note.id in LOSSES),
    )


def drain(
    plan: Plan,
    engine: Engine,
    host: Host,
    carriers: Carriers,
    file: ManifestFile,
    deadline: Deadline,
    options: DrainOptions,
    on_change: Callable[[Entry], None] = lambda _entry: None,
    kept: tuple[Entry, ...] = (),
) -> Manifest:
    """Checkpoint every eligible container of `plan` and take it down; return the manifest.

    Users go before what they use, and of those that could be next, what is worth most to its owner.
    What has no room, or does not fit into the budget, is left to Docker untouched. Until a
    container is killed, any failure leaves it running with nothing but a pause behind it, its
    policy put back, and the others go on.
    """
    manifest = new_manifest(plan, kept, options, datetime.now(UTC))
    record = Record(file, manifest)
    past = keep_last(file)
    file.write(manifest)
    file.keep_reserve(manifest)
    # No manifest speaks any more of what else is there.
    if past is not None:
        names = {e.checkpoint for e in manifest.entries if e.checkpoint}
        names.update(map(checkpoint_name, past))
        for carrier in carriers.values():
            carrier.prune(names)
    evidence_file.prune(file.directory, {e.id for e in manifest.entries if e.evidence})
    new = {e.id for e in manifest.entries if e.state is State.PLANNED}
    # What may be ended in vain must not take the time of what is surely done.
    left = deadline.left
    ordered = sorted(plan.carried, key=lambda e: doubtful(checkpoint_bytes(e.expected_bytes), left))
    entries = {e.container.id: e for e in ordered if e.container.id in new}
    admission = Admission(lambda: host.places(plan.engine, str(file.directory.path)), deadline)
    worker = _Worker(
        engine, host, carriers, record, deadline, options, on_change, entries, admission
    )
    users: dict[str, list[str]] = {key: [] for key in entries}
    for user in entries.values():
        for provider in user.needs:
            # A cycle was cut by the order of the waves.
            if provider in entries and entries[provider].wave > user.wave:
                users[provider].append(user.container.id)
    run_in_order(users, worker.carry, options.parallel, urgency(entries.values()))
    return record.manifest


class _Worker:
    """Takes single containers down, each in a thread of its own."""

    def __init__(
        self,
        engine: Engine,
        host: Host,
        carriers: Carriers,
        record: Record,
        deadline: Deadline,
        options: DrainOptions,
        on_change: Callable[[Entry], None],
        planned: Mapping[str, PlanEntry],
        admission: Admission,
    ) -> None:
        self._engine = engine
        self._host = host
        self._carriers = carriers
        self._record = record
        self._deadline = deadline
        self._options = options
        self._on_change = on_change
        self._planned = planned
        self._admission = admission

    def carry(self, container: str) -> None:
        """Take one container through held, dumping, dumped and stopped, or give it back."""
        entry = self._record.entry(container)
        planned = self._planned[container]
        size = planned.expected_bytes
        wanted = partial(for_dump, planned.route, size, planned.processes)
        with self._admission.of(container, wanted) as no_room:
            if why := self._too_late(entry) or no_room:
                self._on_change(self._record.update(container, state=State.LEFT, detail=why))
            else:
                self._take_down(entry)

    def _too_late(self, entry: Entry) -> str:
        """Say why nothing more is begun, or not this one; empty if it is."""
        if self._deadline.interrupted:
            return "interrupted"
        left = self._deadline.left
        if left is not None and left < LEAST_SECONDS:
            return "the budget ended before it"
        # Others are of an earlier drain, whose disk may have been less busy, or written otherwise.
        alike = (entry.checkpoint, entry.route)
        entries = self._record.manifest.entries
        pace = measured(e for e in entries if (e.checkpoint, e.route) == alike)
        size = checkpoint_bytes(self._planned[entry.id].expected_bytes)
        return too_late(size, pace, left, entry.route)

    def _take_down(self, entry: Entry) -> None:
        try:
            self._hold(entry)
            self._dump(entry)
            self._stop(entry)
        except Exception as error:
            self._give_up(entry, error)
            if not isinstance(error, DrainerError):
                raise

    def _advance(self, entry: Entry, state: State, **changes: object) -> None:
        self._on_change(self._record.update(entry.id, state=state, **changes))

    def _hold(self, entry: Entry) -> None:
        container = self._engine.inspect(entry.id)
        if container.started_at != entry.started_at:
            raise DrainerError("it was restarted after the plan was made")
        policy = container.restart_policy
        self._advance(entry, State.HELD, paused=container.paused, restart_policy=policy)
        if not policy.held:
            self._engine.set_restart_policy(entry.id, HELD)

    def _dump(self, entry: Entry) -> None:
        self._advance(entry, State.DUMPING)
        if not self._record.entry(entry.id).paused:
            self._engine.pause(entry.id)
        carrier = self._carriers[entry.route]
        limit = self._deadline.limit(self._options.seconds(entry), keep=UNDO_SECONDS)
        begin = time.monotonic()
        carrier.checkpoint(entry, limit)
        took = time.monotonic() - begin
        directory = carrier.images(entry)
        size = self._host.verify_checkpoint(directory)
        container = self._engine.inspect(entry.id)
        evidence, notes = secure(
            self._host, self._record, container, directory, self._deadline, took
        )
        self._advance(
            entry,
            State.DUMPED,
            size=size,
            checkpoint_state=CheckpointState.COMPLETE,
            evidence=evidence,
            notes=(*entry.notes, *notes),
        )

    def _stop(self, entry: Entry) -> None:
        container = self._engine.inspect(entry.id)
        if not container.paused or container.started_at != entry.started_at:
            raise DrainerError("somebody let it run on during the drain")
        if self._host.kill_frozen(container):
            # That Docker has not seen it yet takes nothing from it: a resume would make it look.
            try:
                self._advance(entry, State.STOPPED)
            finally:
                with suppress(DrainerError):
                    self._engine.kill(entry.id)
            return
        try:
            self._engine.kill(entry.id)
        except EngineTimeoutError:
            # It was sent: from here on the container must not be given back as if it lived.
            self._see_it_down(entry)
        self._advance(entry, State.STOPPED)

    def _see_it_down(self, entry: Entry) -> None:
        end = time.monotonic() + KILL_PATIENCE
        while self._engine.inspect(entry.id).running:
            if time.monotonic() >= end:
                raise _UnclearError("Docker was told to kill it, and it is not down yet")
            time.sleep(KILL_POLL)

    def _give_up(self, entry: Entry, error: Exception) -> None:
        entry = self._record.entry(entry.id)
        why = error.message if isinstance(error, DrainerError) else repr(error)
        down = entry.state is State.DUMPED and not self._runs(entry)
        if entry.state is State.STOPPED:
            return
        if down or isinstance(error, _UnclearError):
            # Whether it ran on before it went down is not known: a resume starts it cold.
            self._on_change(self._record.update(entry.id, detail=why))
            return
        unsure = isinstance(error, EngineTimeoutError)
        left = release(self._engine, self._record, self._carriers, entry, why, unsure=unsure)
        self._on_change(left)
        begun = entry.state in {State.DUMPING, State.DUMPED}
        if (
            self._options.stops_failed(self._planned[entry.id].wish)
            and begun
            and left.state is State.LEFT
        ):
            self._stop_in_order(left)

    def _stop_in_order(self, entry: Entry) -> None:
        """Take down what could not be checkpointed; without a checkpoint a resume starts it cold.

        Written first: if it then still runs, a resume gives it back.
        """
        limit = self._deadline.limit(self._options.seconds(entry), keep=UNDO_SECONDS)
        try:
            now = self._engine.inspect(entry.id)
            self._advance(entry, State.STOPPED, started_at=now.started_at)
            self._engine.set_restart_policy(entry.id, HELD)
            self._engine.stop_in_order(entry.id, limit)
        except DrainerError as error:
            why = f"{entry.detail}; and it was not seen to stop: {error.message}"
            self._record.update(entry.id, detail=why)

    def _runs(self, entry: Entry) -> bool:
        try:
            return self._engine.inspect(entry.id).running
        except DrainerError:
            return True


class _UnclearError(EngineError):
    """A container was told to die, and whether it did is not known."""


def outcome_counts(manifest: Manifest) -> tuple[int, int]:
    """Return how many containers were to be carried, and how many are down with a checkpoint."""
    eligible = [e for e in manifest.entries if not e.skip_reason]
    carried = (CheckpointState.COMPLETE, State.STOPPED)
    return len(eligible), sum((e.checkpoint_state, e.state) == carried for e in eligible)
