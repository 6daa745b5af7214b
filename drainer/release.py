"""Give a container back to Docker as it was: the way out of every unfinished drain."""

from collections.abc import Callable
from contextlib import suppress

from drainer.carriers.base import Carriers
from drainer.deadline import Deadline
from drainer.engine.base import Engine
from drainer.errors import (
    ContainerGoneError,
    DrainerError,
    EngineTimeoutError,
    EngineUnavailableError,
)
from drainer.host.base import Host
from drainer.manifest import CheckpointState, Entry, State
from drainer.model import Container, Route
from drainer.store.manifest_file import Record

RESTORE_ATTEMPTS = 3
"""How often a restore is asked for, in this resume and in later ones, if nothing of it has run."""

START_TIMEOUT = 120.0
"""Seconds that a cold start may take."""
RESTART_PAUSE = 1.0

NO_PROVIDER = ("no such container", "non running container")
"""In Docker's refusals to start one that uses another which was removed, or was down before the
drain: no resume brings that back."""

NOT_FROZEN = "container not paused"
"""runc's refusal to thaw one (libcontainer/container_linux.go Resume). Docker's own, of one that it
does not take for paused, is `Container ... is not paused`."""


def put_policy_back(engine: Engine, entry: Entry) -> None:
    """Set the original restart policy, unless somebody has chosen another one meanwhile."""
    if entry.restart_policy.held:
        return
    if engine.inspect(entry.id).restart_policy.held:
        engine.set_restart_policy(entry.id, entry.restart_policy)


def start_like_docker(engine: Engine, entry: Entry) -> bool:
    """Start the container if it is down and dockerd would have started it; tell whether it did."""
    container = engine.inspect(entry.id)
    if container.running or not entry.restart_policy.starts_at_boot(
        container.exit_code, container.restart_count
    ):
        return False
    engine.start(entry.id, START_TIMEOUT)
    return True


def start_cold(engine: Engine, entry: Entry, deadline: Deadline) -> None:
    """Start it from the beginning, and once more if that is refused.

    What a restore before it has left may still be about to be tidied up.
    """
    try:
        engine.start(entry.id, START_TIMEOUT)
    except (EngineTimeoutError, EngineUnavailableError, ContainerGoneError):
        raise
    except DrainerError:
        deadline.sleep(RESTART_PAUSE)
        engine.start(entry.id, START_TIMEOUT)


def may_restore_again(carriers: Carriers, entry: Entry) -> bool:
    """Tell whether a restore that was asked for has let nothing run, and may be asked for again.

    Not for ever, as what hinders it may stay. An unusable checkpoint says that a cold start was, or
    is to be, asked for instead.
    """
    usable = (
        entry.checkpoint_state is CheckpointState.COMPLETE and entry.attempts < RESTORE_ATTEMPTS
    )
    return entry.state is State.RESTORING and usable and carriers[entry.route].withdraw(entry)


def may_come_back(engine: Engine, carriers: Carriers, entry: Entry, refusal: DrainerError) -> bool:
    """Tell whether nothing has run since the drain of what Docker may start some other time."""
    container = engine.inspect(entry.id)
    same = not container.running and container.started_at == entry.started_at
    alone = any(words in refusal.message.lower() for words in NO_PROVIDER)
    return same and not alone and carriers[entry.route].withdraw(entry)


def take_up(record: Record, carriers: Carriers) -> None:
    """Let the restores be asked for again that an earlier run has asked for in vain."""
    again = [e.id for e in record.manifest.entries if may_restore_again(carriers, e)]
    if again:
        record.update_all({container: {"state": State.STOPPED} for container in again})


def made_anew(engine: Engine, entry: Entry) -> str:
    """Say by which container one that was removed is replaced; empty if by none."""
    try:
        return f" and made anew as {engine.inspect(entry.name).id[:12]}"
    except DrainerError:
        return ""


def forget(record: Record, carriers: Carriers, entry: Entry, why: str) -> Entry:
    """Note that a container was removed, and see that its checkpoint is, too."""
    if entry.checkpoint:
        # Docker removes its own checkpoints with the container, and then has none to delete.
        with suppress(DrainerError):
            carriers[entry.route].delete(entry)
    return record.update(entry.id, state=State.GONE, detail=why)


def release(
    engine: Engine,
    host: Host,
    record: Record,
    carriers: Carriers,
    entry: Entry,
    why: str,
    *,
    unsure: bool = False,
    last: bool = False,
) -> Entry:
    """Undo a drain of one container: thaw it, put its policy back, drop its checkpoint.

    Each step is tried even if one before it failed. The entry becomes `left` only if all
    succeeded; else, or when `unsure` whether a request that was given up still takes effect, it
    keeps its state, and the next resume does all this once more. A `dumped` one whose checkpoint
    could not be dropped is safe: only what was seen to be `stopped` is restored. With `last`, that
    Docker refuses to start it keeps nothing waiting any more. Returns the entry.
    """
    if entry.state is State.PLANNED:
        return record.update(entry.id, state=State.LEFT, detail=why)
    failures: list[str] = []
    refusals: list[str] = []
    try:
        container = engine.inspect(entry.id)
    except ContainerGoneError:
        return forget(record, carriers, entry, f"{why}; removed meanwhile")
    except DrainerError as error:
        return record.update(entry.id, detail=f"{why}; not undone: {error.message}")

    steps: tuple[Callable[[], None], ...] = (
        lambda: _let_go(carriers, entry, container),
        lambda: _unpause(engine, host, entry, container),
        lambda: _drop_checkpoint(carriers, entry),
        lambda: put_policy_back(engine, entry),
        lambda: refusals.append(_start(engine, entry, last=last)),
    )
    for step in steps:
        try:
            step()
        except DrainerError as error:
            failures.append(error.message)
            unsure = unsure or isinstance(error, EngineTimeoutError)
    if unsure and not failures:
        return record.update(entry.id, detail=f"{why}; undone, to be looked at again by a resume")
    if failures:
        return record.update(entry.id, detail=f"{why}; not undone: {'; '.join(failures)}")
    detail = why + "".join(refusals)
    return record.update(
        entry.id, state=State.LEFT, detail=detail, checkpoint_state=CheckpointState.NONE, size=0
    )


def _let_go(carriers: Carriers, entry: Entry, container: Container) -> None:
    if entry.state is State.HELD and container.running and not container.paused:
        carriers[entry.route].let_go(entry)


def _drop_checkpoint(carriers: Carriers, entry: Entry) -> None:
    """Delete what was saved of a container that runs, or ran, on: it no longer fits its files.

    On the engine route nothing was saved yet of what is only held.
    """
    if entry.checkpoint and (entry.state is not State.HELD or entry.route is Route.RUNTIME):
        carriers[entry.route].delete(entry)


def thaw(engine: Engine, host: Host, entry: Entry) -> None:
    """Let a container run on that was paused for its dump. Raises `DrainerError`."""
    _unpause(engine, host, entry, engine.inspect(entry.id))


def _unpause(engine: Engine, host: Host, entry: Entry, container: Container) -> None:
    if not (container.running and container.paused):
        return
    if entry.paused:
        # As its owner wants it, also where a killed CRIU has let it run.
        host.freeze(container)
        return
    try:
        engine.unpause(entry.id)
    except DrainerError as error:
        # runc thaws nothing that is not frozen, and so Docker could never give it back.
        if NOT_FROZEN not in error.message or not host.freeze(container):
            raise
        engine.unpause(entry.id)


def _start(engine: Engine, entry: Entry, *, last: bool) -> str:
    """Start it like Docker; return a clause that says why Docker does not, if that is the end."""
    try:
        start_like_docker(engine, entry)
    except (EngineTimeoutError, EngineUnavailableError):
        raise
    except DrainerError as error:
        if not last:
            raise
        return f"; and Docker could not start it: {error.message}"
    return ""
