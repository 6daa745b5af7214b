"""Bring back everything that a drain took down, each container at most once from its checkpoint."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType

from drainer.admission import Admission
from drainer.carriers.base import Carrier, Carriers
from drainer.deadline import Deadline
from drainer.engine.base import Engine
from drainer.engine.patience import wait_for_engine, wait_until_running
from drainer.errors import (
    ContainerGoneError,
    DrainerError,
    EngineTimeoutError,
    EngineUnavailableError,
    NotBegunError,
)
from drainer.gathering import Gathering
from drainer.ghost import look
from drainer.host.base import Host
from drainer.integrity import check_files, restore_obstacle
from drainer.lacking import Lack, lacking, lacks_provider
from drainer.manifest import CheckpointState, Entry, Manifest, State
from drainer.model import Container, Route
from drainer.placeholders import AddressKeeper
from drainer.recover import Step, next_step, resume_order, waiting_users
from drainer.release import (
    forget,
    made_anew,
    may_come_back,
    may_restore_again,
    put_policy_back,
    release,
    start_cold,
    start_like_docker,
    take_up,
)
from drainer.resume_options import DEAF, Audience, ResumeOptions
from drainer.retain import expire
from drainer.room import for_restore
from drainer.schedule import run_in_order
from drainer.sentences import changes, first_line, why_cold
from drainer.store.manifest_file import Record

PASSES = 3
"""How often a container is looked at whose last attempt ended without an answer from Docker."""
PASS_PAUSE = 5.0


def resume(
    record: Record,
    engine: Engine,
    host: Host,
    carriers: Carriers,
    deadline: Deadline,
    options: ResumeOptions,
    audience: Audience = DEAF,
    obstacles: Mapping[Route, str] = MappingProxyType({}),
    keeper: AddressKeeper | None = None,
) -> Manifest:
    """Restore, else start cold, every container that the manifest waits for and can be started.

    Providers go before their users. When the budget is over, the rest is started cold; when
    interrupted, the rest keeps its state for the next resume. What could not be settled, for want
    of an answer from Docker or of a network, volume or port, is tried again; if it stays so, the
    manifest that is returned stays pending. `obstacles` says why a route cannot be used, `keeper`
    sees to the addresses. That it is the same Docker is the caller's to see to
    (`require_same_engine`).
    """
    manifest = record.manifest
    worker = _Worker(engine, host, carriers, record, deadline, options, audience, obstacles, keeper)
    take_up(record, carriers)
    providers = resume_order(manifest.entries)
    urgency = {entry.id: entry.priority for entry in manifest.entries}
    for turn in range(PASSES):
        worker.begin_pass(last=turn == PASSES - 1)
        if not turn:
            check_files(record, host, host.boot_id(), deadline, worker.without_files)
        run_in_order(providers, worker.bring_back, options.parallel, urgency)
        if not worker.unsettled or deadline.interrupted:
            break
        deadline.sleep(PASS_PAUSE)
        with suppress(EngineUnavailableError, EngineTimeoutError):
            wait_for_engine(engine, deadline, options.engine_wait)
    if not worker.unsettled:
        expire(record.directory, record.finish(), carriers, options.retention, datetime.now(UTC))
    return record.manifest


class _Worker:
    """Brings single containers back, each in a thread of its own."""

    def __init__(
        self,
        engine: Engine,
        host: Host,
        carriers: Carriers,
        record: Record,
        deadline: Deadline,
        options: ResumeOptions,
        audience: Audience,
        obstacles: Mapping[Route, str],
        keeper: AddressKeeper | None,
    ) -> None:
        self._engine = engine
        self._host = host
        self._carriers = carriers
        self._record = record
        self._deadline = deadline
        self._options = options
        self._on_change = audience.changed
        self._on_lacking = audience.lacking
        self._obstacles = obstacles
        self._waiting = waiting_users(record.manifest.entries)
        self._keeper = keeper
        self._admission = Admission(
            lambda: host.places(record.manifest.engine, str(record.directory.path)), deadline
        )
        self._last = False
        self._gathering = Gathering(record, carriers)
        self._late: set[str] = set()
        """Ids whose restore was not ended within its time: it would not be the next time."""
        self._lacking: dict[str, Lack] = {}
        """Why Docker could not start a container at all, by id."""
        self.unsettled: set[str] = set()
        """Ids whose end is open: they are to be looked at again."""

    def begin_pass(self, *, last: bool) -> None:
        """Look at every container anew; in the last pass no user waits for its provider."""
        self.unsettled.clear()
        self._last = last
        # Each of these keeps its checkpoint until it can be started.
        before = self._lacking
        self._lacking = lacking(
            self._record.manifest, self._engine, self._host, self._deadline, before
        )
        if self._lacking != before:
            self._on_lacking(self._lacking)

    @property
    def without_files(self) -> frozenset[str]:
        """Ids of those whose open files cannot be looked at now."""
        return frozenset(i for i, lack in self._lacking.items() if lack.files_away)

    def bring_back(self, container: str) -> None:
        """Do for one container what the manifest and Docker say is left to do."""
        entry = self._record.entry(container)
        if self._deadline.interrupted or container in self._options.spared:
            if not entry.state.ended:
                self.unsettled.add(container)
            return
        lack = self._lacking.get(container)
        try:
            if lack and self._options.give_up:
                self._leave(entry, f"it cannot be started: {lack}; left down, as was asked for")
            elif lack:
                self._record.update(container, detail=str(lack))
            else:
                self._act(entry)
        except DrainerError as error:
            self.unsettled.add(container)
            self._on_change(self._record.update(entry.id, detail=first_line(error)))
        if self._record.entry(container).state.ended:
            self._gathering.ended(entry)
        else:
            self.unsettled.add(container)

    def _act(self, entry: Entry) -> None:
        try:
            container = look(self._engine, self._host, entry)
        except ContainerGoneError:
            container = None
        match next_step(entry, container, waited=entry.id in self._waiting):
            case Step.NOTHING:
                return
            case Step.FORGET:
                why = "it was removed since the drain" + made_anew(self._engine, entry)
                self._on_change(forget(self._record, self._carriers, entry, why))
            case Step.RELEASE:
                why = "it ran again before the resume" if entry.size else "the drain was cut short"
                edges = (self._engine, self._host, self._record, self._carriers)
                self._on_change(release(*edges, entry, why, last=self._last))
            case Step.CLEAN:
                self._clean(entry)
            case Step.START_LIKE_DOCKER:
                self._start_like_docker(entry)
            case Step.RESTORE if container:
                self._restore_in_turn(entry, container)
            case Step.CONFIRM if container:
                self._finish(entry, container)
            case Step.START_COLD if entry.state is State.RESTORING and self._ended_well(entry):
                return
            case _:
                self._start_cold(entry, why_cold(entry), again=entry.state is State.RESTORING)

    def _ended_well(self, entry: Entry) -> bool:
        """Let a restore that an earlier run began end; tell whether that settled it."""
        self._carrier(entry).wait(entry, self._deadline.limit(self._options.seconds(entry)))
        container = self._engine.inspect(entry.id)
        if container.running:
            self._finish(entry, container)
        elif entry.checkpoint_state is CheckpointState.COMPLETE:
            # One that is still held, by an engine that was killed meanwhile, gives up.
            self._carrier(entry).tidy(entry)
            self._ask_again_later(entry, "its restore was cut short")
        return container.running

    def _turn(self, entry: Entry) -> AbstractContextManager[None]:
        return self._keeper.turn(entry) if self._keeper else nullcontext()

    def _start_like_docker(self, entry: Entry) -> None:
        unusable = entry.checkpoint_state is CheckpointState.UNUSABLE
        if unusable and self._options.leaves_failed(entry):
            return
        try:
            started = start_like_docker(self._engine, entry)
        except (EngineTimeoutError, EngineUnavailableError):
            raise
        except DrainerError as error:
            if not self._last:
                raise
            # What it uses may be gone for good: the manifest does not wait for it for ever.
            detail = f"Docker could not start it: {first_line(error)}"
            self._on_change(self._record.update(entry.id, detail=detail))
            return
        if started:
            detail = f"{entry.detail}; started after what it uses".lstrip("; ")
            self._on_change(self._record.update(entry.id, detail=detail))

    def _restore_in_turn(self, entry: Entry, container: Container) -> None:
        """Restore beside others as far as there is room for containerd's copies."""
        self._wait_for_providers(entry, container)
        if entry.route is not Route.ENGINE:
            self._restore(entry)
            return
        with self._admission.of(entry.id, partial(for_restore, entry.route, entry.size)):
            # Without room even alone it is tried all the same: more is asked for than is needed.
            if self._deadline.interrupted:
                raise DrainerError("interrupted before it")
            self._restore(entry)

    def _restore(self, entry: Entry) -> None:
        """Restore from the checkpoint if it may and can be, else start cold."""
        obstacle = self._obstacles.get(entry.route) or self._own_obstacle(entry)
        if obstacle:
            # Without time for a restore now there may be for one later.
            self._start_cold(entry, obstacle, again=self._deadline.over)
            return
        attempts = entry.attempts + 1
        self._on_change(
            self._record.update(entry.id, state=State.RESTORING, attempts=attempts, detail="")
        )
        why = "Docker reported a start, but it does not run"
        try:
            limit = self._deadline.limit(self._options.seconds(entry))
            with self._turn(entry):
                self._carrier(entry).restore(entry, limit)
        except EngineTimeoutError:
            # Docker goes on with it; a cold start now would only meet the restore.
            self._late.add(entry.id)
            seconds = self._options.seconds(entry)
            wait_until_running(self._engine, entry.id, self._deadline, seconds)
        except EngineUnavailableError:
            self._stopped_again(entry)
            raise
        except NotBegunError:
            self._carrier(entry).tidy(entry)
            self._record.update_all({entry.id: {"state": State.STOPPED}})
            raise
        except DrainerError as error:
            why = f"it could not be restored: {first_line(error)}"
        container = self._engine.inspect(entry.id)
        if container.running:
            self._finish(entry, container)
        else:
            self._ask_again_later(entry, why)
            self._start_cold(entry, why, again=True)

    def _ask_again_later(self, entry: Entry, why: str) -> None:
        """Raise if a restore that failed is to be asked for again: if nothing of it has run.

        What hinders it then is the host, which may be busy, or Docker, which may have been killed.
        """
        late = self._last or entry.id in self._late
        if not late and self._stopped_again(entry):
            raise DrainerError(f"{why}; it is asked for again")

    def _stopped_again(self, entry: Entry) -> bool:
        again = may_restore_again(self._carriers, self._record.entry(entry.id))
        if again:
            # Not stamped: it was stopped by the drain.
            self._record.update_all({entry.id: {"state": State.STOPPED}})
        return again

    def _wait_for_providers(self, entry: Entry, container: Container) -> None:
        """Raise while a container that this one uses is still unsettled, but not for ever.

        What cannot start without one that stays down keeps its checkpoint until that one is up.
        """
        # What cannot live without one that cannot be started is not asked for at all.
        for provider in self.unsettled.intersection(entry.needs) - self._lacking.keys():
            if not self._last and not self._deadline.over:
                raise DrainerError(f"it waits for {self._record.entry(provider).name}")
        if lack := lacks_provider(entry, container, self._record.manifest, self._engine):
            raise DrainerError(str(lack))

    def _own_obstacle(self, entry: Entry) -> str:
        """Say why a restore should not even be tried; empty if it should."""
        if self._deadline.over:
            why = "the budget of the resume ended before it"
            if self._options.leaves_failed(entry):
                # There was no failure to be looked at: the next resume restores it.
                raise DrainerError(why)
            return why
        at = self._carrier(entry).images(entry)
        return restore_obstacle(entry, at, self._record, self._engine, self._host, self._deadline)

    def _finish(self, entry: Entry, container: Container) -> None:
        """Prove how a running container came up, and give it its pause and its policy back."""
        restored = self._host.is_restored(container)
        if restored and entry.paused and not container.paused:
            self._engine.pause(entry.id)
        put_policy_back(self._engine, entry)
        # With its policy held, Docker did not start it again if it ended in between.
        if start_like_docker(self._engine, entry):
            self._end(entry, State.STARTED_COLD, "it ended after its restore and was started anew")
        elif restored:
            notes = (*changes(entry, container), *self._carrier(entry).unkept(entry))
            self._end(entry, State.RESTORED, "", notes=notes)
            self._clean(entry)
        else:
            self._carrier(entry).tidy(entry)
            self._end(entry, State.STARTED_COLD, "Docker started it from the beginning")

    def _clean(self, entry: Entry) -> None:
        """Delete a used checkpoint; a failure costs disk space, not a container."""
        try:
            self._carrier(entry).tidy(entry)
            self._carrier(entry).delete(entry)
        except DrainerError as error:
            note = f"its used checkpoint was not deleted: {error.message}"
            self._record.update(entry.id, notes=(*self._record.entry(entry.id).notes, note))
        self._record.update(entry.id, checkpoint_state=CheckpointState.USED)

    def _start_cold(self, entry: Entry, why: str, *, again: bool = False) -> None:
        """Start from the beginning; the checkpoint is kept for inspection and never used again.

        `restoring` is written first: from here on a second resume must not restore it. Only what
        Docker refuses to start at all may be restored `again` later.
        """
        dumped = entry.checkpoint_state is not CheckpointState.NONE
        leave = dumped and self._options.leaves_failed(entry)
        begun = self._record.entry(entry.id).state is State.RESTORING
        entry = self._record.update(
            entry.id,
            state=None if begun else State.RESTORING,
            detail=why,
            checkpoint_state=CheckpointState.UNUSABLE,
        )
        self._carrier(entry).tidy(entry)
        if leave:
            self._leave(entry, f"{why}; left down, as was asked for")
            return None
        try:
            with self._turn(entry):
                start_cold(self._engine, entry, self._deadline)
        except (EngineTimeoutError, EngineUnavailableError):
            raise
        except DrainerError as error:
            why = f"{why}; and Docker could not start it: {first_line(error)}"
            # What Docker would not start either is not waited for, but memory that may be back is.
            may = again and may_come_back(self._engine, self._carriers, entry, error)
            if self._options.give_up or not may:
                return self._leave(entry, why)
            stopped = {"state": State.STOPPED, "checkpoint_state": CheckpointState.COMPLETE}
            # Its files are compared anew: nobody knows what Docker has done before it gave up.
            anew = {"attempts": 0, "files_checked": ""}
            self._record.update_all({entry.id: {**stopped, **anew}})
            raise DrainerError(why) from error
        else:
            put_policy_back(self._engine, entry)
            self._end(entry, State.STARTED_COLD, why)

    def _leave(self, entry: Entry, why: str) -> None:
        """Give it back to Docker as it is; its checkpoint is kept for inspection."""
        put_policy_back(self._engine, entry)
        self._end(entry, State.LEFT, why)

    def _end(self, entry: Entry, state: State, why: str, **changes: object) -> None:
        if state is not State.RESTORED:
            changes["checkpoint_state"] = CheckpointState.UNUSABLE
        # Before anybody is told that it is back: a later resume would not see to it any more.
        self._gathering.ended(entry)
        self._on_change(self._record.update(entry.id, state=state, detail=why, **changes))

    def _carrier(self, entry: Entry) -> Carrier:
        return self._carriers[entry.route]
