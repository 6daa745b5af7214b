"""Take containers down, or give them back: each act is written before it is done."""

import math
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

from drainer.admission import Admission
from drainer.budget import UNDO_SECONDS, Pace, fits, measured, too_late
from drainer.carriers.base import Carriers
from drainer.deadline import Deadline
from drainer.drain_options import DrainOptions
from drainer.engine.base import Engine
from drainer.errors import DrainerError, EngineError, EngineTimeoutError
from drainer.host.base import Host
from drainer.integrity import Foreseen, foresee, secure
from drainer.keeping import cut_off
from drainer.lanes import Lanes
from drainer.manifest import CheckpointState, Entry, State
from drainer.model import Container, PlanEntry, RestartPolicy, Route
from drainer.release import release, thaw
from drainer.room import (
    Amounts,
    available,
    checkpoint_bytes,
    demand,
    largest,
    shortage,
    together,
)
from drainer.steps import Failures, each
from drainer.storage import Places
from drainer.store.manifest_file import Record

HELD = RestartPolicy("no")

LEAST_SECONDS = 40.0
"""What must be left of the budget to begin with one more container, so that it can be undone."""

KILL_POLL = 1.0
KILL_PATIENCE = 30.0
"""Seconds to see a container go down after Docker did not answer the kill."""
KILL_TRIES = 3
"""How often the kill of a container is tried whose group is partly down."""


@dataclass
class TakeDown:
    """Takes containers down, each team in a thread of its own.

    A team is a container alone, or a group: all of it is paused before the first is dumped, and
    nothing of it is killed before the last is. Until the first kill, any failure gives all of it
    back.
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
    lanes: Lanes
    near: Collection[str] = ()
    """The addresses that go away with this host."""
    groups: Lock = field(default_factory=Lock)
    """Held by the group whose turn it is: nothing is to be frozen only to wait for others."""
    down: set[str] = field(default_factory=set)
    """Ids of what was killed, on disk or not."""
    prepared: dict[str, float] = field(default_factory=dict)
    """How many seconds it took to save something beforehand, by container id."""
    foreseen: dict[str, Foreseen] = field(default_factory=dict)
    """What is known of that."""

    def carry(self, team: Collection[str]) -> None:
        """Take a team through all states, users before those that they use, or leave it."""
        entries = [self.record.entry(container) for container in team]
        entries.sort(key=lambda e: (self.planned[e.id].wave, e.name))
        with ExitStack() as stack:
            if len(entries) > 1:
                stack.enter_context(self.groups)
            wanted = partial(self._wanted, entries)
            lack = stack.enter_context(self.admission.of(entries[0].id, wanted))
            if why := self._too_late(entries) or lack:
                for entry in entries:
                    self._advance(entry, State.LEFT, detail=why)
            else:
                stack.enter_context(self.lanes.of(team))
                self._take_down(entries)

    def _at_once(self, team: list[Entry]) -> int:
        """Return how many dumps of a team are made at once.

        Those of the engine route one after the other: what they take in passing is much.
        """
        by_engine = any(entry.route is Route.ENGINE for entry in team)
        return 1 if by_engine else min(self.options.parallel, len(team))

    def _wanted(self, team: list[Entry], places: Places) -> Amounts:
        planned = [self.planned[e.id] for e in team]
        demands = [demand(p.route, p.expected_bytes, p.processes, places) for p in planned]
        return together(*(d.lasting for d in demands), largest(d.passing for d in demands))

    def _too_late(self, team: list[Entry]) -> str:
        """Say why nothing more is begun, or not these; empty if they are."""
        if why := self._over():
            return why
        size = sum(checkpoint_bytes(self.planned[e.id].expected_bytes) for e in team)
        rounds = math.ceil(len(team) / self._at_once(team))
        for entry in team:
            left = self.deadline.left
            if why := too_late(size, self._pace(entry), left, entry.route, rounds):
                return why
        return ""

    def _over(self) -> str:
        if self.deadline.interrupted:
            return "interrupted"
        left = self.deadline.left
        return "the budget ended before it" if left is not None and left < LEAST_SECONDS else ""

    def _take_down(self, team: list[Entry]) -> None:
        failures = (
            each(self._hold, team)
            or each(self._prepare, team, self._at_once(team))
            or each(partial(self._advance, state=State.DUMPING), team)
            or each(self._pause, team, self.options.parallel)
            or self._cut_off([entry for entry in team if entry.keeps_connections])
            or each(self._dump, team, self._at_once(team))
            or each(self._check, team if len(team) > 1 else [])
            or self._kill_all(team)
        )
        self._join(team)
        if failures:
            self._give_up_all(team, failures)
        for failure in failures.values():
            if not isinstance(failure, DrainerError):
                raise failure

    def _advance(self, entry: Entry, state: State, **changes: object) -> None:
        self.on_change(self.record.update(entry.id, state=state, **changes))

    def _hold(self, entry: Entry) -> None:
        container = self.engine.inspect(entry.id)
        if not container.running or container.started_at != entry.started_at:
            raise DrainerError("it ended or was restarted after the plan was made")
        policy = container.restart_policy
        self._advance(entry, State.HELD, paused=container.paused, restart_policy=policy)
        if not policy.held:
            self.engine.set_restart_policy(entry.id, HELD)

    def _prepare(self, entry: Entry) -> None:
        """Save most of its memory while it runs. Nothing depends on it but how long it is frozen.

        Only where time and room are enough for all of its memory to be saved three times: that is
        what two pre-dumps and the dump take where all of it changes meanwhile.
        """
        planned = self.planned[entry.id]
        if not planned.pre_dump or self._over():
            return
        size = 3 * planned.expected_bytes
        places = self.admission.look()
        wanted = demand(planned.route, size, planned.processes, places).lasting
        needed = self._pace(entry).seconds(checkpoint_bytes(size))
        if not fits(needed, self.deadline.left) or shortage(available(places), wanted):
            return
        limit = self.deadline.limit(self.options.seconds(entry), keep=UNDO_SECONDS)
        begin = time.monotonic()
        self.lanes.begin(entry.id)
        try:
            saved = self.carriers[entry.route].prepare(entry, limit)
            if saved:
                # What was deleted again says nothing of how fast the rest will be.
                took = time.monotonic() - begin
                self.foreseen[entry.id] = foresee(self.host, saved, self.deadline)
                self.prepared[entry.id] = took
        except EngineTimeoutError:
            # It is still under way, and no second dump can be made beside it.
            raise
        except DrainerError as error:
            self.carriers[entry.route].delete(entry)
            note = f"its memory was not saved beforehand: {error.message}"
            self.record.update(entry.id, notes=(*entry.notes, note))

    def _pace(self, entry: Entry) -> Pace:
        # Others are of an earlier drain, whose disk may have been less busy, or written otherwise.
        alike = (entry.checkpoint, entry.route)
        entries = self.record.manifest.entries
        return measured(e for e in entries if (e.checkpoint, e.route) == alike)

    def _pause(self, entry: Entry) -> None:
        if not self.record.entry(entry.id).paused:
            self.engine.pause(entry.id)

    def _cut_off(self, keepers: list[Entry]) -> Failures:
        """Let the kernel not go on with connections that the next dumps are to find as they are."""
        all_of_them = partial(cut_off, keepers, self.engine, self.host, self.carriers, self.near)
        return each(lambda _: all_of_them(), keepers[:1])

    def _join(self, team: list[Entry]) -> None:
        """Let those that live reach their networks: a dead one's kernel has last words to say."""
        alive = [entry for entry in team if entry.id not in self.down]
        for carrier in self.carriers.values():
            carrier.join([entry for entry in alive if self.carriers[entry.route] is carrier])

    def _dump(self, entry: Entry) -> None:
        if why := self._over():
            raise _OverError(why)
        carrier = self.carriers[entry.route]
        limit = self.deadline.limit(self.options.seconds(entry), keep=UNDO_SECONDS)
        begin, prepared = time.monotonic(), self.prepared.get(entry.id)
        if prepared is None:
            self.lanes.begin(entry.id)
        read = carrier.checkpoint(entry, limit)
        took = time.monotonic() - begin
        directory = carrier.images(entry)
        size = self.host.verify_checkpoint(directory)
        now, foreseen = self.engine.inspect(entry.id), self.foreseen.get(entry.id, Foreseen())
        noted = secure(
            *(self.host, self.record, now, directory, self.deadline, took, read),
            foreseen.checksums,
        )
        flushing = foreseen.flushing + noted.flushing
        self.lanes.end(entry.id, size, flushing)
        self._advance(
            entry,
            State.DUMPED,
            size=size,
            dump_milliseconds=round(((prepared or 0.0) + took + flushing) * 1000),
            checkpoint_state=CheckpointState.COMPLETE,
            evidence=noted.digest,
            notes=(*self.record.entry(entry.id).notes, *noted.notes),
        )

    def _check(self, entry: Entry) -> Container:
        container = self.engine.inspect(entry.id)
        if not container.paused or container.started_at != entry.started_at:
            raise DrainerError("somebody let it run on during the drain")
        return container

    def _kill_all(self, team: list[Entry]) -> Failures:
        """Kill each; return what could not be killed. Whoever is told of it is told afterwards.

        What fails before anything is down, fails for all. Then only patience keeps a group
        together.
        """
        failures: Failures = {}
        for entry in team:
            failure = self._killed(entry, team)
            if failure:
                failures[entry.id] = failure
                if entry is team[0] and not self._any_down(team):
                    break
        for entry in team:
            if entry.id not in failures and self.record.entry(entry.id).state is State.STOPPED:
                self.on_change(self.record.entry(entry.id))
        return failures

    def _any_down(self, team: list[Entry]) -> bool:
        return any(entry.id in self.down for entry in team)

    def _killed(self, entry: Entry, team: list[Entry]) -> Exception | None:
        """Kill one, and try that again while others of its team, or itself, are down already."""
        for left in reversed(range(KILL_TRIES)):
            failure = each(self._kill, [entry]).get(entry.id)
            again = left and self._any_down(team) and not self.deadline.over
            if failure is None or isinstance(failure, _UnclearError) or not again:
                break
            self.deadline.sleep(KILL_POLL)
        return failure

    def _kill(self, entry: Entry) -> None:
        if entry.id in self.down:
            self.record.update(entry.id, state=State.STOPPED)
            return
        if self.host.kill_frozen(self._check(entry)):
            self.down.add(entry.id)
            # That Docker has not seen it yet takes nothing from it: a resume would make it look.
            try:
                self.record.update(entry.id, state=State.STOPPED)
            finally:
                with suppress(DrainerError):
                    self.engine.kill(entry.id)
            return
        try:
            self.engine.kill(entry.id)
        except EngineTimeoutError:
            # It was sent: from here on the container must not be given back as if it lived.
            self._see_it_down(entry)
        self.down.add(entry.id)
        self.record.update(entry.id, state=State.STOPPED)

    def _see_it_down(self, entry: Entry) -> None:
        end = time.monotonic() + KILL_PATIENCE
        while self.engine.inspect(entry.id).running:
            if time.monotonic() >= end:
                raise _UnclearError("Docker was told to kill it, and it is not down yet")
            time.sleep(KILL_POLL)

    def _give_up_all(self, team: list[Entry], failures: Failures) -> None:
        """Give back what is not down: first all run again, then each is dealt with, users first.

        That this fails for one keeps no other from it; what is left undone a resume does.
        """
        first = next(entry for entry in team if entry.id in failures)
        why = f"it goes together with {first.name}, which failed: {_words(failures[first.id])}"
        entries = [self.record.entry(entry.id) for entry in team]
        up = [entry for entry in entries if entry.state is not State.STOPPED]
        if len(up) > 1:
            for entry in up:
                with suppress(DrainerError):
                    thaw(self.engine, self.host, entry)
        begun = {e.id for e in up if e.state in {State.DUMPING, State.DUMPED}}
        for entry in up:
            failure = failures.setdefault(entry.id, DrainerError(why))
            failures.update(each(partial(self._give_up, error=failure), [entry]))
        if any(isinstance(failure, _OverError) for failure in failures.values()):
            return
        for entry in up:
            if entry.id in begun and self.options.stops_failed(self.planned[entry.id].wish):
                failures.update(each(self._stop_in_order, [entry]))

    def _give_up(self, entry: Entry, error: Exception) -> None:
        why = _words(error)
        down = entry.state is State.DUMPED and not self._runs(entry)
        if down or isinstance(error, _UnclearError):
            # Whether it ran on before it went down is not known: a resume starts it cold.
            self.on_change(self.record.update(entry.id, detail=why))
            return
        unsure = isinstance(error, EngineTimeoutError)
        edges = (self.engine, self.host, self.record, self.carriers)
        self.on_change(release(*edges, entry, why, unsure=unsure))

    def _stop_in_order(self, entry: Entry) -> None:
        """Take down what could not be checkpointed; without a checkpoint a resume starts it cold.

        Written first: if it then still runs, a resume gives it back.
        """
        entry = self.record.entry(entry.id)
        if entry.state is not State.LEFT:
            return
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


class _OverError(DrainerError):
    """Somebody wants an end, or the time is over: the dump itself has not failed."""


def _words(error: Exception) -> str:
    return error.message if isinstance(error, DrainerError) else repr(error)
