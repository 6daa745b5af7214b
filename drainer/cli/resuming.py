"""What `drainer resume` does."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import typer

from drainer import login_message
from drainer.addresses import dealt
from drainer.cli import manifest_output, output
from drainer.cli.wiring import (
    LOCK_WAIT,
    Settings,
    cpus,
    extension,
    given,
    interrupted_code,
    interruptible,
    remove_placeholders,
)
from drainer.compatibility import host_obstacles, require_same_engine
from drainer.config.choices import RestoreFallback
from drainer.deadline import Deadline
from drainer.engine.base import Engine
from drainer.engine.patience import wait_for_engine
from drainer.errors import ExitCode, StorageError
from drainer.history import Retention
from drainer.hooks import AFTER_RESUME, BEFORE_RESUME
from drainer.inventory import ask_both
from drainer.journal import Event
from drainer.manifest import Entry, Manifest, State, checkpoint_name
from drainer.model import Route
from drainer.placeholders import AddressKeeper
from drainer.resume import resume
from drainer.resume_options import Audience, ResumeOptions
from drainer.runtime.base import Runtime
from drainer.store import failed_drain
from drainer.store.lock import lock
from drainer.store.manifest_file import ManifestFile, Record

ENGINE_WAIT = 180.0
"""Seconds that the boot waits for Docker to answer, and that a resume waits for it to come back."""


def run(
    settings: Settings,
    parallel: int | None,
    budget: float | None,
    container_timeout: float | None,
    fallback: RestoreFallback | None,
    *,
    give_up: bool,
    at_boot: bool,
    as_json: bool,
) -> None:
    """Bring back what the last drain took down, and print what became of it.

    An option that is None is as it is configured.
    """
    configured = settings.loaded.config.resume
    deadline = Deadline(given(budget, configured.budget if at_boot else None))
    settings.host().notify("beginning to resume", extension(deadline))
    state = settings.state()
    with lock(state, "resume", wait=LOCK_WAIT if at_boot else 0), interruptible(deadline):
        settings.runtime().sweep()
        failed = failed_drain.read(state)
        if failed and at_boot:
            output.say(manifest_output.failed_drain(failed), Event.FAILED)
            login_message.show(login_message.failed(failed.at))
        file = ManifestFile(state)
        if not file.exists or not (manifest := file.read()).pending:
            output.say("no drain waits for a resume: nothing to do")
            remove_placeholders(
                settings.engine(), lambda: settings.runtime(settings.host().facts())
            )
            if as_json:
                output.show_json(manifest=None)
            return
        spared = _by_hand(manifest, settings.host().boot_id()) if at_boot else frozenset[str]()
        if spared and all(e.state.ended or e.id in spared for e in manifest.entries):
            output.say("it was drained by hand in this boot: `drainer resume` brings it back")
            if as_json:
                output.show_json(manifest=manifest_output.manifest_json(manifest))
            return
        wait_for_engine(settings.engine(), deadline, ENGINE_WAIT if at_boot else 0)
        output.say(f"resuming drain {manifest.drain_id}")
        options = ResumeOptions(
            given(parallel, configured.parallel) or cpus(),
            given(container_timeout, configured.container_timeout),
            ENGINE_WAIT,
            give_up=give_up,
            leave_failed=given(fallback, configured.on_restore_failure) is RestoreFallback.LEAVE,
            retention=_retention(settings),
            spared=spared,
        )
        record = Record(file, manifest)
        hooks = settings.hooks(deadline)
        hooks.of_manifest(BEFORE_RESUME, manifest)
        result = bring_back(settings, record, deadline, options, hooks.of_container)
        hooks.of_manifest(AFTER_RESUME, result)
        if at_boot or login_message.exists():
            before = [login_message.failed(failed.at)] if failed else []
            login_message.show(*before, login_message.message(result))
    manifest_output.show_outcome(result, as_json=as_json)
    raise typer.Exit(_code(result, deadline))


def _by_hand(manifest: Manifest, boot_id: str) -> frozenset[str]:
    """Return the ids of what was drained by hand in this boot: its owner wants it down.

    A resume that is tried again since the boot would undo that.
    """
    if manifest.trigger != "manual" or manifest.host.boot_id != boot_id:
        return frozenset()
    own = checkpoint_name(manifest.drain_id)
    return frozenset(e.id for e in manifest.entries if e.checkpoint == own)


def _retention(settings: Settings) -> Retention | None:
    """Return what is to be kept of past drains; all, while it is not known."""
    if not settings.loaded.usable:
        return None
    configured = settings.loaded.config.history
    return Retention(configured.drains, configured.days, configured.checkpoints_mib << 20)


def bring_back(
    settings: Settings,
    record: Record,
    deadline: Deadline,
    options: ResumeOptions,
    hook: Callable[[Entry], None] = lambda _entry: None,
) -> Manifest:
    """Resume what a manifest waits for, and say how far it is, to `hook` too."""
    engine, host = settings.engine(), settings.host()
    host.end_reading_ahead()
    manifest = record.manifest
    facts, now = ask_both(engine, host)
    require_same_engine(manifest, engine, facts)
    runtime = settings.runtime(now)
    carriers = settings.carriers(engine, host, runtime, manifest.engine, deadline)
    obstacles = dict(host_obstacles(manifest, now, facts))

    def on_change(entry: Entry) -> None:
        manifest_output.progress(entry, board)
        host.notify(f"resume: {entry.name} {entry.state}", extension(deadline))
        hook(entry)

    with ExitStack() as stack:
        board = stack.enter_context(output.live())
        keeper = None
        if _needs_stand_in(manifest):
            try:
                stack.enter_context(runtime.window())
                keeper = stack.enter_context(_addresses(engine, runtime, manifest, deadline))
            except StorageError as error:
                obstacles.setdefault(Route.RUNTIME, error.message)
        for route, why in obstacles.items():
            output.say(f"nothing can be restored on the {route} route: {why}")
        return resume(
            record,
            engine,
            host,
            carriers,
            deadline,
            options,
            Audience(on_change, partial(manifest_output.say_lacking, manifest)),
            obstacles=obstacles,
            keeper=keeper,
        )


def _needs_stand_in(manifest: Manifest) -> bool:
    """Tell whether there is anything to restore by runc, or an address to keep."""
    return any(
        e.route is Route.RUNTIME or any(map(dealt, e.addresses))
        for e in manifest.entries
        if not e.state.ended
    )


@contextmanager
def _addresses(
    engine: Engine, runtime: Runtime, manifest: Manifest, deadline: Deadline
) -> Iterator[AddressKeeper]:
    """Keep the addresses of what is to be started in the block; say what went wrong with it."""
    keeper = AddressKeeper(
        engine,
        runtime.lay_out_placeholder,
        runtime.forget_placeholder,
        [e for e in manifest.entries if not e.state.ended],
        stop=lambda: deadline.ended,
    )
    try:
        keeper.prepare()
        yield keeper
    finally:
        keeper.finish()
        for failure in keeper.failures:
            output.say(failure)


def _code(manifest: Manifest, deadline: Deadline) -> ExitCode:
    words = manifest_output.summary(manifest)
    output.say(f"resumed: {words}", Event.RESUME_ENDED, DRAINER_DRAIN=manifest.drain_id)
    carried = [e for e in manifest.entries if e.size]
    restored = sum(e.state is State.RESTORED for e in carried)
    if restored == len(carried) and not manifest.pending:
        return ExitCode.OK
    if deadline.interrupted:
        return interrupted_code(deadline)
    if manifest.pending:
        output.say("`drainer resume` will see to what is left")
        return ExitCode.HOST_INCAPABLE
    if deadline.over:
        return ExitCode.DEADLINE
    return ExitCode.PARTIAL if restored or not carried else ExitCode.NOTHING_CARRIED
