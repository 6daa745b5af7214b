"""What `drainer drain` does."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import NamedTuple

import typer

from drainer.cli import manifest_output, output
from drainer.cli.options import Common
from drainer.cli.planning import plan_now, refuse_if_incapable
from drainer.cli.wiring import (
    LOCK_WAIT,
    Settings,
    cpus,
    extension,
    given,
    interrupted_code,
    interruptible,
)
from drainer.config.choices import DumpFallback
from drainer.deadline import Deadline
from drainer.drain import adds, drain, outcome_counts, settle
from drainer.drain_options import DrainOptions
from drainer.errors import DrainerError, ExitCode
from drainer.hooks import AFTER_DRAIN
from drainer.host import power
from drainer.journal import Event
from drainer.manifest import Entry, Manifest
from drainer.model import Plan
from drainer.progress import Progress
from drainer.store import failed_drain, request_file
from drainer.store.failed_drain import FailedDrain
from drainer.store.lock import lock
from drainer.store.manifest_file import ManifestFile, Record
from drainer.store.request_file import Request


@contextmanager
def told_after_the_boot(common: Common, *, at_shutdown: bool) -> Iterator[None]:
    """Keep, to be told after the boot, that a drain at a shutdown fails as a whole in the block."""
    try:
        yield
    except typer.Exit:
        raise
    except Exception as error:
        if at_shutdown:
            _keep(Settings(common.state_dir, common.docker_host), error)
        raise


def _keep(settings: Settings, error: Exception) -> None:
    """Keep why a drain has failed, if the host really goes down and no manifest tells of it."""
    if settings.host().shutting_down() and not _is_told(settings):
        at = datetime.now(UTC).isoformat(timespec="seconds")
        failed = (
            error if isinstance(error, DrainerError) else DrainerError(f"unexpected: {error!r}")
        )
        with suppress(DrainerError):
            failed_drain.write(settings.state(), FailedDrain(at, failed.message, failed.hint))


def _is_told(settings: Settings) -> bool:
    """Tell whether the drain of this shutdown has written its manifest."""
    try:
        manifest = settings.manifest_file().read()
    except DrainerError:
        return False
    return manifest.trigger == "shutdown" and manifest.host.boot_id == settings.host().boot_id()


def run(
    settings: Settings,
    parallel: int | None,
    budget: float | None,
    container_timeout: float | None,
    fallback: DumpFallback | None,
    *,
    reason: str,
    at_shutdown: bool,
    as_json: bool,
) -> None:
    """Checkpoint what is eligible, take it down and print what became of it.

    An option that is None is as it is configured.
    """
    kind = settings.host().shutting_down() if at_shutdown else ""
    if at_shutdown and not kind:
        output.say("the host is not going down: nothing drained")
        return
    request = request_file.read(time.time()) if at_shutdown else Request(reason, power.who())
    trigger = "shutdown" if at_shutdown else "manual"
    options = _options(settings, trigger, request, parallel, container_timeout, fallback)
    configured = settings.loaded.config.drain.budget if at_shutdown else None
    deadline = Deadline(given(budget, configured))
    # The unit's time limit may be below a budget that was configured.
    settings.host().notify("beginning to drain", extension(deadline))
    outcome = _locked(settings, deadline, options, wait=LOCK_WAIT if at_shutdown else 0)
    manifest_output.show_outcome(outcome.manifest, as_json=as_json)
    raise typer.Exit(_code(outcome, deadline))


class Outcome(NamedTuple):
    """What a drain has left."""

    manifest: Manifest
    begun: bool = True
    """Whether there was anything to be drained that was not before."""


def now(settings: Settings, request: Request) -> tuple[Manifest, ExitCode]:
    """Drain as it is configured; return what became of each container, and how it went.

    It did not go well if somebody wanted an end of it, although all was carried by then.
    """
    options = _options(settings, "manual", request)
    deadline = Deadline(None)
    outcome = _locked(settings, deadline, options, wait=0)
    code = _code(outcome, deadline)
    return outcome.manifest, interrupted_code(deadline) if deadline.interrupted else code


def _options(
    settings: Settings,
    trigger: str,
    request: Request,
    parallel: int | None = None,
    container_timeout: float | None = None,
    fallback: DumpFallback | None = None,
) -> DrainOptions:
    """Put what is asked for together with what is configured, where that is None."""
    configured = settings.loaded.config.drain
    return DrainOptions(
        trigger,
        given(parallel, configured.parallel) or cpus(),
        given(container_timeout, configured.container_timeout),
        stop_failed=given(fallback, configured.on_dump_failure) is DumpFallback.STOP,
        reason=request.reason,
        by=request.by,
    )


def _locked(settings: Settings, deadline: Deadline, options: DrainOptions, wait: float) -> Outcome:
    state = settings.state()
    with lock(state, "drain", wait=wait), interruptible(deadline):
        failed_drain.forget(state)
        return _drain(settings, ManifestFile(state), deadline, options)


def _drain(
    settings: Settings, file: ManifestFile, deadline: Deadline, options: DrainOptions
) -> Outcome:
    engine, host = settings.engine(), settings.host()
    settings.runtime().sweep()
    kept: tuple[Entry, ...] = ()
    record: Record | None = None
    if file.exists and (old := file.read()).pending:
        output.say(f"drain {old.drain_id} still waits for its resume: carrying on from it")
        runtime = settings.runtime(host.facts())
        carriers = settings.carriers(engine, host, runtime, old.engine, deadline)
        record = Record(file, old)
        kept = settle(engine, host, record, carriers)
    plan = plan_now(settings)
    refuse_if_incapable(plan)
    if record and kept and not adds(plan, record.manifest):
        output.say("nothing more is to be drained")
        return Outcome(record.manifest, begun=False)
    total = len(plan.entries)
    output.say(f"draining {len(plan.carried)} of {total} running containers")
    hooks = settings.hooks(deadline)
    hooks.of_plan(plan)
    manifest = carry_out(settings, plan, file, deadline, options, kept, hooks.of_container)
    hooks.of_manifest(AFTER_DRAIN, manifest)
    return Outcome(manifest)


def carry_out(
    settings: Settings,
    plan: Plan,
    file: ManifestFile,
    deadline: Deadline,
    options: DrainOptions,
    kept: tuple[Entry, ...] = (),
    hook: Callable[[Entry], None] = lambda _entry: None,
) -> Manifest:
    """Drain by a plan, and say how far it is, to `hook` too."""
    engine, host = settings.engine(), settings.host()
    runtime = settings.runtime(plan.host)
    carriers = settings.carriers(engine, host, runtime, plan.engine, deadline)

    progress = Progress(plan, options.parallel)

    def on_change(entry: Entry) -> None:
        manifest_output.progress(entry, board)
        host.notify(progress.see(entry), extension(deadline))
        hook(entry)

    host.notify(progress.line(), extension(deadline))
    with output.live() as board:
        return drain(plan, engine, host, carriers, file, deadline, options, on_change, kept)


def _code(outcome: Outcome, deadline: Deadline) -> ExitCode:
    manifest = outcome.manifest
    eligible, carried = outcome_counts(manifest)
    words = manifest_output.summary(manifest)
    output.say(f"drained: {words}", Event.DRAIN_ENDED, DRAINER_DRAIN=manifest.drain_id)
    if carried == eligible or not outcome.begun:
        return ExitCode.OK
    if deadline.interrupted:
        return interrupted_code(deadline)
    if deadline.over:
        return ExitCode.DEADLINE
    return ExitCode.PARTIAL if carried else ExitCode.NOTHING_CARRIED
