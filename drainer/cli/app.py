"""The commands and their options.

What a command needs to do its work is imported as it runs: none waits for another one's modules.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from drainer import __version__
from drainer.cli.options import (
    CONFIGURED,
    STATE_DIR,
    AtShutdown,
    Common,
    ContainerTimeout,
    DrainBudget,
    Format,
    GiveUp,
    Json,
    OnDumpFailure,
    OnRestoreFailure,
    Parallel,
    Reason,
    ResumeBudget,
    TrialBudget,
)
from drainer.config.choices import DumpFallback, RestoreFallback, RouteChoice

if TYPE_CHECKING:
    from drainer.cli.wiring import Settings

T = TypeVar("T")

app = typer.Typer(
    help="Carry running Docker containers across a host reboot.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    suggest_commands=False,  # click does
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes it so
    if wanted:
        typer.echo(f"drainer {__version__}")
        raise typer.Exit


@app.callback()
def common(
    *,
    context: typer.Context,
    state_dir: Annotated[
        Path,
        typer.Option(
            help="Where manifest and checkpoints are kept; the units always use the default.",
            envvar="DRAINER_STATE_DIR",
        ),
    ] = STATE_DIR,
    docker_host: Annotated[
        str,
        typer.Option(help="Socket of the Docker daemon; DOCKER_HOST and contexts are ignored."),
    ] = "unix:///run/docker.sock",
    route: Annotated[
        RouteChoice,
        typer.Option(
            help="engine: by Docker; runtime: by runc; auto: whichever works for each container.",
            envvar="DRAINER_ROUTE",
            show_default=CONFIGURED.format("auto"),
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
    context.obj = Common(state_dir, docker_host, _given(context, "route", route))


def _given(context: typer.Context, name: str, value: T) -> T | None:
    """Return the value of an option that somebody gave; None if it is only the default."""
    source = context.get_parameter_source(name)
    return None if source is None or source.name == "DEFAULT" else value


def _settings(
    context: typer.Context, route: RouteChoice | None = None, *, lenient: bool = False
) -> "Settings":
    from drainer.cli.wiring import make_settings

    return make_settings(context.info_name or "", context.obj, route, lenient=lenient)


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
    from drainer.cli import planning

    planning.run(_settings(context), explain, as_json=as_json)


@app.command("drain")
def drain_command(
    *,
    context: typer.Context,
    parallel: Parallel = 0,
    budget: DrainBudget = None,
    container_timeout: ContainerTimeout = 300.0,
    on_dump_failure: OnDumpFailure = DumpFallback.LEAVE,
    reason: Reason = "",
    at_shutdown: AtShutdown = False,
    as_json: Json = False,
) -> None:
    """Checkpoint the containers that can be carried, and stop them."""
    from drainer.cli import draining

    with draining.told_after_the_boot(context.obj, at_shutdown=at_shutdown):
        draining.run(
            _settings(context),
            _given(context, "parallel", parallel),
            budget,
            _given(context, "container_timeout", container_timeout),
            _given(context, "on_dump_failure", on_dump_failure),
            reason=reason,
            at_shutdown=at_shutdown,
            as_json=as_json,
        )


@app.command("resume")
def resume_command(
    *,
    context: typer.Context,
    parallel: Parallel = 0,
    budget: ResumeBudget = None,
    container_timeout: ContainerTimeout = 300.0,
    on_restore_failure: OnRestoreFailure = RestoreFallback.COLD,
    give_up: GiveUp = False,
    at_boot: Annotated[
        bool, typer.Option(help="For the systemd unit: wait until Docker answers.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring back what the last drain took down."""
    from drainer.cli import resuming

    resuming.run(
        _settings(context, lenient=True),
        _given(context, "parallel", parallel),
        budget,
        _given(context, "container_timeout", container_timeout),
        _given(context, "on_restore_failure", on_restore_failure),
        give_up=give_up,
        at_boot=at_boot,
        as_json=as_json,
    )


@app.command("read-ahead")
def read_ahead_command(*, context: typer.Context) -> None:
    """Read the checkpoints that wait for a resume, until one begins."""
    from drainer.cli import ahead

    ahead.run(_settings(context, lenient=True))


@app.command("reboot")
def reboot_command(
    *,
    context: typer.Context,
    at: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Schedule it: at a time of day (23:30) or in minutes (+15)."
        ),
    ] = "",
    reason: Reason = "",
    kexec: Annotated[
        bool, typer.Option("--kexec", help="Start the kernel that `kexec -l` has loaded.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Reboot even if a container could not be carried; with --at it is so."
        ),
    ] = False,
) -> None:
    """Show the plan, ask, drain and reboot."""
    from drainer.cli import rebooting

    if at and kexec:
        raise typer.BadParameter("--at and --kexec do not go together")
    rebooting.reboot(_settings(context), at, reason, kexec=kexec, yes=yes, force=force)


@app.command("abort")
def abort_command(*, context: typer.Context, as_json: Json = False) -> None:
    """Cancel a scheduled reboot, and bring back drained containers."""
    from drainer.cli import rebooting

    rebooting.abort(_settings(context, lenient=True), as_json=as_json)


@app.command("status")
def status_command(*, context: typer.Context, as_json: Json = False) -> None:
    """Show where each container of the last drain stands, and what Docker says now."""
    from drainer.cli import comparing

    comparing.run(_settings(context, lenient=True), as_json=as_json)


@app.command("doctor")
def doctor_command(
    *,
    context: typer.Context,
    live: Annotated[
        bool,
        typer.Option("--live", help="Prove each route that works here, on a throw-away container."),
    ] = False,
    route: Annotated[
        RouteChoice | None,
        typer.Option(help="Look at this route only; as --route before the command."),
    ] = None,
    budget: TrialBudget = 120.0,
    as_json: Json = False,
) -> None:
    """Show what this host can do, and why not."""
    from drainer.cli import doctoring

    doctoring.run(_settings(context, route, lenient=True), budget, live=live, as_json=as_json)


@app.command("install")
def install_command(
    *,
    enable: Annotated[
        bool, typer.Option("--enable", help="Take part in every reboot from now on.")
    ] = False,
    experimental: Annotated[
        bool,
        typer.Option(
            "--experimental",
            help="Also set Docker's experimental mode in /etc/docker/daemon.json (backup kept).",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Put the systemd units in place."""
    from drainer.cli import installing

    installing.put_in_place(enable=enable, experimental=experimental, as_json=as_json)


@app.command("uninstall")
def uninstall_command(
    *,
    context: typer.Context,
    force: Annotated[
        bool, typer.Option("--force", help="Even if containers wait to be brought back.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove the systemd units; state and Docker's settings stay."""
    from drainer.cli import installing

    installing.take_away(_settings(context, lenient=True), force=force, as_json=as_json)


@app.command("report")
def report_command(
    *,
    context: typer.Context,
    shape: Annotated[
        Format,
        typer.Option("--format", help="A table, Markdown for a ticket, a picture, metrics."),
    ] = Format.TABLE,
    drain_id: Annotated[
        str | None,
        typer.Option(
            "--drain", metavar="DRAIN", help="An earlier drain, by its id or how that begins."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what became of each container of the last drain, and how long it was away."""
    from drainer.cli import reporting

    reporting.run(_settings(context, lenient=True), shape, drain_id, as_json=as_json)


@app.command("list")
def list_command(*, context: typer.Context, as_json: Json = False) -> None:
    """List the last drain and those kept before it, the newest first."""
    from drainer.cli import past

    past.show_all(_settings(context, lenient=True), as_json=as_json)


@app.command("show")
def show_command(
    *,
    context: typer.Context,
    drain_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[DRAIN]",
            help="Its id in `drainer list`, or how that begins; else the last one.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a drain, and where its failed checkpoints are."""
    from drainer.cli import past

    past.show(_settings(context, lenient=True), drain_id, as_json=as_json)


@app.command("discard")
def discard_command(
    *,
    context: typer.Context,
    drain_ids: Annotated[
        list[str], typer.Argument(metavar="DRAIN...", help="Their ids, or how these begin.")
    ],
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Only the checkpoints; keep the manifests.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete records and failed checkpoints of past drains."""
    from drainer.cli import past

    past.discard(
        _settings(context, lenient=True),
        drain_ids,
        only_checkpoints=checkpoints,
        as_json=as_json,
    )


config = typer.Typer(
    help="Show, check and explain the settings in /etc/drainer.",
    no_args_is_help=True,
    rich_markup_mode=None,
    suggest_commands=False,  # click does
)
app.add_typer(config, name="config")


@config.command("show")
def config_show_command(*, as_json: Json = False) -> None:
    """Show every setting in effect, with the file and line that it comes from."""
    from drainer.cli import configuring

    configuring.show(as_json=as_json)


@config.command("validate")
def config_validate_command(*, as_json: Json = False) -> None:
    """Check all files, and show every mistake with its line."""
    from drainer.cli import configuring

    configuring.validate(as_json=as_json)


@config.command("generate")
def config_generate_command() -> None:
    """Print a file with every setting explained, to begin with."""
    from drainer.cli import configuring

    configuring.generate()


@config.command("schema")
def config_schema_command() -> None:
    """Print the JSON Schema of a file, for editors."""
    from drainer.cli import configuring

    configuring.print_schema()
