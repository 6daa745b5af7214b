"""The commands. Each parses, calls one use case, prints, and chooses an exit code."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from drainer import __version__
from drainer.addresses import dealt
from drainer.cli import output
from drainer.cli.explaining import show_explanation
from drainer.cli.options import (
    Budget,
    ContainerTimeout,
    DumpFallback,
    GiveUp,
    Json,
    OnDumpFailure,
    OnRestoreFailure,
    Parallel,
    RestoreFallback,
    RouteChoice,
)
from drainer.cli.wiring import (
    Settings,
    extension,
    interrupted_code,
    interruptible,
    remove_placeholders,
    require_root,
)
from drainer.compatibility import host_obstacles, require_same_engine
from drainer.deadline import Deadline
from drainer.doctor.record import failed_trials
from drainer.drain import DrainOptions, drain, outcome_counts, settle
from drainer.engine.base import Engine
from drainer.engine.patience import wait_for_engine
from drainer.errors import DrainerError, ExitCode, HostIncapableError, StorageError
from drainer.inventory import Inventory, take_inventory
from drainer.manifest import Entry, Manifest, State
from drainer.model import ROUTES, Plan, Route
from drainer.placeholders import AddressKeeper
from drainer.plan import make_plan
from drainer.progress import Progress
from drainer.resume import resume
from drainer.resume_options import Audience, ResumeOptions
from drainer.runtime.base import Runtime
from drainer.status import compare
from drainer.store.lock import lock
from drainer.store.manifest_file import ManifestFile, Record

app = typer.Typer(
    name="drainer",
    help="Carry running Docker containers across a host reboot.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

LOCK_WAIT = 300.0
"""Seconds that a unit waits for another drainer; a person is told at once."""
ENGINE_WAIT = 180.0
"""Seconds that the boot waits for Docker to answer, and that a resume waits for it to come back."""


def _cpus() -> int:
    return max(2, len(os.sched_getaffinity(0)))


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes it so
    if wanted:
        output.line(f"drainer {__version__}")
        raise typer.Exit


@app.callback()
def common(
    *,
    context: typer.Context,
    state_dir: Annotated[
        Path, typer.Option(help="Where the manifest is kept.", envvar="DRAINER_STATE_DIR")
    ] = Path("/var/lib/drainer"),
    docker_host: Annotated[
        str, typer.Option(help="Socket of the Docker daemon.")
    ] = "unix:///run/docker.sock",
    route: Annotated[
        RouteChoice,
        typer.Option(
            help="How a drain makes checkpoints; auto: as suits each container.",
            envvar="DRAINER_ROUTE",
        ),
    ] = RouteChoice.AUTO,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            is_eager=True,
            callback=_show_version,
        ),
    ] = False,
) -> None:
    """Take the options that every command shares."""
    del version
    routes = ROUTES if route is RouteChoice.AUTO else (Route(route.value),)
    context.obj = Settings(state_dir, docker_host, routes)


def _plan(settings: Settings) -> Plan:
    found = take_inventory(settings.engine(), settings.host())
    host = replace(found.host, failed_trials=_failed_trials(settings, found))
    places = settings.host().places(found.engine, str(settings.state_dir.absolute()))
    return make_plan(host, found.engine, found.containers, found.processes, settings.routes, places)


def _failed_trials(settings: Settings, found: Inventory) -> tuple[str, ...]:
    """Ask what the last trials have shown, where there is a state directory to ask."""
    if not settings.state_dir.is_dir():
        return ()
    with suppress(DrainerError):
        return failed_trials(settings.state(), found.host, found.engine)
    return ()


@app.command("plan")
def plan_command(
    *,
    context: typer.Context,
    explain: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Show every rule, and its answer for one container."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a drain would do now; touches nothing."""
    require_root("plan")
    plan = _plan(context.obj)
    if explain is not None:
        show_explanation(plan, explain, as_json=as_json)
    elif as_json:
        output.show_json(**output.plan_json(plan))
    else:
        output.show_plan(plan)
        _refuse_if_incapable(plan)
    raise typer.Exit(ExitCode.HOST_INCAPABLE if plan.refusals else ExitCode.OK)


def _refuse_if_incapable(plan: Plan) -> None:
    if plan.refusals:
        first = plan.refusals[0]
        message = f"nothing can be carried on this host: {first.sentence}"
        raise HostIncapableError(message, first.advice)


@app.command("drain")
def drain_command(
    *,
    context: typer.Context,
    parallel: Parallel = 0,
    budget: Budget = None,
    container_timeout: ContainerTimeout = 300.0,
    on_dump_failure: OnDumpFailure = DumpFallback.LEAVE,
    at_shutdown: Annotated[
        bool,
        typer.Option(help="Do nothing unless the host is really going down; for the unit."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Checkpoint what is eligible and take it down."""
    require_root("drain")
    settings: Settings = context.obj
    kind = settings.host().shutting_down() if at_shutdown else ""
    if at_shutdown and not kind:
        output.say("the host is not going down: nothing drained")
        return
    deadline = Deadline(budget)
    state = settings.state()
    with lock(state, "drain", wait=LOCK_WAIT if at_shutdown else 0), interruptible(deadline):
        options = DrainOptions(
            "shutdown" if at_shutdown else "manual",
            parallel or _cpus(),
            container_timeout,
            stop_failed=on_dump_failure is DumpFallback.STOP,
        )
        manifest = _drain(settings, ManifestFile(state), deadline, options)
    if as_json:
        output.show_json(manifest=output.manifest_json(manifest))
    else:
        output.show_outcome(manifest)
    raise typer.Exit(_drain_code(manifest, deadline))


def _drain(
    settings: Settings, file: ManifestFile, deadline: Deadline, options: DrainOptions
) -> Manifest:
    engine, host = settings.engine(), settings.host()
    settings.runtime().sweep()
    kept: tuple[Entry, ...] = ()
    if file.exists and (old := file.read()).pending:
        output.say(f"drain {old.drain_id} still waits for its resume: carrying on from it")
        carriers = settings.carriers(engine, host, settings.runtime(), old.engine, deadline)
        record = Record(file, old)
        kept = settle(engine, host, record, carriers)
    plan = _plan(settings)
    _refuse_if_incapable(plan)
    total = len(plan.entries)
    output.say(f"draining {len(plan.carried)} of {total} running containers")
    return carry_out(settings, plan, file, deadline, options, kept)


def carry_out(
    settings: Settings,
    plan: Plan,
    file: ManifestFile,
    deadline: Deadline,
    options: DrainOptions,
    kept: tuple[Entry, ...] = (),
) -> Manifest:
    """Drain by a plan, and say how far it is."""
    engine, host = settings.engine(), settings.host()
    runtime = settings.runtime(plan.host)
    carriers = settings.carriers(engine, host, runtime, plan.engine, deadline)

    progress = Progress(plan, options.parallel)

    def on_change(entry: Entry) -> None:
        output.progress(entry)
        host.notify(progress.see(entry), extension(deadline))

    host.notify(progress.line(), extension(deadline))
    return drain(plan, engine, host, carriers, file, deadline, options, on_change, kept)


def _drain_code(manifest: Manifest, deadline: Deadline) -> ExitCode:
    eligible, carried = outcome_counts(manifest)
    output.say(f"drained: {output.summary(manifest)}")
    if carried == eligible:
        return ExitCode.OK
    if deadline.interrupted:
        return interrupted_code(deadline)
    if deadline.over:
        return ExitCode.DEADLINE
    return ExitCode.PARTIAL if carried else ExitCode.NOTHING_CARRIED


@app.command("resume")
def resume_command(
    *,
    context: typer.Context,
    parallel: Parallel = 0,
    budget: Budget = None,
    container_timeout: ContainerTimeout = 300.0,
    on_restore_failure: OnRestoreFailure = RestoreFallback.COLD,
    give_up: GiveUp = False,
    at_boot: Annotated[bool, typer.Option(help="Wait until Docker answers; for the unit.")] = False,
    as_json: Json = False,
) -> None:
    """Bring back what the last drain took down."""
    require_root("resume")
    settings: Settings = context.obj
    deadline = Deadline(budget)
    state = settings.state()
    with lock(state, "resume", wait=LOCK_WAIT if at_boot else 0), interruptible(deadline):
        settings.runtime().sweep()
        file = ManifestFile(state)
        if not file.exists or not (manifest := file.read()).pending:
            output.say("no drain waits for a resume: nothing to do")
            remove_placeholders(
                settings.engine(), lambda: settings.runtime(settings.host().facts())
            )
            if as_json:
                output.show_json(manifest=None)
            return
        wait_for_engine(settings.engine(), deadline, ENGINE_WAIT if at_boot else 0)
        output.say(f"resuming drain {manifest.drain_id}")
        options = ResumeOptions(
            parallel or _cpus(),
            container_timeout,
            ENGINE_WAIT,
            give_up=give_up,
            leave_failed=on_restore_failure is RestoreFallback.LEAVE,
        )
        record = Record(file, manifest)
        result = bring_back(settings, record, deadline, options)
    if as_json:
        output.show_json(manifest=output.manifest_json(result))
    else:
        output.show_outcome(result)
    raise typer.Exit(_resume_code(result, deadline))


def bring_back(
    settings: Settings, record: Record, deadline: Deadline, options: ResumeOptions
) -> Manifest:
    """Resume what a manifest waits for, and say how far it is."""
    engine, host = settings.engine(), settings.host()
    manifest, facts = record.manifest, engine.facts()
    require_same_engine(manifest, engine, facts)
    now = host.facts()
    runtime = settings.runtime(now)
    carriers = settings.carriers(engine, host, runtime, manifest.engine, deadline)
    obstacles = dict(host_obstacles(manifest, now, facts))

    def on_change(entry: Entry) -> None:
        output.progress(entry)
        host.notify(f"resume: {entry.name} {entry.state}", extension(deadline))

    with ExitStack() as stack:
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
            Audience(on_change, partial(output.say_lacking, manifest)),
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
        stop=lambda: deadline.over or deadline.interrupted,
    )
    try:
        keeper.prepare()
        yield keeper
    finally:
        keeper.finish()
        for failure in keeper.failures:
            output.say(failure)


def _resume_code(manifest: Manifest, deadline: Deadline) -> ExitCode:
    output.say(f"resumed: {output.summary(manifest)}")
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


@app.command("status")
def status_command(*, context: typer.Context, as_json: Json = False) -> None:
    """Show the manifest beside what Docker says now."""
    require_root("status")
    settings: Settings = context.obj
    file = settings.manifest_file()
    manifest = file.read()
    rows = compare(manifest, settings.engine())
    if as_json:
        output.show_json(
            manifest=output.manifest_json(manifest),
            docker={r.entry.id: {"state": r.docker, "policy_held": r.policy_held} for r in rows},
        )
    else:
        output.show_status(manifest, rows)
