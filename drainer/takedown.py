"""Take containers down, or give them back: each act is written before it is done."""

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import BoundedSemaphore

from drainer.admission import Admission
from drainer.budget import UNDO_SECONDS, measured, too_late
from drainer.carriers.base import Carriers
from drainer.deadline import Deadline
from drainer.drain_options import DrainOptions
from drainer.engine.base import Engine
from drainer.errors import DrainerError, EngineError, EngineTimeoutError
from drainer.host.base import Host
from drainer.integrity import secure
from drainer.manifest import CheckpointState, Entry, State
from drainer.model import PlanEntry, RestartPolicy
from drainer.release import release
from drainer.room import Amounts, checkpoint_bytes, for_dump, together
from drainer.storage import Places
from drainer.store.manifest_file import Record

HELD = RestartPolicy("no")

LEAST_SECONDS = 40.0
"""What must be left of the budget to begin with one more container, so that it can be undone."""

KILL_POLL = 1.0
KILL_PATIENCE = 30.0
"""Seconds to see a container go down after Docker did not answer the kill."""


@dataclass(frozen=True)
class TakeDown:
    """Takes containers down, each team in a thread of its own.

    A team is a container alone, or a group: all of it is paused before the first is dumped, and
    nothing of it is killed before the last is. Until then any failure gives all of it back.
    """

    engine: Engine
    host: Host
    carriers: Carriers
    record: Record
    deadline: Deadline
    options: DrainOptions
    on_change: Callable[[Entry], None]
    planned: Mapping[str, PlanEntry]
    admission: Admission
    dumps: BoundedSemaphore = field(init=False)
    """As many dumps at once as are asked for, also where teams make several."""

    def __post_init__(self) -> None:
        """Let nothing be dumped yet."""
        object.__setattr__(self, "dumps", BoundedSemaphore(self.options.parallel))

    def carry(self, team: Collection[str]) -> None:
        """Take a team through all states, users before those that they use, or leave it."""
        entries = [self.record.entry(container) for container in team]
        entries.sort(key=lambda e: (self.planned[e.id].wave, e.name))
        with self.admission.of(entries[0].id, lambda places: self._wanted(entries, places)) as lack:
            if why := self._too_late(entries) or lack:
                for entry in entries:
                    self._advance(entry, State.LEFT, detail=why)
            else:
                self._take_down(entries)

    def _wanted(self, entries: list[Entry], places: Places) -> Amounts:
        planned = [self.planned[e.id] for e in entries]
        return together(
            *(for_dump(p.route, p.expected_bytes, p.processes, places) for p in planned)
        )

    def _too_late(self, team: list[Entry]) -> str:
        """Say why nothing more is begun, or not these; empty if they are."""
        if self.deadline.interrupted:
            return "interrupted"
        left = self.deadline.left
        if left is not None and left < LEAST_SECONDS:
            return "the budget ended before it"
        size = sum(checkpoint_bytes(self.planned[e.id].expected_bytes) for e in team)
        for entry in team:
            # Others are of an earlier drain, whose disk may have been less busy, or written
            # otherwise.
            alike = (entry.checkpoint, entry.route)
            entries = self.record.manifest.entries
            pace = measured(e for e in entries if (e.checkpoint, e.route) == alike)
            if why := too_late(size, pace, left, entry.route):
                return why
        return ""

    def _take_down(self, team: list[Entry]) -> None:
        failures = (
            self._each(self._hold, team, 1)
            or self._each(self._begin, team, 1)
            or self._each(self._pause, team, self.options.parallel)
            or self._each(self._dump, team, self.options.parallel)
        )
        if failures:
            first = next(entry for entry in team if entry.id in failures)
            why = f"its group goes together, and {first.name} failed: {_words(failures[first.id])}"
            failures = {e.id: failures.get(e.id, DrainerError(why)) for e in team}
        for entry in team:
            failure = failures.get(entry.id) or self._each(self._stop, [entry], 1).get(entry.id)
            if failure:
                failures[entry.id] = failure
                self._give_up(entry, failure)
        for failure in failures.values():
            if not isinstance(failure, DrainerError):
                raise failure

    def _each(
        self, step: Callable[[Entry], None], team: list[Entry], at_once: int
    ) -> dict[str, Exception]:
        """Take a step with each; return what failed. After a failure no other begins."""
        failures: dict[str, Exception] = {}

        def take(entry: Entry) -> None:
            if failures:
                return
            try:
                step(entry)
            except Exception as error:  # noqa: BLE001 - raised again when all are given back
                failures[entry.id] = error

        if len(team) == 1 or at_once == 1:
            for entry in team:
                take(entry)
            return failures
        with ThreadPoolExecutor(min(at_once, len(team)), thread_name_prefix="team") as pool:
            list(pool.map(take, team))
        return failures

    def _advance(self, entry: Entry, state: State, **changes: object) -> None:
        self.on_change(self.record.update(entry.id, state=state, **changes))

    def _hold(self, entry: Entry) -> None:
        container = self.engine.inspect(entry.id)
        if container.started_at != entry.started_at:
            raise DrainerError("it was restarted after the plan was made")
        policy = container.restart_policy
        self._advance(entry, State.HELD, paused=container.paused, restart_policy=policy)
        if not policy.held:
            self.engine.set_restart_policy(entry.id, HELD)

    def _begin(self, entry: Entry) -> None:
        self._advance(entry, State.DUMPING)

    def _pause(self, entry: Entry) -> None:
        if not self.record.entry(entry.id).paused:
            self.engine.pause(entry.id)

    def _dump(self, entry: Entry) -> None:
        with self.dumps:
            carrier = self.carriers[entry.route]
            limit = self.deadline.limit(self.options.seconds(entry), keep=UNDO_SECONDS)
            begin = time.monotonic()
            carrier.checkpoint(entry, limit)
            took = time.monotonic() - begin
            directory = carrier.images(entry)
            size = self.host.verify_checkpoint(directory)
            container = self.engine.inspect(entry.id)
            evidence, notes = secure(
                self.host, self.record, container, directory, self.deadline, took
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
        container = self.engine.inspect(entry.id)
        if not container.paused or container.started_at != entry.started_at:
            raise DrainerError("somebody let it run on during the drain")
        if self.host.kill_frozen(container):
            # That Docker has not seen it yet takes nothing from it: a resume would make it look.
            try:
                self._advance(entry, State.STOPPED)
            finally:
                with suppress(DrainerError):
                    self.engine.kill(entry.id)
            return
        try:
            self.engine.kill(entry.id)
        except EngineTimeoutError:
            # It was sent: from here on the container must not be given back as if it lived.
            self._see_it_down(entry)
        self._advance(entry, State.STOPPED)

    def _see_it_down(self, entry: Entry) -> None:
        end = time.monotonic() + KILL_PATIENCE
        while self.engine.inspect(entry.id).running:
            if time.monotonic() >= end:
                raise _UnclearError("Docker was told to kill it, and it is not down yet")
            time.sleep(KILL_POLL)

    def _give_up(self, entry: Entry, error: Exception) -> None:
        entry = self.record.entry(entry.id)
        why = _words(error)
        down = entry.state is State.DUMPED and not self._runs(entry)
        if entry.state is State.STOPPED:
            return
        if down or isinstance(error, _UnclearError):
            # Whether it ran on before it went down is not known: a resume starts it cold.
            self.on_change(self.record.update(entry.id, detail=why))
            return
        unsure = isinstance(error, EngineTimeoutError)
        left = release(self.engine, self.record, self.carriers, entry, why, unsure=unsure)
        self.on_change(left)
        begun = entry.state in {State.DUMPING, State.DUMPED}
        if (
            self.options.stops_failed(self.planned[entry.id].wish)
            and begun
            and left.state is State.LEFT
        ):
            self._stop_in_order(left)

    def _stop_in_order(self, entry: Entry) -> None:
        """Take down what could not be checkpointed; without a checkpoint a resume starts it cold.

        Written first: if it then still runs, a resume gives it back.
        """
        limit = self.deadline.limit(self.options.seconds(entry), keep=UNDO_SECONDS)
        try:
            now = self.engine.inspect(entry.id)
            self._advance(entry, State.STOPPED, started_at=now.started_at)
            self.engine.set_restart_policy(entry.id, HELD)
            self.engine.stop_in_order(entry.id, limit)
        except DrainerError as error:
            why = f"{entry.detail}; and it was not seen to stop: {error.message}"
            self.record.update(entry.id, detail=why)

    def _runs(self, entry: Entry) -> bool:
        try:
            return self.engine.inspect(entry.id).running
        except DrainerError:
            return True


class _UnclearError(EngineError):
    """A container was told to die, and whether it did is not known."""


def _words(error: Exception) -> str:
    return error.message if isinstance(error, DrainerError) else repr(error)
